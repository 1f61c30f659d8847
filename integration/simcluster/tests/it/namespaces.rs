//! Namespaces: absent, terminating, gone.

use crate::setup::{config_map, setup, status};
use kube::api::DeleteParams;
use serde_json::json;

#[tokio::test]
async fn a_write_into_a_missing_namespace_names_the_namespace() {
    let s = setup().await;
    let api = s.api("", "v1", "ConfigMap", Some("nowhere"));
    let mut body = config_map("web", &json!({}));
    body["metadata"]["namespace"] = json!("nowhere");
    let refused = status(s.apply("a", &api, &body).await.expect_err("no namespace"));
    assert_eq!((refused.code, &*refused.message), (404, "namespaces \"nowhere\" not found"));
}

#[tokio::test]
async fn a_terminating_namespace_empties_itself_says_what_holds_it_and_takes_nothing_new() {
    let s = setup().await;
    let spaces = s.api("", "v1", "Namespace", None);
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    s.apply("a", &spaces, &space).await.expect("created");
    let api = s.api("", "v1", "ConfigMap", Some("shop"));
    let mut held = config_map("held", &json!({}));
    held["metadata"]["namespace"] = json!("shop");
    held["metadata"]["finalizers"] = json!(["example.com/stay"]);
    s.apply("a", &api, &held).await.expect("created");
    let answer = spaces.delete("shop", &DeleteParams::default()).await.expect("deleting");
    assert_eq!(answer.left().expect("the object").data["status"]["phase"], "Terminating");
    let remains = |namespace: &serde_json::Value| {
        let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| {
            condition["type"] == "NamespaceFinalizersRemaining" && condition["status"] == "True"
        })
    };
    s.until("held", |c| {
        c.get("", "Namespace", None, "shop").is_some_and(|n| remains(&n).is_some())
    })
    .await;
    let found = remains(&s.cluster.get("", "Namespace", None, "shop").expect("it is there"));
    let text = "Some content in the namespace has finalizers remaining: example.com/stay in 1 \
                resource instances";
    assert_eq!(found.expect("a condition")["message"], text);
    let mut late = config_map("late", &json!({}));
    late["metadata"]["namespace"] = json!("shop");
    let refused = status(s.apply("a", &api, &late).await.expect_err("refused"));
    assert_eq!(refused.code, 403);
    assert_eq!(refused.details.expect("details").causes[0].reason, "NamespaceTerminating");
    held["metadata"]["finalizers"] = json!([]);
    s.apply("a", &api, &held).await.expect("let go");
    s.until("gone", |cluster| cluster.get("", "Namespace", None, "shop").is_none()).await;
}

//! Namespaces: absent, terminating, gone.

use serde_json::{Value, json};

use super::apply::config_map;
use super::{Target, same_on_both};

#[tokio::test]
async fn a_write_into_a_missing_namespace_is_a_404_of_the_namespace() {
    same_on_both("missing-namespace", async |target| {
        let path = "/api/v1/namespaces/nowhere/configmaps";
        let body = config_map("a", &json!({}));
        target.record("apply", target.apply("one", &format!("{path}/a"), &body).await.expect(404));
        target.record("post", target.create(path, &body).await.expect(404));
        target.record("get", target.get(&format!("{path}/a")).await.expect(404));
        target.record("delete", target.delete(&format!("{path}/a"), &json!({})).await.expect(404));
        let list = target.get(path).await.expect(200);
        target.record_parts("list", list, &["/kind", "/items"]);
        let dry = format!("{path}/a?dryRun=All");
        target.record("dry run", target.apply("one", &dry, &body).await);
        target.record("namespace", target.get("/api/v1/namespaces/nowhere").await.expect(404));
    })
    .await;
}

#[tokio::test]
async fn a_namespace_is_applied_like_anything_else() {
    same_on_both("namespace", async |target| {
        let path = "/api/v1/namespaces/namespace-made";
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "namespace-made", "labels": {"x": "y"}},
        });
        target.record("create", target.apply("one", path, &body).await.expect(201));
        target.record("again", target.apply("one", path, &body).await.expect(200));
        let gone = target.delete(path, &json!({"propagationPolicy": "Background"})).await.expect(200);
        target.record("delete", gone);
        target.until_gone(path).await;
    })
    .await;
}

fn conditions(namespace: &Value) -> Value {
    let all =
        namespace.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let mut told: Vec<_> = all
        .map(|each| json!([each["type"], each["status"], each["reason"], each["message"]]))
        .collect();
    told.sort_by_key(Value::to_string);
    told.into()
}

async fn unblock(target: &Target, path: &str) {
    let change = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    target.patch(path, "json", &change).await.expect(200);
}

#[tokio::test]
async fn a_terminating_namespace_takes_nothing_new_and_says_what_holds_it() {
    same_on_both("terminating", async |target| {
        let held = target.config_map("held");
        let mut body = config_map("held", &json!({}));
        body["metadata"]["finalizers"] = json!(["example.com/stay"]);
        target.apply("one", &held, &body).await.expect(201);
        target.apply("one", &target.config_map("free"), &config_map("free", &json!({}))).await.expect(201);
        let path = format!("/api/v1/namespaces/{}", target.namespace);
        target.delete(&path, &json!({})).await.expect(200);
        let remains = "NamespaceFinalizersRemaining";
        let holding = |answer: &super::Answer| {
            let all = answer.at("/status/conditions");
            all.as_array().into_iter().flatten().any(|each| each["type"] == remains && each["status"] == "True")
        };
        let namespace = target.until(&path, "conditions", holding).await;
        target.note("phase", &namespace.at("/status/phase"));
        target.note("conditions", &conditions(&namespace.body));
        target.until_gone(&target.config_map("free")).await;
        let late = config_map("late", &json!({}));
        target.record("apply", target.apply("one", &target.config_map("late"), &late).await.expect(403));
        target.record("post", target.create(&target.at("v1", "configmaps"), &late).await.expect(403));
        let existing = target.apply("one", &held, &body).await.expect(200);
        target.record("apply to what is there", existing);
        let itself = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target.namespace, "labels": {"x": "y"}}});
        let itself = target.apply("one", &path, &itself).await.expect(200);
        target.record_parts("apply the namespace", itself, &["/status/phase", "/metadata/deletionTimestamp", "/metadata/labels"]);
        unblock(target, &held).await;
        target.until_gone(&path).await;
    })
    .await;
}

#[tokio::test]
async fn namespaces_of_the_system_stay() {
    same_on_both("system-namespaces", async |target| {
        for name in ["default", "kube-system", "kube-public"] {
            let path = format!("/api/v1/namespaces/{name}");
            target.record(name, target.delete(&path, &json!({})).await.expect(403));
            let read = target.get(&path).await.expect(200);
            target.record_parts(
                "read",
                read,
                &["/metadata/name", "/metadata/labels", "/status/phase", "/spec"],
            );
        }
    })
    .await;
}

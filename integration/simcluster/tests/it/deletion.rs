//! Deleting: preconditions, finalizers, dependants.

use crate::setup::{config_map, deployment, setup, status};
use kube::api::{DeleteParams, Preconditions};
use serde_json::json;

#[tokio::test]
async fn a_delete_with_another_uid_deletes_nothing() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let made = s.apply("a", &api, &config_map("web", &json!({}))).await.expect("created");
    let with = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    let refused = status(api.delete("web", &with("other")).await.expect_err("another uid"));
    assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
    let uid = made.metadata.uid.expect("a uid");
    let gone = api.delete("web", &with(&uid)).await.expect("deleted");
    assert!(gone.is_right(), "a success without the object: {gone:?}");
    assert!(s.cluster.get("", "ConfigMap", Some("default"), "web").is_none());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let mut body = config_map("web", &json!({}));
    body["metadata"]["finalizers"] = json!(["example.com/stay"]);
    s.apply("a", &api, &body).await.expect("created");
    let held = api.delete("web", &DeleteParams::default()).await.expect("deleting");
    let held = held.left().expect("the object");
    assert!(held.metadata.deletion_timestamp.is_some());
    let applied = s.apply("a", &api, &body).await.expect("an apply is answered all the same");
    assert!(applied.metadata.deletion_timestamp.is_some());
    body["metadata"]["finalizers"] = json!([]);
    s.apply("a", &api, &body).await.expect("taken off");
    assert_eq!(status(api.get("web").await.expect_err("gone")).code, 404);
}

#[tokio::test]
async fn a_deployment_takes_its_pods_along_in_the_background_and_before_it_in_the_foreground() {
    let s = setup().await;
    for (params, at_once) in
        [(DeleteParams::background(), true), (DeleteParams::foreground(), false)]
    {
        s.apply("a", &s.deployments(), &deployment("web:1", 2)).await.expect("created");
        s.until("two pods", |cluster| cluster.list("", "Pod").len() == 2).await;
        let answer = s.deployments().delete("web", &params).await.expect("deleted");
        assert_eq!(answer.is_right(), at_once);
        s.until("nothing left", |cluster| {
            let kinds = [("apps", "Deployment"), ("apps", "ReplicaSet"), ("", "Pod")];
            kinds.iter().all(|(group, kind)| cluster.list(group, kind).is_empty())
        })
        .await;
    }
}

#[tokio::test]
async fn orphaned_pods_keep_running_without_an_owner() {
    let s = setup().await;
    s.apply("a", &s.deployments(), &deployment("web:1", 1)).await.expect("created");
    s.until("a replica set", |cluster| !cluster.list("apps", "ReplicaSet").is_empty()).await;
    s.deployments().delete("web", &DeleteParams::orphan()).await.expect("deleted");
    s.until("gone", |cluster| cluster.list("apps", "Deployment").is_empty()).await;
    let set = &s.cluster.list("apps", "ReplicaSet")[0];
    assert!(set["metadata"]["ownerReferences"].is_null(), "{set}");
}

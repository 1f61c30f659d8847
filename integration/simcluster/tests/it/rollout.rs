//! Workloads move on their own.

use crate::setup::setup;
use serde_json::{Value, json};

pub(crate) fn deployment(image: &str, replicas: u32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]}}}})
}

#[tokio::test]
async fn a_deployment_becomes_available() {
    let s = setup().await;
    let api = s.api("apps", "v1", "Deployment", Some("default"));
    let reply = s.apply("a", &api, &deployment("web:1", 3)).await.unwrap();
    assert!(reply.data["status"]["observedGeneration"].is_null());
    s.until("three available pods", |cluster| {
        let object = cluster.get("apps", "Deployment", Some("default"), "web").unwrap();
        object["status"]["availableReplicas"] == 3 && object["status"]["observedGeneration"] == 1
    })
    .await;
}

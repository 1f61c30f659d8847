//! Reading: pages, metadata, selectors.

use crate::setup::{config_map, setup, status};
use kube::api::ListParams;
use serde_json::{Value, json};

#[tokio::test]
async fn pages_show_one_moment_and_a_forgotten_moment_is_410() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    for name in ["a", "b", "c"] {
        let mut body = config_map(name, &json!({}));
        body["metadata"]["labels"] = json!({"app": "web"});
        s.apply("x", &api, &body).await.expect("created");
    }
    let page = ListParams::default().labels("app").limit(2);
    let first = api.list(&page).await.expect("a page");
    assert_eq!(first.items.len(), 2);
    s.cluster.delete("", "ConfigMap", Some("default"), "c").expect("deleted");
    let token = first.metadata.continue_.expect("a token");
    let rest = page.clone().continue_token(&token);
    let second = api.list(&rest).await.expect("the next page");
    assert_eq!(second.items[0].metadata.name.as_deref(), Some("c"), "as it was at the first page");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    s.cluster.compact();
    let expired = status(api.list(&rest).await.expect_err("forgotten"));
    assert_eq!((expired.code, &*expired.reason), (410, "Expired"));
}

#[tokio::test]
async fn metadata_alone_has_no_data() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("x", &api, &config_map("a", &json!({"k": "secret"}))).await.expect("created");
    let one = api.get_metadata("a").await.expect("metadata");
    assert_eq!(one.metadata.managed_fields.expect("owners")[0].manager.as_deref(), Some("x"));
    let by_name = ListParams::default().fields("metadata.name=a");
    let all = api.list_metadata(&by_name).await.expect("metadata");
    assert_eq!(all.items.len(), 1);
    assert!(!serde_json::to_string(&all).expect("JSON").contains("secret"));
}

#[tokio::test]
async fn a_wrong_token_is_401_and_an_unknown_cluster_404() {
    let s = setup().await;
    let wrong = s.server.kubeconfig("sim").replace("token: sim-", "token: not-");
    let client = crate::setup::client(&wrong).await;
    let refused = client.apiserver_version().await.expect_err("refused");
    assert_eq!(status(refused).code, 401);
    let client = crate::setup::client(&s.server.kubeconfig("elsewhere")).await;
    assert_eq!(status(client.apiserver_version().await.expect_err("refused")).code, 404);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_uids() {
    let uid = |seed: u64| {
        let options = simcluster::Options { seed, controllers: false, ..crate::setup::quick() };
        let cluster = simcluster::Cluster::new(options);
        let made = cluster.apply_as("x", false, config_map("a", &json!({}))).expect("created");
        made["metadata"]["uid"].clone()
    };
    assert_eq!(uid(7), uid(7));
    assert_ne!(uid(7), uid(8));
    assert!(matches!(uid(7), Value::String(text) if text.len() == 36));
}

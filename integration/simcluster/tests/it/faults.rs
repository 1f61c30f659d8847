//! Broken networks, refused requests, and the count of what was asked.

use crate::setup::{config_map, setup, status};
use kube::api::ListParams;
use serde_json::json;
use simcluster::{Partition, Reject};
use std::time::Duration;

#[tokio::test]
async fn a_partition_resets_or_stalls_and_heals() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let list = ListParams::default();
    api.list(&list).await.expect("before");
    s.cluster.faults().partition(Partition::Reset);
    let cut = api.list(&list).await.expect_err("cut");
    assert!(!matches!(cut, kube::Error::Api(_)), "no answer at all: {cut:?}");
    s.cluster.faults().partition(Partition::Stall);
    let waiting = api.list(&list);
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "nothing arrives");
    s.cluster.faults().heal();
    waiting.await.expect("what was stalled goes on");
    api.list(&list).await.expect("after");
}

#[tokio::test]
async fn a_refusal_bites_so_often_with_code_reason_and_retry_after() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let busy = Reject::new("apply", "configmaps", 429, "too many requests").times(2).retry_after(1);
    s.cluster.faults().reject(busy);
    for _ in 0..2 {
        let body = config_map("web", &json!({}));
        let refused = status(s.apply("a", &api, &body).await.expect_err("refused"));
        assert_eq!((refused.code, &*refused.reason), (429, "TooManyRequests"));
        assert_eq!(refused.details.expect("details").retry_after_seconds, 1);
    }
    api.list(&ListParams::default()).await.expect("other verbs go on");
    s.apply("a", &api, &config_map("web", &json!({}))).await.expect("the third time");
}

#[tokio::test]
async fn requests_are_counted_by_verb_and_resource() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("a", &api, &config_map("web", &json!({}))).await.expect("created");
    s.cluster.reset_requests();
    api.get("web").await.expect("it is there");
    api.list_metadata(&ListParams::default()).await.expect("a list");
    let log = s.cluster.requests();
    assert_eq!((log.writes(), log.total()), (0, 2));
    assert_eq!((log.count("get", "configmaps"), log.count("list", "*")), (1, 1));
    s.apply("a", &api, &config_map("web", &json!({}))).await.expect("no change");
    assert_eq!(s.cluster.requests().count("apply", "configmaps"), 1);
    assert_eq!(s.cluster.requests().writes(), 1);
}

#[tokio::test]
async fn a_slow_cluster_takes_its_time() {
    let s = setup().await;
    s.cluster.faults().slow(Duration::from_millis(80));
    let started = std::time::Instant::now();
    s.core("ConfigMap").list(&ListParams::default()).await.expect("a list");
    assert!(started.elapsed() >= Duration::from_millis(80));
}

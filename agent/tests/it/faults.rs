//! API servers that are away, slow, or say no.

use model::{Phase, Reason};
use serde_json::json;
use simcluster::{Partition, Reject, Status};

use crate::world::{World, config_map, namespace};

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_api_server_is_named_and_work_goes_on_when_it_is_back() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.cluster.faults().partition(Partition::Reset);
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
    let report = world.hub.reported("web", 2, |p| matches!(p, Phase::Degraded { .. })).await;
    let Phase::Degraded { reason, .. } = report.phase else { unreachable!() };
    assert_eq!(reason, Reason::ApiServerUnreachable);
    world.cluster.faults().heal();
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_at_the_start_is_waited_for() {
    let world = World::new().await;
    world.cluster.faults().partition(Partition::Reset);
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.reported("web", 1, |p| matches!(p, Phase::Degraded { .. })).await;
    world.cluster.faults().heal();
    world.hub.healthy("web", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_seen_through_cut_expired_and_failing_watches() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    let gone = Status::new(410, "Expired", "too old resource version");
    for round in 0..3 {
        match round {
            0 => world.cluster.faults().cut_watches(),
            1 => world.cluster.faults().fail_watches(gone.clone()),
            _ => {
                world.cluster.faults().expire_watches(2);
                world.cluster.faults().cut_watches();
            }
        }
        let edit = json!({"data": {"key": "edited"}});
        world
            .cluster
            .merge_patch_as("kubectl-edit", "", "ConfigMap", Some("shop"), "web", edit)
            .unwrap();
        world
            .until("the correction", |c| {
                c.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"] == "one"
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttling_server_is_asked_more_slowly_and_the_release_arrives() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let slow = Reject::new("apply", "configmaps", 429, "too many requests").retry_after(1).times(3);
    world.cluster.faults().reject(slow);
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), config_map("db", "one")]);
    world.hub.healthy("web", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_object_does_not_stop_the_others_and_nothing_is_pruned() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), config_map("old", "one")]);
    world.hub.healthy("web", 1).await;
    let denied =
        "admission webhook \"policy.example.com\" denied the request: hunter2hunter2 is weak";
    for kind in ["secrets", "serviceaccounts"] {
        world.cluster.faults().reject(Reject::new("apply", kind, 403, denied));
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "s", "namespace": "shop"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"}, "stringData": {"password": "hunter2hunter2"}});
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two"), secret, account]);
    let report = world
        .hub
        .reported("web", 2, |p| matches!(p, Phase::Failed { .. } | Phase::Degraded { .. }));
    let report = report.await;
    assert_eq!(world.data("web", "key").as_deref(), Some("two"), "{report:?}");
    assert!(world.get("", "ConfigMap", "old").is_some(), "nothing is pruned after a failure");
    world.cluster.faults().accept_all();
    let text = format!("{:?}", world.hub.book.lock().unwrap().reports);
    assert!(!text.contains("hunter2"), "no secret leaves the cluster");
}

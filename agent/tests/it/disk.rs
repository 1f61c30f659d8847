//! A full disk: nothing new is started, what runs is kept and repaired.

use model::Reason;
use serde_json::json;

use crate::world::{World, config_map, namespace};

/// Writes of this value fail as on a full disk.
fn fill(world: &World, name: &str) {
    let path = world.path("state").join(format!("{name}.new"));
    std::os::unix::fs::symlink("/dev/full", path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_cannot_be_stored_is_not_followed_and_drift_is_still_corrected() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    // the failed write removes what stood in its way, so it is put there again for each try
    let stop = tokio_util::sync::CancellationToken::new();
    let filling = tokio::spawn({
        let (stop, path) = (stop.clone(), world.path("state/grants/web.new"));
        async move {
            while !stop.is_cancelled() {
                drop(std::os::unix::fs::symlink("/dev/full", &path));
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
    let refused = world.hub.until("the refusal", |b| b.refused.last().cloned()).await;
    assert_eq!(Reason::from_code(&refused.reason), Some(Reason::AgentStateUnwritable));
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
    stop.cancel();
    filling.await.unwrap();
    drop(std::fs::remove_file(world.path("state/grants/web.new")));
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_inventory_nothing_is_written() {
    let world = World::new().await;
    std::fs::create_dir_all(world.path("state/inventory")).unwrap();
    fill(&world, "inventory/web");
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    let found = world.hub.until("the reason", |b| match &b.reports.last()?.1.phase {
        model::Phase::Degraded { reason, .. } => Some(*reason),
        model::Phase::Applying | model::Phase::Healthy | model::Phase::Failed { .. } => None,
    });
    assert_eq!(found.await, Reason::AgentStateUnwritable);
    // the link is gone with the first failure: the disk has room again
    world.hub.healthy("web", 1).await;
}

//! What somebody changes is put back, from watches alone, within two seconds.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, config_map, deployment, namespace};

/// The promise, from the change to the correction.
const PROMISE: Duration = Duration::from_secs(2);

async fn settled() -> (World, agent::Running) {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), deployment("web", "web:1")]);
    world.hub.healthy("web", 1).await;
    world.quiet(Duration::from_millis(500)).await;
    (world, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_field_is_corrected() {
    let (world, agent) = settled().await;
    let edit = json!({"data": {"key": "edited", "extra": "kept"}});
    world
        .cluster
        .merge_patch_as("kubectl-edit", "", "ConfigMap", Some("shop"), "web", edit)
        .unwrap();
    let took = world.until("the correction", |c| {
        let object = c.get("", "ConfigMap", Some("shop"), "web");
        object.is_some_and(|o| o["data"]["key"] == "one")
    });
    let took = took.await;
    assert!(took < PROMISE, "took {took:?}");
    assert_eq!(
        world.data("web", "extra").as_deref(),
        Some("kept"),
        "what is not ours is left alone"
    );
    let report =
        world.hub.until("the drift", |b| b.reports.last().filter(|r| r.1.drifted == 1).cloned());
    report.await;
    let text = agent.metrics();
    assert!(
        text.contains(r#"tidegate_agent_drift_corrected_total{app="web",kind="ConfigMap"} 1"#),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_object_is_made_again() {
    let (world, _agent) = settled().await;
    world.cluster.delete("", "ConfigMap", Some("shop"), "web").unwrap();
    let took =
        world.until("the object", |c| c.get("", "ConfigMap", Some("shop"), "web").is_some()).await;
    assert!(took < PROMISE, "took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_label_is_put_back_and_the_object_stays_the_same() {
    let (world, _agent) = settled().await;
    let uid = world.get("", "ConfigMap", "web").unwrap()["metadata"]["uid"].clone();
    let edit = json!({"metadata": {"labels": {"tidegate.dev/app": null}}});
    world
        .cluster
        .merge_patch_as("kubectl-label", "", "ConfigMap", Some("shop"), "web", edit)
        .unwrap();
    let took = world.until("the label", |c| {
        let object = c.get("", "ConfigMap", Some("shop"), "web").unwrap();
        object["metadata"]["labels"]["tidegate.dev/app"] == "web"
    });
    let took = took.await;
    assert!(took < PROMISE, "took {took:?}");
    assert_eq!(world.get("", "ConfigMap", "web").unwrap()["metadata"]["uid"], uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_state_costs_no_request_and_a_hundred_repeats_of_the_grant_neither() {
    let (world, _agent) = settled().await;
    world.cluster.reset_requests();
    let directive = world.hub.book.lock().unwrap().directives.values().next().unwrap().clone();
    for _ in 0..100 {
        world.hub.say("web", directive.directive, directive.options.clone());
    }
    let before = world.hub.book.lock().unwrap().reports.len();
    world.hub.until("two more reports", |b| (b.reports.len() > before + 1).then_some(())).await;
    let asked = world.cluster.requests();
    assert_eq!(
        (asked.writes(), asked.count("get", "*"), asked.count("list", "*")),
        (0, 0, 0),
        "{:?}",
        asked.counts()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s38_a_fight_slows_down_and_is_named() {
    let (world, _agent) = settled().await;
    for n in 0..6 {
        let edit = json!({"data": {"key": format!("edit {n}")}});
        world.cluster.merge_patch_as("robot", "", "ConfigMap", Some("shop"), "web", edit).unwrap();
        world
            .until("a correction", |c| {
                c.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"] == "one"
            })
            .await;
    }
    let edit = json!({"data": {"key": "last"}});
    world.cluster.merge_patch_as("robot", "", "ConfigMap", Some("shop"), "web", edit).unwrap();
    let found = world.hub.until("the fight", |b| {
        let report = &b.reports.last()?.1;
        report.unhealthy.iter().find(|o| o.reason == Some(model::Reason::Fighting)).cloned()
    });
    let found = found.await;
    assert!(found.message.contains("robot"), "{}", found.message);
    assert_eq!(world.data("web", "key").as_deref(), Some("last"), "not corrected again at once");
}

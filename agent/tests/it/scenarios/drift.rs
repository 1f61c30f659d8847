//! s34 to s37: what others change.

use std::time::Duration;

use agent::Running;
use serde_json::json;

use super::outside::uid;
use super::scene::{Scene, quiet, requests};

/// The promise, from the change to the correction.
const PROMISE: Duration = Duration::from_secs(2);

async fn settled(scene: &Scene) -> Running {
    let agent = scene.agent().await;
    let set = [scene.namespace(), scene.config_map("web", "one"), scene.deployment("web", "web:1")];
    scene.grant(1, &set);
    scene.healthy(1).await;
    quiet(&agent, Duration::from_secs(1)).await;
    agent
}

pub(crate) async fn s34_an_edited_field_is_corrected_within_two_seconds(scene: &Scene) {
    let agent = settled(scene).await;
    let edit = json!({"data": {"key": "edited", "extra": "kept"}});
    scene.outside.edit_as("kubectl-edit", &scene.config_map("web", ""), &edit).await.ok();
    let took = scene.until_data("web", "one").await;
    assert!(took < PROMISE, "took {took:?}");
    let live = scene.outside.get(&scene.config_map("web", "")).await.unwrap();
    assert_eq!(live["data"]["extra"], "kept", "what is not ours is left alone");
    scene.hub.until("the drift", |b| b.reports.last().filter(|r| r.1.drifted == 1).cloned()).await;
    let counted = format!(r#"drift_corrected_total{{app="{}",kind="ConfigMap"}} 1"#, scene.name);
    assert!(agent.metrics().contains(&counted), "{}", agent.metrics());
}

pub(crate) async fn s35_a_thousand_changes_of_what_is_not_ours_cost_no_request(scene: &Scene) {
    let agent = settled(scene).await;
    let verbs = ["apply", "patch", "delete", "get", "list", "probe"];
    let before = verbs.map(|verb| requests(&agent, verb, "*"));
    let (map, web) = (scene.config_map("web", ""), scene.deployment("web", "web:1"));
    for n in 0..500 {
        let edit = json!({"metadata": {"labels": {"theirs": n.to_string()}}});
        scene.outside.edit_as("kubectl-label", &map, &edit).await.ok();
        // Not an annotation: a new one is a new generation of a Deployment, which has to be observed.
        scene.outside.edit_as("kubectl-label", &web, &edit).await.ok();
    }
    scene.hub.some_reports_later().await;
    assert_eq!(verbs.map(|verb| requests(&agent, verb, "*")), before, "{verbs:?}");
}

pub(crate) async fn s36_a_removed_label_is_put_back_on_the_same_object(scene: &Scene) {
    let agent = settled(scene).await;
    let map = scene.config_map("web", "");
    let before = uid(&scene.outside.get(&map).await.unwrap());
    let edit = json!({"metadata": {"labels": {"tidegate.dev/app": null}}});
    scene.outside.edit_as("kubectl-label", &map, &edit).await.ok();
    let took = scene.outside.until("the label", &map, |live| {
        live.is_some_and(|o| o["metadata"]["labels"]["tidegate.dev/app"] == scene.name.as_str())
    });
    let took = took.await;
    assert!(took < PROMISE, "took {took:?}");
    assert_eq!(uid(&scene.outside.get(&map).await.unwrap()), before);
    assert_eq!(requests(&agent, "apply", "201"), 3, "no duplicate: the first three creations");
}

pub(crate) async fn s37_a_deleted_object_is_back_within_two_seconds(scene: &Scene) {
    let _agent = settled(scene).await;
    let map = scene.config_map("web", "");
    let before = uid(&scene.outside.get(&map).await.unwrap());
    scene.outside.delete(&map).await.ok();
    let took = scene.outside.until("a new one", &map, |live| {
        live.is_some_and(|o| uid(o) != before && o["data"]["key"] == "one")
    });
    let took = took.await;
    assert!(took < PROMISE, "took {took:?}");
    scene.hub.until("the drift", |b| b.reports.last().filter(|r| r.1.drifted == 1).cloned()).await;
}

//! s23 to s33: what is deleted, and above all what is not.

use std::time::Duration;

use model::{Phase, Reason};
use serde_json::{Value, json};

use super::order::{checked, dead_webhook, definition, widget};
use super::outside::uid;
use super::scene::{Scene, delete_all, namespace, quiet, requests};

/// Waits until the prune of `epoch` says why it does not get on.
async fn blocked(scene: &Scene, epoch: u64, about: &str) -> String {
    let report = scene.reported(epoch, |phase| match phase {
        Phase::Degraded { reason: Reason::PruneBlocked, message } => message.contains(about),
        Phase::Applying | Phase::Healthy | Phase::Degraded { .. } | Phase::Failed { .. } => false,
    });
    let Phase::Degraded { message, .. } = report.await.phase else {
        unreachable!("only a degraded report was waited for")
    };
    message
}

pub(crate) async fn s23_what_a_failed_release_wrote_is_pruned_with_it(scene: &Scene) {
    let _agent = scene.agent().await;
    let base = [scene.namespace(), scene.config_map("web", "one")];
    scene.grant(1, &base);
    scene.healthy(1).await;
    let mut wrong = scene.deployment("wrong", "web:1");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"app": "another"});
    let half = scene.config_map("half", "two");
    scene.grant(2, &[base[0].clone(), base[1].clone(), half.clone(), wrong]);
    scene.failed(2).await;
    assert!(scene.outside.get(&half).await.is_some(), "it was half applied");
    scene.grant(3, &base);
    scene.healthy(3).await;
    assert!(scene.outside.get(&half).await.is_none(), "no orphan");
}

pub(crate) async fn s25_what_somebody_made_again_is_left_alone(scene: &Scene) {
    let agent = scene.agent().await;
    let old = scene.config_map("old", "one");
    let base = [scene.namespace(), scene.config_map("web", "one")];
    // Or the first grant, which still wants the object, might adopt the new one before the second is heard.
    let choices = json!({"adopt": "Never"});
    scene.grant_choosing(1, &[base[0].clone(), base[1].clone(), old.clone()], &choices);
    scene.healthy(1).await;
    agent.stop().await.unwrap();
    scene.outside.delete(&old).await.ok();
    scene.outside.until_gone(&old).await;
    let theirs = scene.config_map("old", "theirs");
    let theirs = uid(&scene.outside.create_as("kubectl-create", &theirs).await.ok());
    scene.grant_choosing(2, &base, &choices);
    let _agent = scene.agent().await;
    scene.healthy(2).await;
    assert_eq!(uid(&scene.outside.get(&old).await.unwrap()), theirs);
}

pub(crate) async fn s27_a_live_wish_to_stay_is_kept(scene: &Scene) {
    let agent = scene.agent().await;
    let kept = scene.config_map("kept", "one");
    let base = [scene.namespace(), scene.config_map("web", "one")];
    scene.grant(1, &[base[0].clone(), base[1].clone(), kept.clone()]);
    scene.healthy(1).await;
    let wish = json!({"metadata": {"annotations": {"tidegate.dev/prune": "disabled"}}});
    scene.outside.edit_as("kubectl-annotate", &kept, &wish).await.ok();
    quiet(&agent, Duration::from_millis(500)).await;
    scene.grant(2, &base);
    scene.healthy(2).await;
    let live = scene.outside.get(&kept).await.unwrap();
    assert_eq!(live["data"]["key"], "one");
    assert!(live.pointer("/metadata/labels/tidegate.dev~1app").is_none(), "{live}");
    let orphaned = format!(r#"prune_total{{app="{}",result="orphaned"}} 1"#, scene.name);
    assert!(agent.metrics().contains(&orphaned), "{}", agent.metrics());
}

pub(crate) async fn s30_a_definition_with_foreign_instances_stays(scene: &Scene) {
    let _agent = scene.agent().await;
    let definition = definition(scene, "Namespaced");
    let base = [scene.namespace(), scene.config_map("web", "one")];
    scene.grant(1, &[base[0].clone(), base[1].clone(), definition.clone()]);
    scene.healthy(1).await;
    for name in ["theirs", "theirs-too"] {
        scene.outside.create_as("kubectl-create", &widget(scene, name)).await.ok();
    }
    scene.grant(2, &base);
    let message = blocked(scene, 2, "Widget").await;
    assert!(message.contains('2'), "they are counted: {message}");
    let live = scene.outside.get(&definition).await.unwrap();
    assert!(live["metadata"].get("deletionTimestamp").is_none());
    for name in ["theirs", "theirs-too"] {
        scene.outside.delete(&widget(scene, name)).await.ok();
    }
    scene.healthy(2).await;
    scene.outside.until_gone(&definition).await;
}

pub(crate) async fn s31_what_was_removed_by_hand_is_forgotten_and_a_silent_group_is_waited_for(
    scene: &Scene,
) {
    let _agent = scene.agent().await;
    let definition = definition(scene, "Namespaced");
    let custom = widget(scene, "w");
    let set = [scene.namespace(), definition.clone(), custom.clone()];
    scene.grant(1, &set);
    scene.healthy(1).await;
    scene.grant(2, &[set[0].clone(), scene.config_map("web", "one"), definition.clone(), custom]);
    scene.healthy(2).await;
    scene.hub.stop();
    // The group answers no more: another server shall serve it, and that one is not there.
    let group = format!("{}.example.com", scene.name);
    let silent = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("v1.{group}")},
        "spec": {"group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"name": "nobody", "namespace": scene.name}, "insecureSkipTLSVerify": true},
    });
    scene.outside.delete(&definition).await.ok();
    scene.outside.until_gone(&definition).await;
    let start = tokio::time::Instant::now();
    while !matches!(scene.outside.create_as("kubectl-create", &silent).await.code, 201) {
        assert!(start.elapsed() < crate::hub::PATIENCE, "the old service of the group never goes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.hub.listen(&format!("hub.{}.internal", crate::hub::FLEET)).await;
    delete_all(scene, 3, &json!({}));
    let waits = blocked(scene, 3, "Widget").await;
    assert!(waits.contains("cannot be looked at"), "{waits}");
    assert!(scene.outside.get(&scene.namespace()).await.is_some(), "it may still hold something");
    scene.outside.delete(&silent).await.ok();
    scene.healthy(3).await;
    scene.outside.until_gone(&scene.namespace()).await;
}

pub(crate) async fn s32_a_namespace_with_foreign_objects_stays_and_they_are_named(scene: &Scene) {
    let agent = scene.agent().await;
    let other = namespace(&format!("{}-other", scene.name));
    let inside = |name: &str| -> Value {
        let mut object = scene.config_map(name, "one");
        object["metadata"]["namespace"] = other["metadata"]["name"].clone();
        object
    };
    scene.grant(1, &[other.clone(), inside("ours")]);
    scene.healthy(1).await;
    scene.outside.create_as("kubectl-create", &inside("foreign")).await.ok();
    delete_all(scene, 2, &json!({}));
    let message = blocked(scene, 2, "foreign").await;
    assert!(message.contains("ConfigMap"), "{message}");
    assert!(scene.outside.get(&inside("ours")).await.is_none(), "ours went");
    assert!(
        scene.outside.get(&other).await.unwrap()["metadata"].get("deletionTimestamp").is_none()
    );
    assert_eq!(requests(&agent, "delete", "200"), 1, "nothing but ours");
    scene.outside.delete(&inside("foreign")).await.ok();
    scene.healthy(2).await;
    scene.outside.until_gone(&other).await;
}

pub(crate) async fn s26_a_child_with_copied_labels_survives_a_lost_inventory(scene: &Scene) {
    let agent = scene.agent().await;
    let old = scene.config_map("old", "one");
    let base = [scene.namespace(), scene.config_map("web", "one")];
    scene.grant(1, &[base[0].clone(), base[1].clone(), old.clone()]);
    scene.healthy(1).await;
    let live = scene.outside.get(&old).await.unwrap();
    let mut child = scene.config_map("child", "theirs");
    for mark in ["labels", "annotations"] {
        child["metadata"][mark] = live["metadata"][mark].clone();
    }
    scene.outside.create_as("operator", &child).await.ok();
    agent.stop().await.unwrap();
    std::fs::remove_file(scene.path("state/inventory").join(&scene.name)).unwrap();
    scene.grant(2, &base);
    let _agent = scene.agent().await;
    scene.healthy(2).await;
    assert!(scene.outside.get(&old).await.is_none(), "known again by its marks");
    assert_eq!(scene.data("child").await.as_deref(), Some("theirs"));
}

pub(crate) async fn s24_a_denied_prune_is_made_up_for_once_it_is_allowed(scene: &Scene) {
    let agent = scene.agent().await;
    let old = checked(scene, "old");
    let base = [scene.namespace(), scene.config_map("web", "one")];
    scene.grant(1, &[base[0].clone(), base[1].clone(), old.clone()]);
    scene.healthy(1).await;
    let webhook = dead_webhook(scene, &["DELETE"]);
    scene.outside.create_as("kubectl-create", &webhook).await.ok();
    let start = tokio::time::Instant::now();
    loop {
        let probe = checked(scene, "probe");
        scene.outside.create_as("kubectl-create", &probe).await;
        if scene.outside.delete(&probe).await.code == 500 {
            break;
        }
        assert!(start.elapsed() < crate::hub::PATIENCE, "the webhook is never asked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.grant(2, &base);
    let start = tokio::time::Instant::now();
    while requests(&agent, "delete", "500") == 0 {
        assert!(start.elapsed() < crate::hub::PATIENCE, "nothing was tried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(scene.outside.get(&old).await.is_some());
    scene.outside.delete(&webhook).await.ok();
    scene.outside.until_gone(&old).await;
    scene.healthy(2).await;
}

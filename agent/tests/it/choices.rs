//! What an App chose: it comes with the release, and goes with it.

use model::{AppName, Choices, Ignore, Reason};
use proto::convert::GrantOptions;
use serde_json::{Value, json};

use crate::world::{World, config_map, deployment, namespace};

/// The document that a release carries.
fn document(choices: &Choices) -> Value {
    let app = AppName::parse("web").unwrap();
    serde_json::from_slice(&choices.document(&app)).unwrap()
}

fn replicas(world: &World) -> Option<i64> {
    world.get("apps", "Deployment", "web")?["spec"]["replicas"].as_i64()
}

fn scale(world: &World, replicas: u32) {
    let edit = json!({"spec": {"replicas": replicas}});
    let done = world.cluster.merge_patch_as(
        "kubectl-edit",
        "apps",
        "Deployment",
        Some("shop"),
        "web",
        edit,
    );
    done.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_left_to_others_keeps_their_value_through_repairs_and_releases() {
    let world = World::new().await;
    let agent = world.agent().await;
    let ignore = Ignore {
        kind: "Deployment".to_owned(),
        paths: vec!["/spec/replicas".to_owned()],
        ..Ignore::default()
    };
    let left = document(&Choices { ignore: vec![ignore], ..Choices::default() });
    let set = |image: &str, left: &Value| vec![left.clone(), namespace(), deployment("web", image)];
    world.hub.grant("web", 1, &set("web:1", &left));
    world.hub.healthy("web", 1).await;
    assert_eq!(replicas(&world), Some(2), "somebody has to begin");
    scale(&world, 3);
    let owned_by_us = |cluster: &simcluster::Cluster| {
        let web = cluster.get("apps", "Deployment", Some("shop"), "web").unwrap();
        let entries = web["metadata"]["managedFields"].as_array().unwrap();
        let ours = entries.iter().filter(|e| e["manager"] == "tidegate-agent/web");
        ours.into_iter().any(|e| e["fieldsV1"]["f:spec"].get("f:replicas").is_some())
    };
    world.until("the field to be given up", |cluster| !owned_by_us(cluster)).await;
    assert_eq!(replicas(&world), Some(3));
    world.hub.grant("web", 2, &set("web:2", &left));
    world.hub.healthy("web", 2).await;
    assert_eq!(replicas(&world), Some(3), "a release does not take it back");
    // A release that leaves nothing to others takes it back.
    world.hub.grant("web", 3, &set("web:2", &namespace())[1..]);
    world.until("the replicas of the release", |_| replicas(&world) == Some(2)).await;
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_rule_of_an_app_outranks_the_built_in_one_and_goes_with_its_release() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let ruled = |ready: &str| {
        let rule = json!({"name": "apps/web/app.yaml ConfigMap", "apiVersion": "v1",
            "kind": "ConfigMap", "ready": ready});
        document(&Choices { health: vec![rule], ..Choices::default() })
    };
    let set = |rule: &[Value]| [rule, &[namespace(), config_map("flag", "one")]].concat();
    world.hub.grant("web", 1, &set(&[]));
    world.hub.healthy("web", 1).await;
    // Of a config map there was only the metadata; the rule needs all of it.
    world.hub.grant("web", 2, &set(&[ruled("has(data.open) && data.open == 'yes'")]));
    let waits = world.hub.until("not ready", |book| {
        let report = &book.reports.iter().rev().find(|r| r.1.epoch.0 == 2)?.1;
        report.unhealthy.iter().find(|o| o.key.name == "flag").map(|o| o.health)
    });
    assert_eq!(waits.await, model::Health::Progressing);
    let open = json!({"data": {"open": "yes"}});
    let flag = ("", "ConfigMap", Some("shop"), "flag");
    world.cluster.merge_patch_as("kubectl-edit", flag.0, flag.1, flag.2, flag.3, open).unwrap();
    world.hub.healthy("web", 2).await;
    // A rule that errs says so, and nothing is taken for healthy.
    world.hub.grant("web", 3, &set(&[ruled("data.key + 1 == 2")]));
    let errs = world.hub.until("the fault of the rule", |book| {
        let report = &book.reports.iter().rev().find(|r| r.1.epoch.0 == 3)?.1;
        let object = report.unhealthy.iter().find(|o| o.reason == Some(Reason::HealthUnknown))?;
        Some((object.health, object.message.clone()))
    });
    let (health, message) = errs.await;
    assert_eq!(health, model::Health::Unknown);
    assert!(message.contains("apps/web/app.yaml ConfigMap"), "{message}");
    world.hub.grant("web", 4, &set(&[]));
    world.hub.healthy("web", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_goes_goes_the_way_that_its_last_release_chose() {
    let world = World::new().await;
    let agent = world.agent().await;
    let orphan = document(&Choices { orphan: true, ..Choices::default() });
    let set = [orphan, namespace(), config_map("web", "one")];
    world.hub.grant("web", 1, &set);
    world.hub.healthy("web", 1).await;
    // The hub takes the App away; the agent dies before it is done.
    world.cluster.faults().partition(simcluster::Partition::Reset);
    let allow = ["EmptySet", "NamespaceWipe", "MassPrune"].map(str::to_owned).to_vec();
    let gone = GrantOptions { allow, ..GrantOptions::default() };
    world.hub.grant_with("web", 2, &[], gone);
    world.hub.reported("web", 2, |_| true).await;
    drop(agent);
    world.cluster.faults().clear();
    let _agent = world.agent().await;
    world.hub.healthy("web", 2).await;
    let live = world.get("", "ConfigMap", "web").unwrap();
    assert_eq!(live["data"]["key"], "one");
    assert!(!live.to_string().contains("tidegate"), "{live}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_health_does_not_count_holds_nobody_up_once_it_is_there() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let mut broken = deployment("tool", "tool:broken");
    world.hub.grant("web", 1, &[namespace(), broken.clone()]);
    world.hub.failed("web", 1).await;
    broken["metadata"]["annotations"] = json!({"tidegate.dev/health": "ignore"});
    let mut later = config_map("later", "one");
    later["metadata"]["annotations"] = json!({"tidegate.dev/wave": "1"});
    world.hub.grant("web", 2, &[namespace(), broken.clone(), later]);
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("later", "key").as_deref(), Some("one"));
    // A refusal to apply it still counts.
    broken["spec"]["selector"] = json!({"matchLabels": {"other": "one"}});
    world.hub.grant("web", 3, &[namespace(), broken]);
    world.hub.failed("web", 3).await;
}

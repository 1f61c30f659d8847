//! What is no longer desired goes; what is not proven to be ours stays.

use std::time::Duration;

use model::Reason;
use proto::convert::GrantOptions;
use serde_json::json;

use crate::held;
use crate::world::{World, config_map, deployment, namespace};

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_object_is_pruned_and_a_copy_of_it_by_hand_survives() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let both = [namespace(), config_map("web", "one"), config_map("old", "one")];
    world.hub.grant("web", 1, &both);
    world.hub.healthy("web", 1).await;
    // with all labels and annotations of the original, as `kubectl get -o yaml | sed` makes it
    let mut copy = world.get("", "ConfigMap", "old").unwrap();
    let labels = copy["metadata"]["labels"].clone();
    let annotations = copy["metadata"]["annotations"].clone();
    copy = config_map("copy", "mine");
    copy["metadata"]["labels"] = labels;
    copy["metadata"]["annotations"] = annotations;
    world.cluster.create_as("kubectl-create", copy).unwrap();
    world.hub.grant("web", 2, &both[..2]);
    world.hub.healthy("web", 2).await;
    assert!(world.get("", "ConfigMap", "old").is_none());
    assert_eq!(world.data("copy", "key").as_deref(), Some("mine"));
    assert!(world.get("", "ConfigMap", "web").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_made_again_is_not_pruned() {
    let world = World::new().await;
    let agent = world.agent().await;
    let both = [namespace(), config_map("web", "one"), config_map("old", "one")];
    // Or the first grant, which still wants the object, might adopt the new one before the second is heard.
    let options =
        || GrantOptions { choices: br#"{"adopt": "Never"}"#.to_vec(), ..GrantOptions::default() };
    world.hub.grant_with("web", 1, &both, options());
    world.hub.healthy("web", 1).await;
    agent.stop().await.unwrap();
    world.cluster.delete("", "ConfigMap", Some("shop"), "old").unwrap();
    world.cluster.create_as("kubectl-create", config_map("old", "theirs")).unwrap();
    world.hub.grant_with("web", 2, &both[..2], options());
    let _agent = world.agent().await;
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("old", "key").as_deref(), Some("theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_an_empty_set_deletes_nothing() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.cluster.reset_requests();
    world.hub.grant("web", 2, &[]);
    let (reason, _) = world.hub.failed("web", 2).await;
    assert_eq!(reason, Reason::EmptySetBlocked);
    assert_eq!(world.cluster.requests().writes(), 0);
    assert!(world.get("", "ConfigMap", "web").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn s29_a_mass_prune_waits_until_a_person_lifts_the_gate_for_this_epoch() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let mut objects = vec![namespace()];
    objects.extend((0..20).map(|n| config_map(&format!("c{n}"), "one")));
    world.hub.grant("web", 1, &objects);
    world.hub.healthy("web", 1).await;
    world.hub.grant("web", 2, &objects[..2]);
    let (reason, _) = world.hub.failed("web", 2).await;
    assert_eq!(reason, Reason::MassPruneBlocked);
    assert!(world.get("", "ConfigMap", "c19").is_some());
    let lifted = GrantOptions { allow: vec!["MassPrune".to_owned()], ..GrantOptions::default() };
    world.hub.grant_with("web", 2, &objects[..2], lifted);
    world.hub.healthy("web", 2).await;
    assert!(world.get("", "ConfigMap", "c19").is_none());
    assert!(world.get("", "ConfigMap", "c0").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_last_and_only_when_nothing_else_is_in_it() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}});
    let inside = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "in", "namespace": "other"}, "data": {"key": "one"}});
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), other, inside]);
    world.hub.healthy("web", 1).await;
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "foreign", "namespace": "other"}, "data": {"key": "theirs"}});
    world.cluster.create_as("kubectl-create", foreign).unwrap();
    world.hub.grant("web", 2, &[namespace(), config_map("web", "one")]);
    let held = world.hub.until("the held namespace", |b| {
        let report = &b.reports.last()?.1;
        let model::Phase::Degraded { reason, message } = &report.phase else { return None };
        (*reason == Reason::PruneBlocked).then(|| message.clone())
    });
    let held = held.await;
    assert!(held.contains("foreign"), "{held}");
    assert!(world.cluster.get("", "Namespace", None, "other").is_some());
    assert!(world.cluster.get("", "ConfigMap", Some("other"), "in").is_none());
    world.cluster.delete("", "ConfigMap", Some("other"), "foreign").unwrap();
    world.hub.healthy("web", 2).await;
    assert!(world.cluster.get("", "Namespace", None, "other").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_asks_to_stay_is_kept_without_our_marks() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), deployment("old", "old:1")]);
    world.hub.healthy("web", 1).await;
    let edit = json!({"metadata": {"annotations": {"tidegate.dev/prune": "disabled"}}});
    world
        .cluster
        .merge_patch_as("kubectl-annotate", "apps", "Deployment", Some("shop"), "old", edit)
        .unwrap();
    world.quiet(Duration::from_millis(500)).await;
    world.hub.grant("web", 2, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 2).await;
    let kept = world.get("apps", "Deployment", "old").unwrap();
    assert!(kept["metadata"]["labels"].get("tidegate.dev/app").is_none(), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_object_that_stays_needs_stays_with_it() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut stays = config_map("stays", "one");
    stays["metadata"]["annotations"] = json!({"tidegate.dev/prune": "disabled",
        "tidegate.dev/depends-on": "/namespaces/shop/ConfigMap/needed"});
    let (web, needed) = (config_map("web", "one"), config_map("needed", "one"));
    let all = [namespace(), web.clone(), stays, needed, config_map("goes", "one")];
    world.hub.grant("web", 1, &all);
    world.hub.healthy("web", 1).await;
    world.hub.grant("web", 2, &all[..2]);
    world.hub.healthy("web", 2).await;
    agent.stop().await.unwrap();
    let _agent = world.agent().await;
    world.hub.grant("web", 3, &[namespace(), config_map("web", "three")]);
    world.hub.healthy("web", 3).await;
    assert!(world.get("", "ConfigMap", "goes").is_none());
    for name in ["stays", "needed"] {
        let kept = world.get("", "ConfigMap", name).unwrap_or_else(|| panic!("{name} is gone"));
        assert!(kept["metadata"]["labels"].get("tidegate.dev/app").is_none(), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_copied_into_another_cluster_writes_nothing_there() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    agent.stop().await.unwrap();
    let options = simcluster::Options { name: "eu-1".into(), seed: 2, ..Default::default() };
    let other = simcluster::Cluster::new(options);
    let server = simcluster::Server::start(vec![other.clone()]).await.unwrap();
    std::fs::write(world.path("kubeconfig"), server.kubeconfig("eu-1")).unwrap();
    let _agent = world.agent().await;
    let blocked = world.hub.until("the refusal", |book| {
        let report = &book.reports.last().filter(|r| r.1.boot == 2)?.1;
        matches!(report.phase, model::Phase::Failed { .. }).then_some(())
    });
    blocked.await;
    assert_eq!(other.requests().writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_keeps_what_it_may_need_and_the_rest_goes() {
    for case in held::cases() {
        let world = World::new().await;
        let _agent = world.agent().await;
        let all: Vec<_> = held::namespaces().into_iter().chain(case.dropped.clone()).collect();
        world.hub.grant("web", 1, &all);
        world.hub.healthy("web", 1).await;
        world.hub.grant("web", 2, &held::namespaces());
        let live = |cluster: &simcluster::Cluster| -> Vec<String> {
            let found = case.dropped.iter().filter(|object| {
                let text =
                    |at: &str| object.pointer(at).and_then(serde_json::Value::as_str).unwrap();
                let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
                let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
                cluster.get(group, text("/kind"), Some(namespace), name).is_some()
            });
            found.map(held::id).collect()
        };
        let told = world.hub.until(case.name, |book| {
            let report = &book.reports.last().filter(|r| r.1.epoch.0 == 2)?.1;
            let model::Phase::Degraded { reason, .. } = &report.phase else { return None };
            (*reason == Reason::PruneBlocked).then_some(())
        });
        told.await;
        world.until(case.name, |cluster| live(cluster).len() == case.stay.len()).await;
        world.quiet(Duration::from_millis(300)).await;
        assert_eq!(live(&world.cluster), case.stay, "{}", case.name);
    }
}

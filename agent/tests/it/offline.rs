//! Without a hub, and over its own death, the agent keeps what it was told.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, config_map, deployment, namespace};

#[tokio::test(flavor = "multi_thread")]
async fn s47_without_a_hub_drift_is_corrected_also_after_three_restarts() {
    let world = World::new().await;
    let agent = world.agent().await;
    let objects = [namespace(), config_map("web", "one"), deployment("web", "web:1")];
    world.hub.grant("web", 1, &objects);
    world.hub.healthy("web", 1).await;
    world.hub.stop();
    let edit = || json!({"data": {"key": "edited"}});
    let corrected = || {
        world.until("the correction", |c| {
            c.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"] == "one"
        })
    };
    world
        .cluster
        .merge_patch_as("kubectl-edit", "", "ConfigMap", Some("shop"), "web", edit())
        .unwrap();
    corrected().await;
    let mut agent = agent;
    for _ in 0..3 {
        agent.stop().await.unwrap();
        world
            .cluster
            .merge_patch_as("kubectl-edit", "", "ConfigMap", Some("shop"), "web", edit())
            .unwrap();
        world.cluster.delete("apps", "Deployment", Some("shop"), "web").unwrap();
        agent = world.agent().await;
        corrected().await;
        world
            .until("the workload", |c| c.get("apps", "Deployment", Some("shop"), "web").is_some())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s47_when_the_hub_is_back_nothing_is_sent_again() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.hub.book.lock().unwrap().pulled.clear();
    world.cluster.reset_requests();
    world.hub.stop();
    world.hub.listen(&format!("hub.{}.internal", crate::hub::FLEET)).await;
    let hello = world.hub.until("a second greeting", |b| b.hellos.get(1).cloned()).await;
    assert_eq!(hello.held_apps, 1);
    let before = world.hub.book.lock().unwrap().reports.len();
    world.hub.until("a report", |b| (b.reports.len() > before).then_some(())).await;
    assert!(world.hub.book.lock().unwrap().pulled.is_empty(), "no content is pulled again");
    assert_eq!(world.cluster.requests().writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_a_steady_state_lists_each_kind_once_and_writes_nothing() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut objects = vec![namespace(), deployment("web", "web:1")];
    objects.extend((0..50).map(|n| config_map(&format!("c{n}"), "one")));
    world.hub.grant("web", 1, &objects);
    world.hub.healthy("web", 1).await;
    agent.stop().await.unwrap();
    world.cluster.reset_requests();
    let _agent = world.agent().await;
    world
        .hub
        .until("a report of the second start", |b| {
            b.reports
                .last()
                .filter(|r| r.1.boot == 2 && r.1.phase == model::Phase::Healthy)
                .map(drop)
        })
        .await;
    let asked = world.cluster.requests();
    assert_eq!(asked.writes(), 0, "{:?}", asked.counts());
    assert_eq!(asked.count("get", "configmaps"), 0, "{:?}", asked.counts());
    assert_eq!(asked.count("list", "configmaps"), 1, "{:?}", asked.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_inventory_and_apply_loses_nothing() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    // every request takes a while, so that the claim can be seen before the write that it announces
    world.cluster.faults().slow(Duration::from_secs(1));
    let three = [namespace(), config_map("web", "one"), config_map("new", "two")];
    world.hub.grant("web", 2, &three);
    let inventory = world.path("state/inventory/web");
    let claimed = || std::fs::read_to_string(&inventory).is_ok_and(|text| text.contains("/new"));
    world.until("the claim", |_| claimed()).await;
    assert!(world.get("", "ConfigMap", "new").is_none(), "the claim comes first");
    drop(agent);
    world.cluster.faults().clear();
    let _agent = loop {
        match agent::start(world.config(), agent::Deps::default()).await {
            Ok(agent) => break agent,
            // the killed one still holds its folder
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("new", "key").as_deref(), Some("two"));
    world.hub.grant("web", 3, &three[..2]);
    world.hub.healthy("web", 3).await;
    assert!(world.get("", "ConfigMap", "new").is_none(), "what was claimed is also pruned");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_in_secrets_survives_a_restart_too() {
    let world = World::new().await;
    let mut config = world.config();
    config.state = agent::StateAt::Secrets;
    let agent = agent::start(config.clone(), agent::Deps::default()).await.unwrap();
    let mut objects = vec![namespace(), config_map("web", "one")];
    // more than one shard
    let long = "x".repeat(200_000);
    objects.extend((0..4).map(|n| config_map(&format!("big{n}"), &long)));
    world.hub.grant("web", 1, &objects);
    world.hub.healthy("web", 1).await;
    agent.stop().await.unwrap();
    world.hub.stop();
    world.cluster.delete("", "ConfigMap", Some("shop"), "web").unwrap();
    let _agent = agent::start(config, agent::Deps::default()).await.unwrap();
    world.until("the object", |c| c.get("", "ConfigMap", Some("shop"), "web").is_some()).await;
    assert!(world.cluster.get("", "Secret", Some("tidegate-agent"), "tidegate-identity").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_an_agent_that_lost_its_lease_writes_no_more_and_another_takes_over() {
    let world = World::new().await;
    // Two ways to one cluster, so that one of two agents can be cut off from it.
    let second = simcluster::Server::start(vec![world.cluster.clone()]).await.unwrap();
    let mut config = world.config();
    config.state = agent::StateAt::Secrets;
    config.leader_election = true;
    let mut other = config.clone();
    std::fs::write(world.path("cut"), second.kubeconfig("eu-1")).unwrap();
    config.kubeconfig = agent::Kubeconfig::File(world.path("cut"));
    let first = agent::start(config, agent::Deps::default()).await.unwrap();
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    other.join_file = None;
    let standby = tokio::spawn(agent::start(other, agent::Deps::default()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!standby.is_finished(), "it stands by while the first one leads");
    second.stop().await;
    let _leader = standby.await.unwrap().unwrap();
    let edit = json!({"data": {"key": "edited"}});
    world.cluster.merge_patch_as("robot", "", "ConfigMap", Some("shop"), "web", edit).unwrap();
    world
        .until("the correction by the second", |c| {
            c.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"] == "one"
        })
        .await;
    let ended = tokio::time::timeout(Duration::from_secs(30), first.join()).await.unwrap();
    assert!(ended.is_err(), "the first one ends by itself");
}

//! Many kinds and many objects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, config_map, namespace};

/// Kinds of custom resources.
const KINDS: usize = 58;
/// Objects of each.
const EACH: usize = 10;

fn definition(kind: usize) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("kinds{kind}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": format!("Kind{kind}"), "plural": format!("kinds{kind}"),
                "singular": format!("kind{kind}"), "listKind": format!("Kind{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

/// Here are the requests; what so many objects take of memory is measured on the program alone, by `make bench`.
#[tokio::test(flavor = "multi_thread")]
async fn s51_hundreds_of_objects_of_sixty_kinds_cost_an_idle_agent_its_watches_alone() {
    let world = World::new().await;
    let agent = world.agent().await;
    let mut set = vec![namespace(), config_map("web", "one")];
    for kind in 0..KINDS {
        world.cluster.create_as("kubectl-create", definition(kind)).unwrap();
        set.extend((0..EACH).map(|n| {
            json!({"apiVersion": "example.com/v1", "kind": format!("Kind{kind}"),
                "metadata": {"name": format!("o{n}"), "namespace": "shop"}, "spec": {"size": n}})
        }));
    }
    world.hub.grant("web", 1, &set);
    world.hub.healthy("web", 1).await;
    world.quiet(Duration::from_secs(1)).await;
    world.cluster.reset_requests();
    world.hub.some_reports_later().await;
    let log = world.cluster.requests();
    let other: Vec<_> = log.counts().iter().filter(|((verb, ..), _)| verb != "watch").collect();
    assert!(other.is_empty(), "{other:?}");
    // The same after a restart: lists and watches by kind, nothing by object.
    drop(agent);
    world.cluster.reset_requests();
    let agent = world.agent().await;
    let second = |book: &crate::hub::Book| {
        let healthy = |r: &&(_, model::Report)| r.1.boot == 2 && r.1.phase == model::Phase::Healthy;
        book.reports.last().filter(healthy).map(drop)
    };
    world.hub.until("a report of the second start", second).await;
    let log = world.cluster.requests();
    assert_eq!(log.writes(), 0);
    assert!(log.count("get", "*") < 10, "{:?}", log.counts());
    let lists = usize::try_from(log.count("list", "*")).unwrap();
    assert!(lists <= KINDS + 10, "{lists} lists of {KINDS} kinds");
    drop(agent);
}

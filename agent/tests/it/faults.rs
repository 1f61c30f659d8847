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
async fn a_renewed_certificate_of_the_api_server_is_no_event_and_a_strange_one_is_named() {
    let mut world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.renew_certificate(false).await;
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
    world.hub.healthy("web", 2).await;
    world.renew_certificate(true).await;
    world.hub.grant("web", 3, &[namespace(), config_map("web", "three")]);
    let named = world.hub.until("the certificate to be named", |book| {
        let report = &book.reports.iter().rev().find(|r| r.1.epoch.0 == 3)?.1;
        let Phase::Degraded { reason: Reason::ApiServerUnreachable, message } = &report.phase
        else {
            return None;
        };
        message.contains("certificate").then_some(())
    });
    named.await;
    assert_eq!(world.data("web", "key").as_deref(), Some("two"));
    // Whoever renewed it says so in the kubeconfig, and no agent has to be restarted.
    world.write_kubeconfig();
    world.hub.healthy("web", 3).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("three"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_discovery_is_down_known_kinds_are_repaired_and_nothing_is_taken_for_gone() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one"), config_map("api", "one")]);
    world.hub.healthy("web", 1).await;
    world.cluster.faults().reject(Reject::new("discovery", "*", 503, "discovery is down"));
    // A kind that it has never heard of: it has to ask, and gets no answer.
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}});
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two"), widget]);
    world.hub.reported("web", 2, |p| !matches!(p, Phase::Healthy)).await;
    world
        .until("what is known to be applied", |_| {
            world.data("web", "key").as_deref() == Some("two")
        })
        .await;
    world.hub.some_reports_later().await;
    assert_eq!(world.data("api", "key").as_deref(), Some("one"), "nothing is pruned meanwhile");
    world.cluster.faults().clear();
    world.hub.grant("web", 3, &[namespace(), config_map("web", "three")]);
    world.hub.healthy("web", 3).await;
    assert_eq!(world.data("api", "key"), None);
    world.cluster.faults().reject(Reject::new("discovery", "*", 503, "discovery is down"));
    // A new agent learns the kinds first; until then it says what it waits for.
    drop(agent);
    let _agent = world.agent().await;
    let waits = world.hub.until("a report of the second start", |book| {
        let report = &book.reports.last().filter(|r| r.1.boot == 2)?.1;
        matches!(report.phase, Phase::Degraded { reason: Reason::ApiServerUnreachable, .. })
            .then_some(())
    });
    waits.await;
    world.cluster.faults().clear();
    world.hub.healthy("web", 3).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("three"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s40_drift_is_seen_through_cut_expired_failing_and_rewound_watches() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    let gone = Status::new(410, "Expired", "too old resource version");
    let ill = Status::new(500, "InternalError", "etcdserver: leader changed");
    let ahead = Status::new(504, "Timeout", "Too large resource version: 9999, current: 7");
    for round in 0..6 {
        match round {
            0 => world.cluster.faults().cut_watches(),
            1 => world.cluster.faults().fail_watches(gone.clone()),
            2 => world.cluster.faults().fail_watches(ill.clone()),
            3 => world.cluster.faults().fail_watches(ahead.clone()),
            // A store that was restored from an older backup counts from an earlier version again.
            4 => {
                world.quiet(std::time::Duration::from_millis(500)).await;
                world.cluster.rewind(1000);
                world.cluster.faults().fail_watches(gone.clone());
            }
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
async fn s54_a_server_that_throttles_half_of_all_requests_gets_the_release_all_the_same() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let slow = Reject::new("apply", "*", 429, "too many requests").retry_after(1).every(2);
    world.cluster.faults().reject(slow);
    let mut set = vec![namespace()];
    set.extend((0..10).map(|n| config_map(&format!("c{n}"), "one")));
    world.hub.grant("web", 1, &set);
    let failed = |book: &crate::hub::Book| {
        book.reports.iter().any(|r| matches!(r.1.phase, Phase::Failed { .. }))
    };
    let healthy = world.hub.until("the release", |book| {
        assert!(!failed(book), "nothing fails for good: {:?}", book.reports.last());
        book.reports.last().filter(|r| r.1.phase == Phase::Healthy).map(drop)
    });
    healthy.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s50_a_refused_object_stops_no_other_prunes_nothing_and_tells_no_secret() {
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

#[tokio::test(flavor = "multi_thread")]
async fn s39_drift_behind_a_connection_that_died_without_a_word_is_found_within_a_minute() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.cluster.faults().stall_watches();
    let edit = json!({"data": {"key": "edited"}});
    world.cluster.merge_patch_as("robot", "", "ConfigMap", Some("shop"), "web", edit).unwrap();
    let start = tokio::time::Instant::now();
    while world.data("web", "key").as_deref() != Some("one") {
        assert!(start.elapsed().as_secs() < 70, "blind for too long");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(start.elapsed().as_secs() < 62, "took {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn s41_one_kind_with_a_broken_conversion_blinds_nobody_else() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}, "spec": {"size": 1}});
    world.hub.grant("widgets", 1, &[namespace(), definition, widget]);
    world.hub.healthy("widgets", 1).await;
    world.hub.grant("web", 1, &[config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    let broken = "conversion webhook for example.com/v1, Kind=Widget failed: no endpoints";
    for verb in ["get", "list", "watch", "apply"] {
        world.cluster.faults().reject(Reject::new(verb, "widgets.example.com", 500, broken));
    }
    world.cluster.faults().cut_watches();
    let edit = json!({"data": {"key": "edited"}});
    world.cluster.merge_patch_as("robot", "", "ConfigMap", Some("shop"), "web", edit).unwrap();
    world
        .until("the correction", |c| {
            c.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"] == "one"
        })
        .await;
    world.hub.healthy("web", 1).await;
    assert!(
        world.get("example.com", "Widget", "w").is_some(),
        "what cannot be seen is not deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_somebody_installs_is_noticed_at_once() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}, "spec": {"size": 1}});
    world.hub.grant("web", 1, &[namespace(), widget]);
    world.hub.failed("web", 1).await;
    world.quiet(std::time::Duration::from_secs(1)).await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    world.cluster.create_as("kubectl-create", definition).unwrap();
    let took =
        world.until("the object", |c| c.get("example.com", "Widget", Some("shop"), "w").is_some());
    let took = took.await;
    assert!(took.as_secs() < 10, "took {took:?}");
}

//! A release arrives, in order, and is told healthy only when it is.

use std::time::Duration;

use model::{Phase, Reason};
use serde_json::json;
use simcluster::Reject;

use crate::world::{World, config_map, deployment, namespace};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_applied_and_becomes_healthy_and_a_new_one_updates_it() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let objects = [namespace(), config_map("web", "one"), deployment("web", "web:1")];
    world.hub.grant("web", 1, &objects);
    let report = world.hub.healthy("web", 1).await;
    assert_eq!((report.objects_total, report.objects_healthy), (3, 3));
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
    let live = world.get("apps", "Deployment", "web").unwrap();
    assert_eq!(live["status"]["readyReplicas"], json!(2), "healthy means that pods are ready");

    let objects = [namespace(), config_map("web", "two"), deployment("web", "web:2")];
    world.hub.grant("web", 2, &objects);
    world.hub.healthy("web", 2).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("two"));
    let image = "/spec/template/spec/containers/0/image";
    assert_eq!(
        world.get("apps", "Deployment", "web").unwrap().pointer(image),
        Some(&json!("web:2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_changed_objects_are_pulled_and_written() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let mut objects = vec![namespace()];
    objects.extend((0..30).map(|n| config_map(&format!("c{n}"), "one")));
    world.hub.grant("web", 1, &objects);
    world.hub.healthy("web", 1).await;
    world.hub.book.lock().unwrap().pulled.clear();
    world.cluster.reset_requests();
    objects[7] = config_map("c6", "two");
    world.hub.grant("web", 2, &objects);
    world.hub.healthy("web", 2).await;
    let book = world.hub.book.lock().unwrap();
    assert_eq!(book.pulled.len(), 2, "the manifest and one object");
    assert_eq!(book.on_base, [false, true], "first all of it, then the difference");
    assert_eq!(world.cluster.requests().writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_definition_and_its_object_come_in_one_set() {
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
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}, "spec": {"size": 1},
    });
    world.hub.grant("web", 1, &[widget, definition, namespace()]);
    let report = world.hub.healthy("web", 1).await;
    assert_eq!(report.objects_healthy, 3);
    assert!(world.get("example.com", "Widget", "w").is_some());
    assert!(
        world
            .hub
            .book
            .lock()
            .unwrap()
            .reports
            .iter()
            .all(|(_, r)| !matches!(r.phase, Phase::Failed { .. })),
        "waiting for a definition is no failure"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_fails_the_release_within_seconds() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), deployment("web", "web:broken")]);
    let start = tokio::time::Instant::now();
    let (reason, message) = world.hub.failed("web", 1).await;
    assert_eq!(reason, Reason::ImagePullBackOff, "{message}");
    assert!(start.elapsed().as_secs() < 15, "took {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_not_valid_writes_nothing_and_names_every_fault() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let nameless =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}});
    let far = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "mine", "namespace": "tidegate-agent"}, "data": {}});
    world.hub.grant("web", 1, &[namespace(), nameless, far]);
    let (_, message) = world.hub.failed("web", 1).await;
    assert!(message.contains("object 0") && message.contains("object 1"), "{message}");
    assert!(world.cluster.get("", "Namespace", None, "shop").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_another_delivery_tool_is_not_taken() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.cluster.create_as("kubectl-create", namespace()).unwrap();
    world.cluster.apply_as("argocd-controller", false, config_map("theirs", "their")).unwrap();
    world.hub.grant(
        "web",
        1,
        &[namespace(), config_map("theirs", "ours"), config_map("web", "ours")],
    );
    let (reason, message) = world.hub.failed("web", 1).await;
    assert!(matches!(reason, Reason::ExistsUnowned | Reason::FieldConflict), "{reason}: {message}");
    assert!(message.contains("argocd-controller"), "{message}");
    assert_eq!(world.data("theirs", "key").as_deref(), Some("their"));
    assert_eq!(
        world.data("web", "key").as_deref(),
        Some("ours"),
        "one failure does not stop the others"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_cannot_own_one_object() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("first", 1, &[namespace(), config_map("both", "first")]);
    world.hub.healthy("first", 1).await;
    world.hub.grant("second", 1, &[config_map("both", "second")]);
    let (reason, _) = world.hub.failed("second", 1).await;
    assert_eq!(reason, Reason::OwnedByAnotherApp);
    assert_eq!(world.data("both", "key").as_deref(), Some("first"));
    world.hub.healthy("first", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_keeps_its_replicas_and_the_rest_is_updated() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), deployment("web", "web:1")]);
    world.hub.healthy("web", 1).await;
    let scaler = "kube-controller-manager";
    world.cluster.scale_as(scaler, "apps", "Deployment", Some("shop"), "web", 4).unwrap();
    world.hub.grant("web", 2, &[namespace(), deployment("web", "web:2")]);
    let report = world.hub.healthy("web", 2).await;
    assert_eq!(report.objects_healthy, 2);
    let live = world.get("apps", "Deployment", "web").unwrap();
    assert_eq!(live["spec"]["replicas"], json!(4));
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], json!("web:2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_field_is_named_as_what_it_is_and_nothing_is_deleted() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), deployment("web", "web:1")]);
    world.hub.healthy("web", 1).await;
    let uid = world.get("apps", "Deployment", "web").unwrap()["metadata"]["uid"].clone();
    let mut changed = deployment("web", "web:1");
    changed["spec"]["selector"]["matchLabels"] = json!({"app": "web", "more": "labels"});
    changed["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "more": "labels"});
    world.hub.grant("web", 2, &[namespace(), changed]);
    let (reason, message) = world.hub.failed("web", 2).await;
    assert_eq!(reason, Reason::Immutable, "{message}");
    assert_eq!(world.get("apps", "Deployment", "web").unwrap()["metadata"]["uid"], uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_whose_server_cannot_apply_is_read_merged_and_written_whole() {
    for code in [405, 415] {
        let world = World::new().await;
        let refused =
            Reject::new("apply", "configmaps", code, "the server does not allow this method");
        world.cluster.faults().reject(refused);
        let _agent = world.agent().await;
        let with = |value: &str, more: serde_json::Value| {
            let mut object = config_map("web", value);
            for (name, value) in more.as_object().unwrap() {
                object["data"][name] = value.clone();
            }
            object
        };
        world.hub.grant("web", 1, &[namespace(), with("one", json!({"gone": "x"}))]);
        world.hub.healthy("web", 1).await;
        assert_eq!(world.data("web", "gone").as_deref(), Some("x"));
        let uid = world.get("", "ConfigMap", "web").unwrap()["metadata"]["uid"].clone();
        // What somebody else adds stays, and costs no write; what we drop goes.
        let theirs = json!({"data": {"theirs": "y"}});
        let edit = |patch: serde_json::Value| {
            let place = ("", "ConfigMap", Some("shop"), "web");
            world
                .cluster
                .merge_patch_as("kubectl-edit", place.0, place.1, place.2, place.3, patch)
                .unwrap();
        };
        edit(theirs);
        world.quiet(Duration::from_millis(500)).await;
        assert_eq!(world.data("web", "theirs").as_deref(), Some("y"));
        world.hub.grant("web", 2, &[namespace(), with("two", json!({}))]);
        world.hub.healthy("web", 2).await;
        let live = world.get("", "ConfigMap", "web").unwrap();
        assert_eq!(live["data"], json!({"key": "two", "theirs": "y"}), "{live}");
        assert_eq!(live["metadata"]["uid"], uid);
        // Drift is repaired, and then nothing is asked for any more.
        edit(json!({"data": {"key": "three"}}));
        let repaired = |cluster: &simcluster::Cluster| {
            cluster.get("", "ConfigMap", Some("shop"), "web").unwrap()["data"]["key"]
                == json!("two")
        };
        world.until("the repair", repaired).await;
        world.quiet(Duration::from_millis(500)).await;
        // Another App's object is not touched.
        world.hub.grant("other", 1, &[with("other", json!({}))]);
        let (reason, words) = world.hub.failed("other", 1).await;
        assert_eq!(reason, Reason::OwnedByAnotherApp, "{words}");
        assert_eq!(world.data("web", "key").as_deref(), Some("two"));
        // And what is no longer wanted goes.
        world.hub.grant("web", 3, &[namespace(), config_map("new", "one")]);
        world.hub.healthy("web", 3).await;
        assert!(world.get("", "ConfigMap", "web").is_none());
    }
}

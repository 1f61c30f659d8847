//! s01 to s12: what is applied in which order, and what is waited for.

use std::time::Duration;

use model::{Phase, Reason};
use serde_json::{Value, json};

use super::outside::{uid, version};
use super::scene::{Scene, quiet, requests, writes};

/// A definition whose group is the story's own.
pub(super) fn definition(scene: &Scene, scope: &str) -> Value {
    let group = format!("{}.example.com", scene.name);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group, "scope": scope,
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

pub(super) fn widget(scene: &Scene, name: &str) -> Value {
    json!({
        "apiVersion": format!("{}.example.com/v1", scene.name), "kind": "Widget",
        "metadata": {"name": name, "namespace": scene.name}, "spec": {"size": 1},
    })
}

pub(crate) async fn s01_a_whole_set_comes_in_order_and_nothing_is_asked_for_too_early(
    scene: &Scene,
) {
    let agent = scene.agent().await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "hook", "namespace": scene.name},
        "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443}]},
    });
    // It matches nothing that anybody makes.
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": scene.name},
        "webhooks": [{
            "name": "check.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Ignore",
            "clientConfig": {"service": {"name": "hook", "namespace": scene.name}},
            "rules": [{"apiGroups": ["nobody.example.com"], "apiVersions": ["*"],
                "resources": ["*"], "operations": ["CREATE"]}],
        }],
    });
    let set = [
        webhook.clone(),
        widget(scene, "w"),
        scene.deployment("hook", "hook:1"),
        service.clone(),
        definition(scene, "Namespaced"),
        scene.config_map("web", "one"),
        scene.namespace(),
    ];
    scene.grant(1, &set);
    let report = scene.healthy(1).await;
    assert_eq!((report.objects_total, report.objects_healthy), (7, 7));
    assert_eq!(requests(&agent, "apply", "404"), 0, "{}", agent.metrics());
    let last = number(&scene.outside.get(&webhook).await.unwrap());
    for object in [&set[1], &service, &set[5]] {
        let live = scene.outside.get(object).await.unwrap();
        assert!(number(&live) < last, "{} came after the webhook", object["kind"]);
    }
}

fn number(live: &Value) -> u64 {
    version(live).parse().unwrap()
}

pub(crate) async fn s02_the_same_grant_a_hundred_times_costs_no_request(scene: &Scene) {
    let agent = scene.agent().await;
    let set = [scene.namespace(), scene.config_map("web", "one"), scene.deployment("web", "web:1")];
    scene.grant(1, &set);
    scene.healthy(1).await;
    quiet(&agent, Duration::from_secs(1)).await;
    let before = scene.outside.get(&set[1]).await.unwrap();
    let asked = [writes(&agent), requests(&agent, "get", "*"), requests(&agent, "list", "*")];
    for _ in 0..100 {
        scene.grant(1, &set);
    }
    scene.hub.some_reports_later().await;
    let now = [writes(&agent), requests(&agent, "get", "*"), requests(&agent, "list", "*")];
    assert_eq!(now, asked, "writes, reads, lists");
    assert_eq!(version(&before), version(&scene.outside.get(&set[1]).await.unwrap()));
}

pub(crate) async fn s03_a_restart_with_a_thousand_objects_lists_and_reads_none_of_them(
    scene: &Scene,
) {
    let agent = scene.agent().await;
    let mut set = vec![scene.namespace()];
    set.extend((0..1000).map(|n| scene.config_map(&format!("c{n}"), "one")));
    scene.grant(1, &set);
    scene.healthy(1).await;
    agent.stop().await.unwrap();
    let agent = scene.agent().await;
    let second = |book: &crate::hub::Book| {
        book.reports.last().filter(|r| r.1.boot == 2 && r.1.phase == Phase::Healthy).map(drop)
    };
    scene.hub.until("a report of the second start", second).await;
    assert_eq!(writes(&agent), 0, "{}", agent.metrics());
    // The version of the server and the uid of kube-system, for the facts.
    assert!(requests(&agent, "get", "*") <= 10, "{}", agent.metrics());
    // Three pages at most of each of two kinds.
    assert!(requests(&agent, "list", "*") <= 10, "{}", agent.metrics());
}

pub(crate) async fn s04_a_definition_on_its_way_out_is_waited_for_and_made_again(scene: &Scene) {
    let outside = &scene.outside;
    let definition = definition(scene, "Namespaced");
    outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    outside.create_as("kubectl-create", &definition).await.ok();
    let mut held = widget(scene, "held");
    held["metadata"]["finalizers"] = json!(["example.com/stay"]);
    let start = tokio::time::Instant::now();
    while outside.create_as("kubectl-create", &held).await.code != 201 {
        assert!(start.elapsed() < crate::hub::PATIENCE, "the kind is never served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = uid(&outside.get(&definition).await.unwrap());
    outside.delete(&definition).await.ok();
    let _agent = scene.agent().await;
    scene.grant(1, &[scene.namespace(), definition.clone()]);
    scene.unhealthy(1, Reason::ObjectTerminating).await;
    let free = json!({"metadata": {"finalizers": null}});
    outside.edit_as("kubectl-edit", &held, &free).await.ok();
    scene.healthy(1).await;
    let live = outside.get(&definition).await.unwrap();
    assert_ne!(uid(&live), before, "made again");
    assert!(live["metadata"].get("deletionTimestamp").is_none(), "and it stays");
}

pub(crate) async fn s05_a_namespace_on_its_way_out_names_what_holds_it_and_work_resumes(
    scene: &Scene,
) {
    let outside = &scene.outside;
    outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    let mut held = scene.config_map("held", "theirs");
    held["metadata"]["finalizers"] = json!(["example.com/stay"]);
    outside.create_as("kubectl-create", &held).await.ok();
    outside.delete(&scene.namespace()).await.ok();
    let _agent = scene.agent().await;
    scene.grant(1, &[scene.namespace(), scene.config_map("web", "one")]);
    let named = scene.hub.until("what holds the namespace", |book| {
        let objects = book.reports.iter().flat_map(|r| &r.1.unhealthy);
        let mut messages = objects.map(|object| object.message.clone());
        messages.find(|m| m.contains("example.com/stay") && m.contains("1 resource instance"))
    });
    named.await;
    let free = json!({"metadata": {"finalizers": null}});
    outside.edit_as("kubectl-edit", &held, &free).await.ok();
    scene.healthy(1).await;
    assert_eq!(scene.data("web").await.as_deref(), Some("one"));
}

pub(crate) async fn s07_one_invalid_object_of_fifty_stops_only_what_depends_on_it(scene: &Scene) {
    let agent = scene.agent().await;
    let mut set = vec![scene.namespace()];
    set.extend((0..47).map(|n| scene.config_map(&format!("c{n}"), "one")));
    let mut wrong = scene.deployment("wrong", "web:1");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"app": "another"});
    let mut after = scene.config_map("after", "one");
    let on = format!("apps/namespaces/{}/Deployment/wrong", scene.name);
    after["metadata"]["annotations"] = json!({"tidegate.dev/depends-on": on});
    set.extend([wrong, after.clone()]);
    scene.grant(1, &set);
    let (reason, message) = scene.failed(1).await;
    assert_eq!(reason, Reason::Invalid, "{message}");
    let skipped = scene.unhealthy(1, Reason::DependencyFailed).await;
    assert!(skipped.contains("wrong"), "{skipped}");
    let live =
        scene.outside.list(&scene.config_map("", ""), "labelSelector=tidegate.dev/app").await;
    assert_eq!(live.len(), 47, "all but the one that depends on it");
    assert!(scene.outside.get(&after).await.is_none());
    assert_eq!(requests(&agent, "apply", "422"), 1, "it is not tried again and again");
}

pub(crate) async fn s09_duplicate_list_keys_are_found_before_the_server_is_asked(scene: &Scene) {
    let agent = scene.agent().await;
    let mut twice = scene.deployment("web", "web:1");
    twice["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    scene.grant(1, &[scene.namespace(), twice]);
    let (_, message) = scene.failed(1).await;
    assert!(message.contains("env") && message.contains("containers"), "{message}");
    assert_eq!(writes(&agent), 0);
}

pub(crate) async fn s11_a_key_removed_from_string_data_is_removed_from_the_secret(scene: &Scene) {
    let _agent = scene.agent().await;
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": scene.name}, "stringData": data})
    };
    let both = secret(json!({"user": "admin", "password": "open sesame"}));
    scene.grant(1, &[scene.namespace(), both.clone()]);
    scene.healthy(1).await;
    let data = |live: &Value| -> Vec<String> {
        live["data"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(data(&scene.outside.get(&both).await.unwrap()).len(), 2);
    scene.grant(2, &[scene.namespace(), secret(json!({"user": "admin"}))]);
    scene.healthy(2).await;
    assert_eq!(data(&scene.outside.get(&both).await.unwrap()), ["user"]);
}

pub(crate) async fn s12_an_autoscaler_keeps_its_replicas(scene: &Scene) {
    let agent = scene.agent().await;
    let web = scene.deployment("web", "web:1");
    scene.grant(1, &[scene.namespace(), web.clone()]);
    scene.healthy(1).await;
    // What the horizontal autoscaler of the controller manager does.
    scene.outside.scale_as("kube-controller-manager", &web, 4).await.ok();
    scene.grant(2, &[scene.namespace(), scene.deployment("web", "web:2")]);
    scene.healthy(2).await;
    quiet(&agent, Duration::from_secs(1)).await;
    let live = scene.outside.get(&web).await.unwrap();
    assert_eq!(live["spec"]["replicas"], 4);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "web:2");
    let manager = format!("tidegate-agent/{}", scene.name);
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    let ours = entries.iter().find(|e| e["manager"] == manager.as_str()).unwrap();
    assert!(ours["fieldsV1"]["f:spec"].get("f:replicas").is_none(), "given up properly: {ours}");
}

/// A webhook that nobody serves, for config maps of the story with the label `checked`.
pub(super) fn dead_webhook(scene: &Scene, operations: &[&str]) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": scene.name},
        "webhooks": [{
            "name": "check.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail",
            "clientConfig": {"service": {"name": "nobody", "namespace": scene.name}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.name}},
            "objectSelector": {"matchLabels": {"checked": "yes"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                "operations": operations}],
        }],
    })
}

pub(super) fn checked(scene: &Scene, name: &str) -> Value {
    let mut map = scene.config_map(name, "one");
    map["metadata"]["labels"] = json!({"checked": "yes"});
    map
}

pub(crate) async fn s10_a_dead_webhook_is_named_and_the_others_go_on(scene: &Scene) {
    let _agent = scene.agent().await;
    scene.outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    let webhook = dead_webhook(scene, &["CREATE", "UPDATE"]);
    scene.outside.create_as("kubectl-create", &webhook).await.ok();
    // A real server takes a moment until it asks.
    let start = tokio::time::Instant::now();
    while scene.outside.create_as("kubectl-create", &checked(scene, "probe")).await.code != 500 {
        assert!(start.elapsed() < crate::hub::PATIENCE, "the webhook is never asked");
        scene.outside.delete(&checked(scene, "probe")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.grant(1, &[scene.config_map("plain", "one"), checked(scene, "web")]);
    let named = scene.unhealthy(1, Reason::WebhookFailed).await;
    assert!(named.contains("check.example.com"), "{named}");
    scene.outside.until_there(&scene.config_map("plain", "")).await;
    assert!(scene.outside.get(&checked(scene, "web")).await.is_none());
    scene.outside.delete(&webhook).await.ok();
    scene.healthy(1).await;
}

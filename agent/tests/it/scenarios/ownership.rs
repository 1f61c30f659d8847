//! s13 to s22: who owns an object and its fields.

use std::collections::BTreeMap;

use model::{Phase, Reason};
use serde_json::{Value, json};

use super::outside::{uid, version};
use super::scene::{Scene, delete_all, requests};

pub(crate) async fn s13_a_second_app_gets_a_conflict_that_names_the_first(scene: &Scene) {
    let _agent = scene.agent().await;
    let (first, second) = (format!("{}-a", scene.name), format!("{}-b", scene.name));
    let object = scene.config_map("both", "first");
    scene.hub.grant(&first, 1, &[scene.namespace(), object.clone()]);
    scene.hub.healthy(&first, 1).await;
    let before = scene.outside.get(&object).await.unwrap();
    scene.hub.grant(&second, 1, &[scene.config_map("both", "second")]);
    let (reason, message) = scene.hub.failed(&second, 1).await;
    assert_eq!(reason, Reason::OwnedByAnotherApp);
    assert!(message.contains(&first), "{message}");
    scene.hub.some_reports_later().await;
    assert_eq!(scene.outside.get(&object).await.unwrap(), before, "byte for byte");
    scene.hub.healthy(&first, 1).await;
}

pub(crate) async fn s14_of_two_apps_that_race_for_200_objects_each_object_has_one_owner(
    scene: &Scene,
) {
    let _agent = scene.agent().await;
    scene.outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    let apps = [format!("{}-a", scene.name), format!("{}-b", scene.name)];
    for app in &apps {
        let set: Vec<Value> = (0..200).map(|n| scene.config_map(&format!("c{n}"), app)).collect();
        scene.hub.grant(app, 1, &set);
    }
    for app in &apps {
        let over = |phase: &Phase| matches!(phase, Phase::Failed { .. } | Phase::Healthy);
        scene.hub.reported(app, 1, over).await;
    }
    let live =
        scene.outside.list(&scene.config_map("", ""), "labelSelector=tidegate.dev/app").await;
    assert_eq!(live.len(), 200);
    for object in live {
        let label = object["metadata"]["labels"]["tidegate.dev/app"].as_str().unwrap();
        assert_eq!(object["data"]["key"], label, "label and content are of one App");
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        let managers: Vec<&str> = entries.iter().filter_map(|e| e["manager"].as_str()).collect();
        assert_eq!(managers, [format!("tidegate-agent/{label}")]);
    }
}

/// Objects of kinds with fields that cannot change, and the change.
fn immutable(scene: &Scene) -> Vec<(Value, &'static str, Value)> {
    let meta = |name: &str| json!({"name": name, "namespace": scene.name});
    let pod = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "web:1"}]}});
    let mut long = pod.clone();
    long["spec"]["restartPolicy"] = json!("Always");
    vec![
        (
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta("job"),
                "spec": {"template": {"spec": pod["spec"]}}}),
            "/spec/template/spec/containers/0/image",
            json!("web:2"),
        ),
        (
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta("set"),
                "spec": {"serviceName": "one", "replicas": 0, "selector": {"matchLabels": {"app": "x"}},
                    "template": long}}),
            "/spec/serviceName",
            json!("two"),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("service"),
                "spec": {"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"port": 80}]}}),
            "/spec/clusterIP",
            json!("10.0.0.77"),
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": meta("binding"), "subjects": [],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
            "/roleRef/name",
            json!("edit"),
        ),
        (
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {"name": scene.name}, "value": 10}),
            "/value",
            json!(20),
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta("claim"),
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
                    "resources": {"requests": {"storage": "1Gi"}}}}),
            "/spec/accessModes/0",
            json!("ReadWriteMany"),
        ),
    ]
}

pub(crate) async fn s17_immutable_fields_are_named_and_nothing_is_deleted(scene: &Scene) {
    let agent = scene.agent().await;
    let cases = immutable(scene);
    let mut set = vec![scene.namespace()];
    set.extend(cases.iter().map(|(object, ..)| object.clone()));
    scene.grant(1, &set);
    let mut before = BTreeMap::new();
    for (object, ..) in &cases {
        scene.outside.until_there(object).await;
        before.insert(object["kind"].to_string(), uid(&scene.outside.get(object).await.unwrap()));
    }
    for (object, (_, path, value)) in set[1..].iter_mut().zip(&cases) {
        *object.pointer_mut(path).unwrap() = value.clone();
    }
    scene.grant(2, &set);
    let (reason, message) = scene.failed(2).await;
    assert_eq!(reason, Reason::Immutable, "{message}");
    let all = scene.hub.until("all six named", |book| {
        let report = &book.reports.last().filter(|r| r.1.epoch.0 == 2)?.1;
        let named = report.unhealthy.iter().filter(|o| o.reason == Some(Reason::Immutable));
        let kinds: Vec<String> = named.map(|o| o.key.kind.clone()).collect();
        (kinds.len() == cases.len()).then_some(kinds)
    });
    all.await;
    assert_eq!(requests(&agent, "delete", "*"), 0);
    for (object, path, value) in &cases {
        let live = scene.outside.get(object).await.unwrap();
        assert_eq!(before[&object["kind"].to_string()], uid(&live));
        assert_ne!(live.pointer(path), Some(value), "{}: {}", object["kind"], version(&live));
    }
}

pub(crate) async fn s15_what_client_side_apply_left_goes_with_the_release_that_drops_it(
    scene: &Scene,
) {
    let _agent = scene.agent().await;
    scene.outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    let map = |data: Value| -> Value {
        let mut map = scene.config_map("web", "");
        map["data"] = data;
        map
    };
    let both = map(json!({"keep": "one", "drop": "one"}));
    let mut by_hand = both.clone();
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    by_hand["metadata"]["annotations"] = json!({last: both.to_string()});
    scene.outside.create_as("kubectl-client-side-apply", &by_hand).await.ok();
    scene.grant(1, &[both]);
    scene.healthy(1).await;
    let live = scene.outside.get(&by_hand).await.unwrap();
    assert_eq!(live["data"], json!({"keep": "one", "drop": "one"}));
    assert!(live["metadata"]["annotations"].get(last).is_none(), "{live}");
    scene.grant(2, &[map(json!({"keep": "one"}))]);
    scene.healthy(2).await;
    assert_eq!(scene.outside.get(&by_hand).await.unwrap()["data"], json!({"keep": "one"}));
}

pub(crate) async fn s16_only_what_is_identical_is_adopted_when_the_app_wants_it_so(scene: &Scene) {
    let _agent = scene.agent().await;
    scene.outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    let (same, other) = (scene.config_map("same", "one"), scene.config_map("other", "theirs"));
    for object in [&same, &other] {
        scene.outside.create_as("kubectl-create", object).await.ok();
    }
    let before = scene.outside.get(&other).await.unwrap();
    let choices = json!({"adopt": "IfIdentical"});
    scene.grant_choosing(1, &[same.clone(), scene.config_map("other", "ours")], &choices);
    let (reason, message) = scene.failed(1).await;
    assert_eq!(reason, Reason::ExistsUnowned, "{message}");
    assert!(message.contains("other") && message.contains("data.key"), "{message}");
    assert_eq!(scene.outside.get(&other).await.unwrap(), before, "byte for byte");
    let live = scene.outside.get(&same).await.unwrap();
    assert_eq!(live["metadata"]["labels"]["tidegate.dev/app"], scene.name.as_str());
}

pub(crate) async fn s18_a_typo_never_leads_to_a_replacement(scene: &Scene) {
    let agent = scene.agent().await;
    let web = scene.deployment("web", "web:1");
    scene.grant(1, &[scene.namespace(), web.clone()]);
    scene.healthy(1).await;
    let before = uid(&scene.outside.get(&web).await.unwrap());
    let mut typo = web.clone();
    typo["spec"]["template"]["metadata"]["labels"] = json!({"app": "wbe"});
    scene.grant_choosing(2, &[scene.namespace(), typo], &json!({"recreate": true}));
    let (reason, message) = scene.failed(2).await;
    assert_eq!(reason, Reason::Invalid, "{message}");
    assert_eq!(requests(&agent, "delete", "*"), 0);
    assert_eq!(uid(&scene.outside.get(&web).await.unwrap()), before);
}

fn binding(scene: &Scene, role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "binding", "namespace": scene.name}, "subjects": [],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})
}

pub(crate) async fn s19_a_replacement_that_was_cut_short_is_finished_and_nothing_else(
    scene: &Scene,
) {
    let agent = scene.agent().await;
    let choices = json!({"recreate": true});
    scene.grant_choosing(1, &[scene.namespace(), binding(scene, "view")], &choices);
    scene.healthy(1).await;
    let old = binding(scene, "view");
    let hold = json!({"metadata": {"finalizers": ["example.com/stay"]}});
    let before = uid(&scene.outside.edit_as("kubectl-edit", &old, &hold).await.ok());
    let new = [scene.namespace(), binding(scene, "edit")];
    scene.grant_choosing(2, &new, &choices);
    let deleting = |live: Option<&Value>| {
        live.is_some_and(|o| o["metadata"].get("deletionTimestamp").is_some())
    };
    scene.outside.until("the delete", &old, deleting).await;
    drop(agent);
    let free = json!({"metadata": {"finalizers": null}});
    scene.outside.edit_as("kubectl-edit", &old, &free).await.ok();
    scene.outside.until_gone(&old).await;
    let agent = scene.agent().await;
    scene.healthy(2).await;
    let live = scene.outside.get(&old).await.unwrap();
    assert_eq!(live["roleRef"]["name"], "edit");
    assert_ne!(uid(&live), before);
    assert_eq!(requests(&agent, "delete", "*"), 0, "only the create was missing");
    assert_eq!(requests(&agent, "apply", "201"), 1);
}

pub(crate) async fn s20_the_pods_of_a_replaced_stateful_set_stay(scene: &Scene) {
    let _agent = scene.agent().await;
    let set = |service: &str| -> Value {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": scene.name},
            "spec": {"serviceName": service, "replicas": 2,
                "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": {"app": "db"}},
                    "spec": {"containers": [{"name": "main", "image": "db:1"}]}}}})
    };
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "", "namespace": scene.name}});
    let pods = async || -> Vec<String> {
        let all = scene.outside.list(&pod, "labelSelector=app%3Ddb").await;
        let mut all: Vec<String> = all.iter().map(uid).collect();
        all.sort();
        all
    };
    scene.grant(1, &[scene.namespace(), set("one")]);
    scene.healthy(1).await;
    let (before, old) = (pods().await, uid(&scene.outside.get(&set("")).await.unwrap()));
    assert_eq!(before.len(), 2);
    scene.grant_choosing(2, &[scene.namespace(), set("two")], &json!({"recreate": true}));
    scene.healthy(2).await;
    let live = scene.outside.get(&set("")).await.unwrap();
    assert_ne!(uid(&live), old, "replaced");
    assert_eq!(live["spec"]["serviceName"], "two");
    assert_eq!(pods().await, before, "its pods stayed");
}

pub(crate) async fn s21_an_object_changes_hands_without_changing_its_uid(scene: &Scene) {
    let _agent = scene.agent().await;
    let (from, to) = (format!("{}-a", scene.name), format!("{}-b", scene.name));
    let moves = ["taken-first", "left-first"].map(|name| scene.config_map(name, "one"));
    let stays = scene.config_map("stays", "one");
    let all = [scene.namespace(), stays.clone(), moves[0].clone(), moves[1].clone()];
    scene.grant_app(&from, 1, &all, &json!({}));
    scene.hub.healthy(&from, 1).await;
    let mut before = Vec::new();
    for object in &moves {
        before.push(uid(&scene.outside.get(object).await.unwrap()));
    }
    let mut taken = moves.clone();
    for object in &mut taken {
        object["metadata"]["annotations"] = json!({"tidegate.dev/transfer-from": from});
    }
    // The App that takes comes first.
    scene.grant_app(&to, 1, &taken[..1], &json!({}));
    scene.hub.healthy(&to, 1).await;
    scene.grant_app(&from, 2, &[all[0].clone(), stays.clone(), moves[1].clone()], &json!({}));
    scene.hub.healthy(&from, 2).await;
    // The App that gives comes first, and its grant says who takes.
    let id = format!("/ConfigMap/{}/left-first", scene.name);
    scene.grant_app(&from, 3, &[all[0].clone(), stays], &json!({"leaving": {id: to}}));
    scene
        .hub
        .reported(&from, 3, |p| matches!(p, Phase::Degraded { reason: Reason::PruneBlocked, .. }))
        .await;
    scene.grant_app(&to, 2, &taken, &json!({}));
    scene.hub.healthy(&to, 2).await;
    scene.hub.healthy(&from, 3).await;
    for (object, before) in moves.iter().zip(before) {
        let live = scene.outside.get(object).await.unwrap();
        assert_eq!(uid(&live), before);
        assert_eq!(live["metadata"]["labels"]["tidegate.dev/app"], to.as_str());
        let entries = live["metadata"]["managedFields"].to_string();
        assert!(!entries.contains(&format!("tidegate-agent/{from}\"")), "{entries}");
    }
}

pub(crate) async fn s22_a_released_app_leaves_its_data_and_takes_its_marks(scene: &Scene) {
    let agent = scene.agent().await;
    let set = [scene.namespace(), scene.config_map("web", "one"), scene.deployment("web", "web:1")];
    scene.grant(1, &set);
    scene.healthy(1).await;
    let before = uid(&scene.outside.get(&set[1]).await.unwrap());
    delete_all(scene, 2, &json!({"orphan": true}));
    scene.healthy(2).await;
    assert_eq!(requests(&agent, "delete", "*"), 0);
    for object in &set {
        let live = scene.outside.get(object).await.unwrap();
        let text = live.to_string();
        assert!(!text.contains("tidegate"), "{text}");
    }
    assert_eq!(uid(&scene.outside.get(&set[1]).await.unwrap()), before);
    assert_eq!(scene.data("web").await.as_deref(), Some("one"));
}

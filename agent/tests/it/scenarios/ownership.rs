//! s13 to s22: who owns an object and its fields.

use std::collections::BTreeMap;

use model::{Phase, Reason};
use serde_json::{Value, json};

use super::outside::{uid, version};
use super::scene::{Scene, requests};

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

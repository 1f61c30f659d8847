//! What the server fills in when a field is left out. Only fields that an agent or a controller
//! here can notice; the README lists what is missing.

mod pod;

mod service;

mod quantity;

mod empty;

use crate::{kinds::Kind, state::State};
use serde_json::{Map, Value, json};

/// Sets a field unless it is there.
fn default(object: &mut Value, name: &str, value: Value) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if let Some(map) = object.as_object_mut() {
        map.entry(name).or_insert(value);
    }
}

fn each(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// Defaults of creation and of every later write; whoever writes owns them.
pub(crate) fn fill(kind: &Kind, object: &mut Value) {
    if kind.custom.is_some() {
        return;
    }
    match kind.kind.as_str() {
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        "Pod" => {
            pod::spec(&mut object["spec"]);
            pod::requests(&mut object["spec"]);
            default(&mut object["spec"], "enableServiceLinks", json!(true));
        }
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" => {
            workload(&kind.kind, &mut object["spec"]);
        }
        "Job" => job(&mut object["spec"]),
        "CronJob" => cron_job(&mut object["spec"]),
        "Service" => service::fill(&mut object["spec"]),
        "Secret" => secret(object),
        "PersistentVolumeClaim" | "PersistentVolume" => volume(&kind.kind, &mut object["spec"]),
        "NetworkPolicy" => network_policy(&mut object["spec"]),
        "RoleBinding" | "ClusterRoleBinding" => binding(object),
        "HorizontalPodAutoscaler" => autoscaler(&mut object["spec"]),
        "StorageClass" => {
            default(object, "reclaimPolicy", json!("Delete"));
            default(object, "volumeBindingMode", json!("Immediate"));
        }
        "PriorityClass" => default(object, "preemptionPolicy", json!("PreemptLowerPriority")),
        "CustomResourceDefinition" => definition(&mut object["spec"]),
        "APIService" => {
            if let Some(service) = object["spec"].get_mut("service") {
                default(service, "port", json!(443));
            }
        }
        "EndpointSlice" => slice(object),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            let mutates = kind.kind.starts_with("Mutating");
            each(&mut object["webhooks"]).for_each(|webhook| self::webhook(webhook, mutates));
        }
        _ => {}
    }
    quantity::normalise(object, &kind.schema);
    drop_nulls(object);
    let rules = object.get("rules").cloned();
    empty::leave_out(object, &kind.schema);
    if kind.kind == "Role" || kind.kind == "ClusterRole" {
        // The one list that is written, and owned, even when it is empty.
        object["rules"] = rules.unwrap_or_default();
    }
    if kind.kind == "HorizontalPodAutoscaler" && object["status"].is_object() {
        default(&mut object["status"], "currentMetrics", Value::Null);
    }
}

/// The metadata of custom objects has the server's own type.
pub(crate) fn clean_metadata(metadata: &mut Value) {
    drop_nulls(metadata);
    empty::leave_out(metadata, &crate::schema::Type::named("meta.v1.ObjectMeta"));
}

/// A null means "not set"; the server's decoder drops it.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn volume(kind: &str, spec: &mut Value) {
    default(spec, "volumeMode", json!("Filesystem"));
    if kind == "PersistentVolume" {
        default(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
    }
}

fn autoscaler(spec: &mut Value) {
    default(spec, "minReplicas", json!(1));
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    default(spec, "metrics", cpu);
}

fn slice(object: &mut Value) {
    for endpoint in each(&mut object["endpoints"]) {
        default(endpoint, "conditions", json!({}));
    }
    for port in each(&mut object["ports"]) {
        default(port, "name", json!(""));
        default(port, "protocol", json!("TCP"));
    }
}

fn workload(kind: &str, spec: &mut Value) {
    pod::template(&mut spec["template"]);
    if kind != "DaemonSet" {
        default(spec, "replicas", json!(1));
    }
    match kind {
        "Deployment" => {
            default(spec, "strategy", json!({}));
            default(&mut spec["strategy"], "type", json!("RollingUpdate"));
            if spec["strategy"]["type"] == "RollingUpdate" {
                default(&mut spec["strategy"], "rollingUpdate", json!({}));
                default(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", json!("25%"));
                default(&mut spec["strategy"]["rollingUpdate"], "maxSurge", json!("25%"));
            }
            default(spec, "revisionHistoryLimit", json!(10));
            default(spec, "progressDeadlineSeconds", json!(600));
        }
        "StatefulSet" => {
            default(spec, "podManagementPolicy", json!("OrderedReady"));
            default(spec, "updateStrategy", json!({}));
            default(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
            if spec["updateStrategy"]["type"] == "RollingUpdate" {
                default(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
                default(&mut spec["updateStrategy"]["rollingUpdate"], "partition", json!(0));
                default(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
            }
            default(spec, "revisionHistoryLimit", json!(10));
            let keep = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
            default(spec, "persistentVolumeClaimRetentionPolicy", keep);
            for claim in each(&mut spec["volumeClaimTemplates"]) {
                default(claim, "apiVersion", json!("v1"));
                default(claim, "kind", json!("PersistentVolumeClaim"));
                default(&mut claim["spec"], "volumeMode", json!("Filesystem"));
                default(claim, "status", json!({"phase": "Pending"}));
            }
        }
        "DaemonSet" => {
            default(spec, "updateStrategy", json!({}));
            default(&mut spec["updateStrategy"], "type", json!("RollingUpdate"));
            if spec["updateStrategy"]["type"] == "RollingUpdate" {
                default(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
                default(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", json!(1));
                default(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", json!(0));
            }
            default(spec, "revisionHistoryLimit", json!(10));
        }
        _ => {}
    }
}

fn job(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        default(spec, "completions", json!(1));
    }
    default(spec, "parallelism", json!(1));
    default(spec, "backoffLimit", json!(6));
    default(spec, "completionMode", json!("NonIndexed"));
    default(spec, "suspend", json!(false));
    default(spec, "manualSelector", json!(false));
    default(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    pod::template(&mut spec["template"]);
}

fn cron_job(spec: &mut Value) {
    default(spec, "concurrencyPolicy", json!("Allow"));
    default(spec, "suspend", json!(false));
    default(spec, "successfulJobsHistoryLimit", json!(3));
    default(spec, "failedJobsHistoryLimit", json!(1));
    pod::template(&mut spec["jobTemplate"]["spec"]["template"]);
}

fn secret(object: &mut Value) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    default(object, "type", json!("Opaque"));
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = map.shift_remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| json!({}));
    for (name, value) in plain {
        data[name] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

fn network_policy(spec: &mut Value) {
    let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    default(spec, "podSelector", json!({}));
    default(spec, "policyTypes", types);
    for rule in ["ingress", "egress"] {
        for rule in each(spec.get_mut(rule).unwrap_or(&mut Value::Null)) {
            for port in each(rule.get_mut("ports").unwrap_or(&mut Value::Null)) {
                default(port, "protocol", json!("TCP"));
            }
        }
    }
}

fn binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    default(&mut object["roleRef"], "apiGroup", json!(GROUP));
    for subject in each(object.get_mut("subjects").unwrap_or(&mut Value::Null)) {
        if subject["kind"] == "User" || subject["kind"] == "Group" {
            default(subject, "apiGroup", json!(GROUP));
        }
    }
}

fn definition(spec: &mut Value) {
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    default(&mut spec["names"], "singular", json!(kind.to_lowercase()));
    default(&mut spec["names"], "listKind", json!(format!("{kind}List")));
    default(spec, "conversion", json!({"strategy": "None"}));
}

fn webhook(webhook: &mut Value, mutates: bool) {
    default(webhook, "failurePolicy", json!("Fail"));
    default(webhook, "matchPolicy", json!("Equivalent"));
    default(webhook, "namespaceSelector", json!({}));
    default(webhook, "objectSelector", json!({}));
    default(webhook, "timeoutSeconds", json!(10));
    if mutates {
        default(webhook, "reinvocationPolicy", json!("Never"));
    }
    for rule in each(webhook.get_mut("rules").unwrap_or(&mut Value::Null)) {
        default(rule, "scope", json!("*"));
    }
    if let Some(service) = webhook["clientConfig"].get_mut("service") {
        default(service, "port", json!(443));
    }
}

/// What the server decides once, at creation; nobody owns it.
pub(crate) fn on_create(state: &mut State, kind: &Kind, object: &mut Value) {
    if kind.custom.is_some() {
        return;
    }
    no_rules(object);
    if kind.status && kind.kind != "Node" {
        object["status"] = first_status(&kind.kind);
    }
    match kind.kind.as_str() {
        "Namespace" => object["spec"] = json!({"finalizers": ["kubernetes"]}),
        "Pod" => pod::admitted(&mut object["spec"]),
        "PersistentVolumeClaim" => protect(object, "kubernetes.io/pvc-protection"),
        "PersistentVolume" => {
            object["status"]["lastPhaseTransitionTime"] = json!(state.clock.stamp());
            protect(object, "kubernetes.io/pv-protection");
        }
        "Service" => service::allocate(state, object),
        "Job" if object["spec"]["manualSelector"] != true => select_by_uid(object),
        "CustomResourceDefinition" => {
            let versions = object["spec"]["versions"].as_array();
            let stored =
                versions.into_iter().flatten().filter(|version| version["storage"] == true);
            let stored: Vec<Value> = stored.map(|version| version["name"].clone()).collect();
            object["status"]["storedVersions"] = Value::Array(stored);
        }
        _ => {}
    }
}

/// No rules are stored as null.
fn no_rules(object: &mut Value) {
    if object["rules"] == json!([]) {
        object["rules"] = Value::Null;
    }
}

fn first_status(kind: &str) -> Value {
    match kind {
        "Namespace" => json!({"phase": "Active"}),
        "Pod" => json!({"phase": "Pending", "qosClass": "BestEffort"}),
        "PersistentVolumeClaim" | "PersistentVolume" => json!({"phase": "Pending"}),
        "Service" | "Ingress" => json!({"loadBalancer": {}}),
        "StatefulSet" => json!({"replicas": 0, "availableReplicas": 0}),
        "ReplicaSet" | "ReplicationController" => json!({"replicas": 0}),
        "DaemonSet" => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
            "numberReady": 0,
        }),
        "PodDisruptionBudget" => json!({
            "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
        }),
        "HorizontalPodAutoscaler" => json!({"desiredReplicas": 0, "currentMetrics": null}),
        "CustomResourceDefinition" => {
            json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}})
        }
        _ => json!({}),
    }
}

fn protect(object: &mut Value, finalizer: &str) {
    match object["metadata"]["finalizers"].as_array_mut() {
        Some(list) if list.iter().any(|name| name == finalizer) => {}
        Some(list) => list.push(json!(finalizer)),
        None => object["metadata"]["finalizers"] = json!([finalizer]),
    }
}

/// A job finds its pods by its own uid.
fn select_by_uid(object: &mut Value) {
    let (uid, name) = (object["metadata"]["uid"].clone(), object["metadata"]["name"].clone());
    let labels = json!({"batch.kubernetes.io/controller-uid": uid});
    object["spec"]["selector"] = json!({"matchLabels": labels});
    let labels = &mut object["spec"]["template"]["metadata"]["labels"];
    labels["batch.kubernetes.io/controller-uid"] = uid.clone();
    labels["batch.kubernetes.io/job-name"] = name.clone();
    labels["controller-uid"] = uid;
    labels["job-name"] = name;
}

/// What the server carries over when an update leaves it out.
pub(crate) fn on_update(kind: &Kind, live: &Value, object: &mut Value) {
    if kind.custom.is_none() {
        no_rules(object);
    }
    match kind.kind.as_str() {
        "Service" if kind.group.is_empty() => service::carry(live, object),
        "Namespace" if kind.group.is_empty() => {
            object["spec"] = live["spec"].clone();
        }
        "Job" if kind.group == "batch" && object["spec"]["selector"].is_null() => {
            object["spec"]["selector"] = live["spec"]["selector"].clone();
        }
        "PersistentVolumeClaim" => {
            for field in ["volumeName", "storageClassName"] {
                let value = live["spec"][field].clone();
                if object["spec"][field].is_null() && !value.is_null() {
                    object["spec"][field] = value;
                }
            }
        }
        _ => {}
    }
}

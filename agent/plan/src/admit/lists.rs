//! Lists whose items have keys: two items with one key make the server answer 500 for ever, so they
//! are found here, with their path.

use std::collections::BTreeMap;

use model::Reason;
use serde_json::Value;

use super::Flaw;
use crate::path;

/// `(list, key fields)` within a pod spec; `*` stands for every item.
const POD_LISTS: &[(&[&str], &[&str])] = &[
    (&["containers"], &["name"]),
    (&["initContainers"], &["name"]),
    (&["volumes"], &["name"]),
    (&["imagePullSecrets"], &["name"]),
    (&["hostAliases"], &["ip"]),
    (&["topologySpreadConstraints"], &["topologyKey", "whenUnsatisfiable"]),
    (&["containers", "*", "env"], &["name"]),
    (&["containers", "*", "ports"], &["containerPort", "protocol"]),
    (&["containers", "*", "volumeMounts"], &["mountPath"]),
    (&["containers", "*", "volumeDevices"], &["devicePath"]),
    (&["initContainers", "*", "env"], &["name"]),
    (&["initContainers", "*", "ports"], &["containerPort", "protocol"]),
    (&["initContainers", "*", "volumeMounts"], &["mountPath"]),
    (&["initContainers", "*", "volumeDevices"], &["devicePath"]),
    (&["ephemeralContainers"], &["name"]),
    (&["ephemeralContainers", "*", "env"], &["name"]),
    (&["ephemeralContainers", "*", "ports"], &["containerPort", "protocol"]),
    (&["ephemeralContainers", "*", "volumeMounts"], &["mountPath"]),
    (&["resourceClaims"], &["name"]),
    (&["schedulingGates"], &["name"]),
];

/// The same within a Service.
const SERVICE_LISTS: &[(&[&str], &[&str])] = &[(&["ports"], &["port", "protocol"])];

/// Lists at the top of other kinds: `(group, kind, list, key fields)`.
const KIND_LISTS: &[(&str, &str, &[&str], &[&str])] = &[
    (HOOKS, "ValidatingWebhookConfiguration", &["webhooks"], &["name"]),
    (HOOKS, "MutatingWebhookConfiguration", &["webhooks"], &["name"]),
    (HOOKS, "ValidatingAdmissionPolicy", &["spec", "variables"], &["name"]),
    (HOOKS, "ValidatingAdmissionPolicy", &["spec", "matchConditions"], &["name"]),
    ("", "ServiceAccount", &["secrets"], &["name"]),
];

/// Group of admission webhooks and policies.
const HOOKS: &str = "admissionregistration.k8s.io";

/// JSON pointer to the pod spec of a workload.
pub(super) fn pod_spec(object: &Value) -> Option<&'static str> {
    let group = object.get("apiVersion")?.as_str()?.split_once('/').map_or("", |(group, _)| group);
    match (group, object.get("kind")?.as_str()?) {
        ("", "Pod") => Some("/spec"),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => Some("/spec/template/spec"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// All items whose key stands already.
pub(super) fn check(object: &Value) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    if let Some(pointer) = pod_spec(object) {
        let base = pointer.trim_start_matches('/').replace('/', ".");
        for (list, keys) in POD_LISTS {
            walk(object.pointer(pointer), &base, list, keys, &mut flaws);
        }
    }
    for (list, keys) in lists_of(object) {
        walk(Some(object), "", list, keys, &mut flaws);
    }
    walk(Some(object), "", &["metadata", "ownerReferences"], &["uid"], &mut flaws);
    let is_service = object.get("kind").and_then(Value::as_str) == Some("Service")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1");
    if is_service {
        for (list, keys) in SERVICE_LISTS {
            walk(object.get("spec"), "spec", list, keys, &mut flaws);
        }
    }
    flaws
}

/// Lists of the object's own kind.
fn lists_of(
    object: &Value,
) -> impl Iterator<Item = (&'static [&'static str], &'static [&'static str])> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let kind = text("kind");
    KIND_LISTS
        .iter()
        .filter(move |(g, k, _, _)| *g == group && *k == kind)
        .map(|(_, _, list, keys)| (*list, *keys))
}

/// Follows `list` down from `value` and checks every list it leads to.
fn walk(value: Option<&Value>, base: &str, list: &[&str], keys: &[&str], flaws: &mut Vec<Flaw>) {
    let Some(value) = value else { return };
    match list {
        [] => unique(value, base, keys, flaws),
        ["*", rest @ ..] => {
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                walk(Some(item), &path::item(base, at), rest, keys, flaws);
            }
        }
        [name, rest @ ..] => {
            walk(value.get(name), &path::field(base, name), rest, keys, flaws);
        }
    }
}

/// Checks one list.
fn unique(list: &Value, base: &str, keys: &[&str], flaws: &mut Vec<Flaw>) {
    let mut first: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for (at, item) in list.as_array().into_iter().flatten().enumerate() {
        let key: Vec<String> = keys
            .iter()
            .map(|key| item.get(key).map(Value::to_string).unwrap_or_default())
            .collect();
        if key[0].is_empty() {
            continue;
        }
        let Some(before) = first.get(&key) else {
            first.insert(key, at);
            continue;
        };
        let what: Vec<String> =
            keys.iter().zip(&key).map(|(name, value)| format!("{name} {value}")).collect();
        let why = format!("{} stands already at {base}[{before}]; keep one", what.join(", "));
        let path = path::field(&path::item(base, at), keys[0]);
        flaws.push(Flaw::new(path, why).because(Reason::SchemaRejected));
    }
}

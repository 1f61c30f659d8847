//! Takes off what is not desired state, and puts right what the API server would stumble over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::lists::pod_spec;

/// Fields of `metadata` that the server owns.
const SERVER_FIELDS: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// What client-side apply leaves behind: a full copy of the object, with its secrets.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Sanitises one object in place.
pub(super) fn sanitise(object: &mut Value) {
    let Value::Object(top) = object else { return };
    top.remove("status");
    if let Some(Value::Object(meta)) = top.get_mut("metadata") {
        for name in SERVER_FIELDS {
            meta.remove(*name);
        }
        if let Some(Value::Object(annotations)) = meta.get_mut("annotations") {
            annotations.remove(LAST_APPLIED);
        }
    }
    drop_nulls(object);
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let core = text("apiVersion") == "v1";
    match text("kind") {
        "Secret" if core => merge_string_data(object),
        "CustomResourceDefinition" => drop_bad_ca_bundle(object),
        "ClusterRole" => drop_aggregated_rules(object),
        "Service" if core => default_protocol(object.pointer_mut("/spec/ports")),
        _ => {}
    }
    let pointer = pod_spec(object);
    if let Some(spec) = pointer.and_then(|p| object.pointer_mut(p)) {
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                default_protocol(container.get_mut("ports"));
            }
        }
    }
}

/// A null in a map means "absent" everywhere but in a list.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `stringData` → `data`. A key that is dropped from `stringData` would stay in `data` on the server.
/// Values that are no text stay where they are, for [`super::bounds`] to refuse.
fn merge_string_data(object: &mut Value) {
    let Value::Object(top) = object else { return };
    let Some(Value::Object(texts)) = top.get("stringData") else { return };
    if texts.values().any(|v| !v.is_string()) {
        return;
    }
    let encoded: Vec<(String, Value)> = texts
        .iter()
        .map(|(k, v)| (k.clone(), json!(STANDARD.encode(v.as_str().unwrap_or_default()))))
        .collect();
    let data = top.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(data) = data else { return };
    data.extend(encoded);
    top.remove("stringData");
}

/// The protocol is part of the merge key of a port.
fn default_protocol(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(port) = port {
            port.entry("protocol").or_insert_with(|| json!("TCP"));
        }
    }
}

/// The rules of an aggregated role are what a controller of Kubernetes collects; whatever stands there is
/// overwritten, and applying it would begin a fight.
fn drop_aggregated_rules(object: &mut Value) {
    let Value::Object(top) = object else { return };
    if top.get("aggregationRule").is_some_and(Value::is_object) {
        top.remove("rules");
    }
}

/// Since 1.31 the server refuses a bundle that is no PEM; an injector fills it in later.
fn drop_bad_ca_bundle(object: &mut Value) {
    let Some(Value::Object(client)) = object.pointer_mut("/spec/conversion/webhook/clientConfig")
    else {
        return;
    };
    let is_pem = |bundle: &Value| {
        let bytes = STANDARD.decode(bundle.as_str().unwrap_or_default()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----")
    };
    if client.get("caBundle").is_some_and(|bundle| !is_pem(bundle)) {
        client.remove("caBundle");
    }
}

//! The `scale` subresource: replicas, and nothing else.

use crate::kinds::Kind;
use serde_json::{Value, json};

fn count(kind: &Kind, object: &Value, present: bool) -> i64 {
    let pointer =
        kind.scale.as_ref().map(|scale| if present { &scale.present } else { &scale.asked });
    pointer.and_then(|pointer| object.pointer(pointer)).and_then(Value::as_i64).unwrap_or(0)
}

/// The `Scale` of a workload.
pub(crate) fn of_object(kind: &Kind, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": {"replicas": count(kind, object, true)},
    });
    // Left out when it is zero, as the server leaves it out.
    let replicas = count(kind, object, false);
    if replicas != 0 {
        scale["spec"]["replicas"] = json!(replicas);
    }
    if let Some(labels) = object["spec"]["selector"]["matchLabels"].as_object() {
        let pairs: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        scale["status"]["selector"] = json!(pairs.join(","));
    }
    if !kind.namespaced {
        scale["metadata"].as_object_mut().and_then(|map| map.shift_remove("namespace"));
    }
    scale
}

/// The workload with a `Scale`'s replicas; the scale's resourceVersion stays a precondition.
pub(crate) fn onto_object(kind: &Kind, object: &Value, scale: &Value) -> Value {
    let mut object = object.clone();
    let replicas = json!(scale["spec"]["replicas"].as_i64().unwrap_or(0));
    if let Some(paths) = &kind.scale {
        set(&mut object, &paths.asked, replicas);
    }
    if let Some(version) = scale["metadata"]["resourceVersion"].as_str() {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    object
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut spot = object;
    for name in pointer.split('/').filter(|name| !name.is_empty()) {
        if !spot.is_object() {
            *spot = json!({});
        }
        spot = &mut spot[name];
    }
    *spot = value;
}

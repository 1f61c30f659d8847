//! What may not change once an object exists.

use crate::{fields::same, kinds::Kind, status::Cause};
use serde_json::{Value, json};

const IMMUTABLE: &str = "field is immutable";

/// Compares an object before and after.
pub(super) fn transition(kind: &Kind, live: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind.custom.is_none() {
        check(&kind.kind, live, new, &mut causes);
    }
    causes
}

fn fixed(path: &str, live: &Value, new: &Value, text: &str, causes: &mut Vec<Cause>) {
    let pointer = format!("/{}", path.replace('.', "/"));
    let of = |object: &Value| object.pointer(&pointer).cloned().unwrap_or(Value::Null);
    let (before, after) = (of(live), of(new));
    if !same(&before, &after) {
        causes.push(Cause::invalid(path, &after, text));
    }
}

fn check(kind: &str, live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            fixed("spec.selector", live, new, IMMUTABLE, causes);
        }
        "StatefulSet" => stateful(live, new, causes),
        "Job" => job(live, new, causes),
        "Service" => {
            let external = |object: &Value| object["spec"]["type"] == "ExternalName";
            if !external(live)
                && !external(new)
                && live["spec"]["clusterIP"] != new["spec"]["clusterIP"]
            {
                let value = &new["spec"]["clusterIPs"];
                causes.push(Cause::invalid("spec.clusterIPs[0]", value, "may not change once set"));
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let (before, after) = (&live["roleRef"], &new["roleRef"]);
            if before != after {
                // The server prints its inner form, in which names begin with capitals.
                let (group, kind, name) = (&after["apiGroup"], &after["kind"], &after["name"]);
                let shown = json!({"APIGroup": group, "Kind": kind, "Name": name});
                causes.push(Cause::invalid("roleRef", &shown, IMMUTABLE));
            }
        }
        "PersistentVolumeClaim" => claim(live, new, causes),
        "PriorityClass" => {
            if live["value"] != new["value"] {
                causes.push(Cause::forbidden("value", "may not be changed in an update."));
            }
            fixed("preemptionPolicy", live, new, IMMUTABLE, causes);
        }
        "StorageClass" => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                if live[field] != new[field] {
                    causes.push(Cause::invalid(field, &Value::Null, IMMUTABLE));
                }
            }
        }
        "Secret" => {
            fixed("type", live, new, IMMUTABLE, causes);
            frozen(live, new, causes);
        }
        "ConfigMap" => frozen(live, new, causes),
        "CustomResourceDefinition" => {
            for path in ["spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"] {
                fixed(path, live, new, IMMUTABLE, causes);
            }
        }
        _ => {}
    }
}

/// `immutable: true` may not be taken back, nor the data changed.
fn frozen(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if live["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    if live["data"] != new["data"] || live["binaryData"] != new["binaryData"] {
        causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
    }
}

fn job(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    for path in ["spec.completions", "spec.selector", "spec.completionMode"] {
        // Indexed jobs may grow.
        if path != "spec.completions" || new["spec"]["completionMode"] != "Indexed" {
            fixed(path, live, new, IMMUTABLE, causes);
        }
    }
    let metadata = |object: &Value| object["spec"]["template"]["metadata"].clone();
    let only_below = same(&metadata(live), &metadata(new));
    let template = if only_below { "spec.template.spec" } else { "spec.template" };
    fixed(template, live, new, IMMUTABLE, causes);
}

fn stateful(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    fixed("spec.selector", live, new, IMMUTABLE, causes);
    let service = |object: &Value| object["spec"]["serviceName"].as_str().unwrap_or("").to_owned();
    if service(live) != service(new) {
        causes.push(Cause::invalid("spec.serviceName", &json!(service(new)), IMMUTABLE));
    }
    fixed("spec.podManagementPolicy", live, new, IMMUTABLE, causes);
    let claims = |object: &Value| -> Value {
        let list = object["spec"]["volumeClaimTemplates"].as_array();
        Value::Array(list.cloned().unwrap_or_default())
    };
    if !same(&claims(live), &claims(new)) {
        causes.push(Cause::invalid("spec.volumeClaimTemplates", &claims(new), IMMUTABLE));
    }
}

fn claim(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let rest = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            map.shift_remove("resources");
            if live["spec"]["volumeName"].is_null() {
                map.shift_remove("volumeName");
            }
        }
        spec
    };
    if !same(&rest(live), &rest(new)) {
        let text = "spec is immutable after creation except resources.requests and \
                    volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", text));
    }
}

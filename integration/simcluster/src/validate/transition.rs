//! What may not change once an object exists.

use super::faults;
use crate::{
    fields::same,
    kinds::Kind,
    status::{Cause, Status},
};
use serde_json::{Value, json};

const IMMUTABLE: &str = "field is immutable";

/// Checks an object as it is to stand, and what of it may not differ from before: one list of faults.
pub(crate) fn transition(kind: &Kind, live: &Value, new: &Value) -> Result<(), Status> {
    let mut causes = faults(kind, new);
    let mut changes = Vec::new();
    if kind.custom.is_none() {
        check(&kind.kind, live, new, &mut changes);
    }
    // Each kind has its own order.
    match kind.kind.as_str() {
        "DaemonSet" => causes.splice(0..0, changes).for_each(drop),
        _ => causes.extend(changes),
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(kind, live["metadata"]["name"].as_str().unwrap_or_default(), &causes))
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
        "Job" => {
            let labels = |object: &Value| object["spec"]["template"]["metadata"].clone();
            let template = match same(&labels(live), &labels(new)) {
                true => "spec.template.spec",
                false => "spec.template",
            };
            for path in ["spec.completions", "spec.selector", template, "spec.completionMode"] {
                let indexed =
                    path == "spec.completions" && new["spec"]["completionMode"] == "Indexed";
                if !indexed {
                    fixed(path, live, new, IMMUTABLE, causes);
                }
            }
        }
        "Service" => {
            let external = |object: &Value| object["spec"]["type"] == "ExternalName";
            if !external(live)
                && !external(new)
                && live["spec"]["clusterIP"] != new["spec"]["clusterIP"]
            {
                let value = json!([new["spec"]["clusterIP"]]);
                let text = "may not change once set";
                causes.push(Cause::invalid("spec.clusterIPs[0]", &value, text));
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            if !same(&live["roleRef"], &new["roleRef"]) {
                // Shown with the names that the server's own code has for them.
                let role = &new["roleRef"];
                let value = json!({
                    "APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"],
                });
                causes.push(Cause::invalid("roleRef", &value, IMMUTABLE));
            }
        }
        "PersistentVolumeClaim" => claim(live, new, causes),
        "PriorityClass" => {
            if live["value"] != new["value"] {
                causes.push(Cause::forbidden("value", "may not be changed in an update."));
            }
        }
        "StorageClass" => {
            if live["parameters"] != new["parameters"] {
                causes.push(Cause::forbidden("parameters", "updates to parameters are forbidden."));
            }
            if live["provisioner"] != new["provisioner"] {
                causes.push(Cause::invalid("provisioner", &Value::Null, IMMUTABLE));
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

fn stateful(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    const MAY_CHANGE: [&str; 8] = [
        // May not, and is looked at by itself.
        "serviceName",
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let rest = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            MAY_CHANGE.iter().for_each(|field| _ = map.shift_remove(*field));
        }
        spec
    };
    fixed("spec.serviceName", live, new, IMMUTABLE, causes);
    if !same(&rest(live), &rest(new)) {
        let text = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                    'template', 'updateStrategy', 'revisionHistoryLimit', \
                    'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        causes.push(Cause::forbidden("spec", text));
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

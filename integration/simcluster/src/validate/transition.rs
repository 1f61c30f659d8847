//! What may not change once an object exists.

use crate::{
    fields::same,
    kinds::Kind,
    status::{Cause, Status},
};
use serde_json::Value;

const IMMUTABLE: &str = "field is immutable";

/// Compares an object before and after.
pub(crate) fn transition(kind: &Kind, live: &Value, new: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    if kind.custom.is_none() {
        check(&kind.kind, live, new, &mut causes);
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
            for path in
                ["spec.completions", "spec.selector", "spec.template", "spec.completionMode"]
            {
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
                let value = &new["spec"]["clusterIPs"];
                causes.push(Cause::invalid("spec.clusterIPs[0]", value, "may not change once set"));
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            fixed("roleRef", live, new, "cannot change roleRef", causes);
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
                let text = "updates to provisioner are forbidden.";
                causes.push(Cause::forbidden("provisioner", text));
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
    const MAY_CHANGE: [&str; 7] = [
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

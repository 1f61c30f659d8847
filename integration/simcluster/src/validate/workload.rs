//! Rules of workloads and their pods.

use crate::{selector::picks, status::Cause};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn check(kind: &str, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    let mismatch = |causes: &mut Vec<Cause>| {
        let text = "`selector` does not match template `labels`";
        let sorted: BTreeMap<&String, &Value> = labels.as_object().into_iter().flatten().collect();
        let shown = if labels.is_null() { Value::Null } else { json!(sorted) };
        causes.push(Cause::invalid("spec.template.metadata.labels", &shown, text));
    };
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
        mismatch(causes);
    } else if empty(&selector["matchLabels"]) && selector["matchExpressions"][0].is_null() {
        let text = format!("empty selector is invalid for {}", kind.to_lowercase());
        causes.push(Cause::invalid("spec.selector", &json!({}), &text));
    } else if !picks(selector, labels) {
        mismatch(causes);
    }
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        let text = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.replicas", &spec["replicas"], text));
    }
    pod(&spec["template"]["spec"], "spec.template.spec", causes);
    strategy(kind, spec, causes);
    if spec["template"]["spec"]["restartPolicy"] != "Always" {
        let policy = &spec["template"]["spec"]["restartPolicy"];
        let field = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(field, policy, &["Always"]));
    }
}

/// The numbers of a rolling update may not outlive it, as they do when an apply changes the type
/// and another manager or a default has set them.
fn strategy(kind: &str, spec: &Value, causes: &mut Vec<Cause>) {
    let recreates = &spec["strategy"];
    if kind == "Deployment"
        && recreates["type"] == "Recreate"
        && recreates["rollingUpdate"].is_object()
    {
        let text = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden("spec.strategy.rollingUpdate", text));
    }
    let updates = &spec["updateStrategy"];
    if kind == "StatefulSet"
        && updates["type"] == "OnDelete"
        && updates["rollingUpdate"].is_object()
    {
        let numbers = &updates["rollingUpdate"];
        let (partition, most) = (&numbers["partition"], &numbers["maxUnavailable"]);
        let shown = json!({"Partition": partition, "MaxUnavailable": most});
        let text = "only allowed for updateStrategy 'RollingUpdate'";
        causes.insert(0, Cause::invalid("spec.updateStrategy.rollingUpdate", &shown, text));
    }
}

pub(super) fn pod_of_job(spec: &Value, causes: &mut Vec<Cause>) {
    pod(spec, "spec.template.spec", causes);
    if spec["restartPolicy"] == "Always" {
        let (field, policy) = ("spec.template.spec.restartPolicy", &spec["restartPolicy"]);
        causes.push(Cause::unsupported(field, policy, &["OnFailure", "Never"]));
    }
}

pub(super) fn pod(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        causes.push(Cause::required(&format!("{path}.containers"), ""));
    }
    let volumes: Vec<&Value> =
        spec["volumes"].as_array().into_iter().flatten().map(|volume| &volume["name"]).collect();
    check_containers(containers, &format!("{path}.containers"), &volumes, causes);
    let first = spec["initContainers"].as_array().map(Vec::as_slice).unwrap_or_default();
    check_containers(first, &format!("{path}.initContainers"), &volumes, causes);
}

/// What an autoscaler must name; the order is the server's.
pub(super) fn autoscaler(spec: &Value, causes: &mut Vec<Cause>) {
    let most = spec["maxReplicas"].as_i64().unwrap_or(0);
    if most < spec["minReplicas"].as_i64().unwrap_or(1) {
        let text = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), text));
    }
    let target = &spec["scaleTargetRef"];
    for name in ["kind", "name"] {
        if target[name].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(&format!("spec.scaleTargetRef.{name}"), ""));
        }
    }
    if target["apiVersion"].is_null() {
        let text = "apiVersion must specify API group";
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &json!(""), text));
    }
    if most == 0 {
        causes.push(Cause::required("spec.maxReplicas", ""));
    }
}

fn check_containers(containers: &[Value], path: &str, volumes: &[&Value], causes: &mut Vec<Cause>) {
    for (index, container) in containers.iter().enumerate() {
        let field = |name: &str| format!("{path}[{index}].{name}");
        let missing = |name: &str| container[name].as_str().is_none_or(str::is_empty);
        if missing("name") {
            causes.push(Cause::required(&field("name"), ""));
        }
        if missing("image") {
            causes.push(Cause::required(&field("image"), ""));
        }
        if containers[..index].iter().any(|other| other["name"] == container["name"]) {
            causes.push(Cause::duplicate(&field("name"), &container["name"]));
        }
        let ports = container["ports"].as_array();
        for (number, port) in ports.into_iter().flatten().enumerate() {
            let value = port["containerPort"].as_i64().unwrap_or(0);
            if !(1..=65_535).contains(&value) {
                let field = field(&format!("ports[{number}].containerPort"));
                let text = "must be between 1 and 65535, inclusive";
                causes.push(Cause::invalid(&field, &json!(value), text));
            }
        }
        for (number, env) in container["env"].as_array().into_iter().flatten().enumerate() {
            if env["value"].is_string() && env["valueFrom"].is_object() {
                let field = field(&format!("env[{number}].valueFrom"));
                let text = "may not be specified when `value` is not empty";
                causes.push(Cause::invalid(&field, &json!(""), text));
            }
        }
        let mounts = container["volumeMounts"].as_array();
        for (number, mount) in mounts.into_iter().flatten().enumerate() {
            if !volumes.contains(&&mount["name"]) {
                let field = field(&format!("volumeMounts[{number}].name"));
                causes.push(Cause::not_found(&field, &mount["name"]));
            }
        }
    }
}

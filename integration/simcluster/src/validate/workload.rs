//! Rules of workloads and their pods.

use crate::{selector::picks, status::Cause};
use serde_json::{Value, json};

pub(super) fn check(kind: &str, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    let mismatch = |causes: &mut Vec<Cause>| {
        let text = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, text));
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
    if spec["template"]["spec"]["restartPolicy"] != "Always" {
        let policy = &spec["template"]["spec"]["restartPolicy"];
        let field = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(field, policy, &["Always"]));
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
    for (index, container) in containers.iter().enumerate() {
        let field = |name: &str| format!("{path}.containers[{index}].{name}");
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
        let mounts = container["volumeMounts"].as_array();
        for (number, mount) in mounts.into_iter().flatten().enumerate() {
            if !volumes.contains(&&mount["name"]) {
                let field = field(&format!("volumeMounts[{number}].name"));
                causes.push(Cause::not_found(&field, &mount["name"]));
            }
        }
    }
}

//! For each service with a selector, a slice of the addresses of its pods.

use super::pass::{CONTROLLER, Pass, is_deleting, is_true, name, owner_reference};
use crate::{kinds::Kind, ops::Write, state::place_of};
use serde_json::{Value, json};
use std::sync::Arc;

const SERVICE: &str = "kubernetes.io/service-name";

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(services), Some(slices)) =
        (pass.kind("", "Service"), pass.kind("discovery.k8s.io", "EndpointSlice"))
    else {
        return;
    };
    for service in pass.state.all("", "Service") {
        if service["spec"]["selector"].is_object() && !is_deleting(&service) {
            one(pass, &services, &slices, &service);
        }
    }
}

fn one(pass: &mut Pass<'_>, services: &Kind, slices: &Kind, service: &Value) {
    let endpoints = endpoints(pass, service);
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let number = port["targetPort"].as_i64().or(port["port"].as_i64());
            let named = port["name"].as_str().unwrap_or_default();
            json!({"name": named, "port": number, "protocol": port["protocol"]})
        })
        .collect();
    let slice = pass
        .owned("discovery.k8s.io", "EndpointSlice", service)
        .into_iter()
        .find(|slice| slice["metadata"]["labels"][SERVICE] == name(service));
    if let Some(slice) = slice {
        let known = |field: &str| slice[field].as_array().cloned().unwrap_or_default();
        if known("endpoints") == endpoints && known("ports") == ports {
            return;
        }
        return pass.edit(slices, &slice, &Write::by(CONTROLLER, ""), |slice| {
            slice["endpoints"] = Value::Array(endpoints);
            slice["ports"] = Value::Array(ports);
        });
    }
    let suffix = pass.state.suffix(5);
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{suffix}", name(service)),
            "namespace": place_of(services, service).0,
            "labels": {
                SERVICE: name(service),
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": owner_reference(services, service),
        },
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    });
    let _tried_again_next_pass = pass.create(slices, object);
}

fn endpoints(pass: &Pass<'_>, service: &Value) -> Vec<Value> {
    let wanted = service["spec"]["selector"].as_object();
    let picks = |pod: &&Arc<Value>| {
        let labels = &pod["metadata"]["labels"];
        pod["metadata"]["namespace"] == service["metadata"]["namespace"]
            && pod["status"]["podIP"].is_string()
            && wanted.into_iter().flatten().all(|(label, value)| labels.get(label) == Some(value))
    };
    let describe = |pod: &Arc<Value>| {
        let (ready, leaving) = (is_true(pod, "Ready"), is_deleting(pod));
        json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready && !leaving, "serving": ready, "terminating": leaving},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {
                "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
                "namespace": pod["metadata"]["namespace"],
            },
        })
    };
    pass.state.all("", "Pod").iter().filter(picks).map(describe).collect()
}

//! Services: their defaults, their addresses, and what an update keeps.

use super::{default, each};
use crate::state::State;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn fill(spec: &mut Value) {
    default(spec, "sessionAffinity", json!("None"));
    default(spec, "type", json!("ClusterIP"));
    for port in each(spec.get_mut("ports").unwrap_or(&mut Value::Null)) {
        default(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        let target = &port["targetPort"];
        if target.is_null() || *target == 0 || *target == "" {
            port["targetPort"] = number;
        }
    }
    if spec["sessionAffinity"] == "ClientIP" {
        /// Three hours in seconds.
        const STAY: u32 = 10_800;
        default(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": STAY}}));
    } else if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("sessionAffinityConfig");
    }
    if spec["type"] != "ExternalName" {
        default(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
        default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

/// Gives addresses and node ports to a new service.
pub(super) fn allocate(state: &mut State, object: &mut Value) {
    let others = state.all("", "Service");
    let spec = &mut object["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    if spec["clusterIP"].as_str().is_none_or(str::is_empty) {
        let taken: BTreeSet<&str> =
            others.iter().filter_map(|other| other["spec"]["clusterIP"].as_str()).collect();
        let first = state.number(250);
        let free = (0..65_000).map(|step| address(first + step)).find(|ip| !taken.contains(&**ip));
        spec["clusterIP"] = json!(free.unwrap_or_default());
    }
    let address = spec["clusterIP"].clone();
    default(spec, "clusterIPs", json!([address]));
    default(spec, "ipFamilies", json!(["IPv4"]));
    default(spec, "ipFamilyPolicy", json!("SingleStack"));
    if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
        /// The range of node ports on a real server, 30000 to 32767.
        const PORTS: (u64, u64) = (30_000, 2_768);
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if port["nodePort"].as_u64().unwrap_or(0) == 0 {
                port["nodePort"] = json!(PORTS.0 + state.number(PORTS.1));
            }
        }
    }
}

fn address(number: u64) -> String {
    format!("10.96.{}.{}", (number / 250) % 250, number % 250 + 1)
}

/// Addresses stay when an update does not name them.
pub(super) fn carry(live: &Value, object: &mut Value) {
    if object["spec"]["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let value = live["spec"][field].clone();
        if object["spec"][field].is_null() && !value.is_null() {
            object["spec"][field] = value;
        }
    }
    let (ip, ips) = (object["spec"]["clusterIP"].clone(), &object["spec"]["clusterIPs"]);
    if ip != live["spec"]["clusterIP"] && *ips == live["spec"]["clusterIPs"] {
        object["spec"]["clusterIPs"] = json!([ip]);
    }
    let before = live["spec"]["ports"].as_array().cloned().unwrap_or_default();
    if object["spec"]["type"] == "NodePort" || object["spec"]["type"] == "LoadBalancer" {
        for port in each(object["spec"].get_mut("ports").unwrap_or(&mut Value::Null)) {
            let same =
                |old: &&Value| old["port"] == port["port"] && old["protocol"] == port["protocol"];
            let Some(number) = before.iter().find(same).map(|old| old["nodePort"].clone()) else {
                continue;
            };
            if port["nodePort"].is_null() && !number.is_null() {
                port["nodePort"] = number;
            }
        }
    }
}

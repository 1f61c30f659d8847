//! Prints `src/schema/builtin.txt` from an API server's own description of its types.
//!
//! `kubectl get --raw /openapi/v2 | cargo run -p simcluster --example schema_table > builtin.txt`
//!
//! One line a type: its name, then `field:type`. `s` text, `n` number, `b` boolean, `q` quantity,
//! `u` number or text, `*` anything, `[T]` list replaced as a whole, `[=T]` set, `[a,b|T]` list
//! keyed by a and b, `<T>` map; `!` before a type means "one leaf, replaced as a whole".

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
};

const ROOTS: &[&str] = &[
    "core.v1.Namespace",
    "core.v1.ConfigMap",
    "core.v1.Secret",
    "core.v1.Service",
    "core.v1.ServiceAccount",
    "core.v1.Pod",
    "core.v1.PersistentVolumeClaim",
    "core.v1.PersistentVolume",
    "core.v1.Node",
    "core.v1.Event",
    "core.v1.ReplicationController",
    "core.v1.ResourceQuota",
    "core.v1.LimitRange",
    "core.v1.Endpoints",
    "apps.v1.Deployment",
    "apps.v1.StatefulSet",
    "apps.v1.DaemonSet",
    "apps.v1.ReplicaSet",
    "batch.v1.Job",
    "batch.v1.CronJob",
    "networking.v1.Ingress",
    "networking.v1.NetworkPolicy",
    "networking.v1.IngressClass",
    "rbac.v1.Role",
    "rbac.v1.RoleBinding",
    "rbac.v1.ClusterRole",
    "rbac.v1.ClusterRoleBinding",
    "policy.v1.PodDisruptionBudget",
    "autoscaling.v2.HorizontalPodAutoscaler",
    "autoscaling.v1.Scale",
    "storage.v1.StorageClass",
    "scheduling.v1.PriorityClass",
    "coordination.v1.Lease",
    "apiextensions.v1.CustomResourceDefinition",
    "apiregistration.v1.APIService",
    "admissionregistration.v1.MutatingWebhookConfiguration",
    "admissionregistration.v1.ValidatingWebhookConfiguration",
    "admissionregistration.v1.ValidatingAdmissionPolicy",
    "admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    "discovery.v1.EndpointSlice",
];

fn short(name: &str) -> String {
    let parts: Vec<&str> = name.rsplit('.').take(3).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(".")
}

struct Table<'a> {
    definitions: BTreeMap<String, &'a Value>,
    wanted: BTreeSet<String>,
}

impl Table<'_> {
    fn reference(&mut self, target: &str, atomic: bool) -> String {
        let name = short(target);
        match name.rsplit('.').next().unwrap_or_default() {
            "Quantity" => return "q".into(),
            "IntOrString" => return "u".into(),
            "Time" | "MicroTime" => return "s".into(),
            _ => {}
        }
        let definition = self.definitions[&name];
        let atomic = atomic || definition["x-kubernetes-map-type"] == "atomic";
        if definition["properties"].is_object() {
            self.wanted.insert(name.clone());
            return format!("{}{name}", if atomic { "!" } else { "" });
        }
        self.expression(definition, atomic)
    }

    fn expression(&mut self, schema: &Value, atomic: bool) -> String {
        let atomic = atomic || schema["x-kubernetes-map-type"] == "atomic";
        if let Some(target) = schema["$ref"].as_str() {
            return self.reference(target, atomic);
        }
        match schema["type"].as_str() {
            Some("string") => "s".into(),
            Some("integer" | "number") => "n".into(),
            Some("boolean") => "b".into(),
            Some("array") => self.list(schema),
            Some("object") if schema["additionalProperties"].is_object() => {
                let of = self.expression(&schema["additionalProperties"], false);
                format!("{}<{of}>", if atomic { "!" } else { "" })
            }
            _ => "*".into(),
        }
    }

    fn list(&mut self, schema: &Value) -> String {
        let of = self.expression(&schema["items"], false);
        let strategy = schema["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
        let merges = strategy.split(',').any(|part| part == "merge");
        let key = |name: &str| match name {
            "protocol" => "protocol~TCP".to_owned(),
            other => other.to_owned(),
        };
        let keys: Vec<String> = match schema["x-kubernetes-list-type"].as_str() {
            Some("atomic") => return format!("[{of}]"),
            Some("set") => return format!("[={of}]"),
            Some("map") => schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(key))
                .collect(),
            _ if merges => match schema["x-kubernetes-patch-merge-key"].as_str() {
                Some(name) => vec![key(name)],
                None => return format!("[={of}]"),
            },
            _ => return format!("[{of}]"),
        };
        format!("[{}|{of}]", keys.join(","))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let document: Value = serde_json::from_str(&text)?;
    let definitions = document["definitions"].as_object().ok_or("no definitions")?;
    let mut table = Table {
        definitions: definitions.iter().map(|(name, schema)| (short(name), schema)).collect(),
        wanted: ROOTS.iter().map(|root| (*root).to_owned()).collect(),
    };
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    while let Some(name) = table.wanted.iter().find(|name| !lines.contains_key(*name)).cloned() {
        let definition = table.definitions[&name];
        let mut line = name.clone();
        for (field, schema) in definition["properties"].as_object().into_iter().flatten() {
            let expression = table.expression(schema, false);
            line.push_str(&format!(" {field}:{expression}"));
        }
        lines.insert(name, line);
    }
    let mut out = std::io::stdout().lock();
    for line in lines.values() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

//! What stays for now keeps what it may need; what it cannot need goes on.
//!
//! Deletion is the order of applying turned round, so what goes later may be what a staying object leans on. Only
//! some of it is: its named dependencies, its namespace, waves below its own, and, by the nature of its kind,
//! nothing, what is around it, or anything.

use std::collections::BTreeMap;

use model::ObjectKey;

use crate::inventory::Entry;
use crate::order::{delete_class, rank};

/// Kinds of Kubernetes that work without any object beside their namespace: nothing of them breaks when what was
/// applied before them goes.
const SELF_CONTAINED: &[&str] = &[
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "RuntimeClass",
    "ClusterRole",
    "Role",
    "ServiceAccount",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Secret",
    "ConfigMap",
    "Service",
    "EndpointSlice",
    "Endpoints",
];

/// Rank of workloads: these, and bindings, claims and scalers below them, look for what they need in their own
/// namespace and in the cluster as a whole.
const WORKLOAD: u16 = 60;

/// What a kind may need that was applied before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Nothing,
    /// What is in its namespace, of the whole cluster, or grants rights.
    Around,
    /// A controller or a server may be anywhere.
    Anything,
}

fn reach(key: &ObjectKey) -> Reach {
    let at = rank(&key.group, &key.kind);
    if key.kind == "Ingress" && at > WORKLOAD {
        return Reach::Around;
    }
    match at {
        0..=WORKLOAD if SELF_CONTAINED.contains(&key.kind.as_str()) => Reach::Nothing,
        0..=WORKLOAD if !key.namespace.is_empty() => Reach::Around,
        _ => Reach::Anything,
    }
}

/// Objects that are no longer desired and stay for now, and what they keep with them. Filled step by step, in the
/// order of deletion.
#[derive(Debug, Clone, Default)]
pub struct Keepers {
    named: BTreeMap<ObjectKey, ObjectKey>,
    namespaces: BTreeMap<String, ObjectKey>,
    /// By the highest wave.
    waves: BTreeMap<i32, ObjectKey>,
    /// What reaches for anything, by its rank.
    anything: BTreeMap<u16, ObjectKey>,
    /// What reaches around itself, by its namespace and rank.
    around: BTreeMap<(String, u16), ObjectKey>,
}

impl Keepers {
    /// Notes an object that stays. Those of one step are noted once the step is through: none of them needs another.
    pub fn keep(&mut self, key: &ObjectKey, entry: &Entry) {
        let by = || key.clone();
        for need in &entry.depends_on {
            self.named.entry(need.clone()).or_insert_with(by);
        }
        if !key.namespace.is_empty() {
            self.namespaces.entry(key.namespace.clone()).or_insert_with(by);
        }
        // Of an object whose kind blocks or holds the rest, the wave says nothing about its going.
        if delete_class(key) == 1 {
            self.waves.entry(entry.position.wave).or_insert_with(by);
        }
        let at = rank(&key.group, &key.kind);
        match reach(key) {
            Reach::Nothing => {}
            Reach::Around => {
                self.around.entry((key.namespace.clone(), at)).or_insert_with(by);
            }
            Reach::Anything => {
                self.anything.entry(at).or_insert_with(by);
            }
        }
    }

    /// Which of them an object of a later step has to wait for.
    pub fn keeper(&self, key: &ObjectKey, entry: &Entry) -> Option<&ObjectKey> {
        if let Some(by) = self.named.get(key) {
            return Some(by);
        }
        match delete_class(key) {
            3 => return self.namespaces.get(&key.name),
            // Whether a definition has objects left is asked of the cluster, just before.
            0 | 2 => return None,
            _ => {}
        }
        let above = entry.position.wave.checked_add(1);
        let above = above.and_then(|wave| self.waves.range(wave..).next());
        let over = rank(&key.group, &key.kind) + 1;
        let anywhere = || self.anything.range(over..).next().map(|(_, by)| by);
        let near = || {
            let of = (key.namespace.clone(), over)..=(key.namespace.clone(), u16::MAX);
            let global = key.namespace.is_empty() || key.group == "rbac.authorization.k8s.io";
            if global {
                return self.around.iter().find(|((_, at), _)| *at >= over).map(|(_, by)| by);
            }
            self.around.range(of).next().map(|(_, by)| by)
        };
        above.map(|(_, by)| by).or_else(anywhere).or_else(near)
    }
}

//! What is in the way of deleting an object that holds others: a namespace, a definition.

use std::collections::BTreeSet;

use model::ObjectKey;

use super::Guard;
use crate::live::{Live, LiveMeta};

/// The kind that a definition defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// `spec.group`.
    pub group: String,
    /// `spec.names.kind`.
    pub kind: String,
}

/// The objects in the way of deleting `key`, whoever they belong to. `going` are objects whose deletion
/// comes before, in the same plan. `live` must hold all objects of the namespace, or all instances of
/// the definition; what was not looked at cannot be found here.
pub fn guard_holds(
    guard: Guard,
    key: &ObjectKey,
    definition: Option<&Definition>,
    live: &Live,
    going: &BTreeSet<ObjectKey>,
) -> Vec<ObjectKey> {
    let inside = |(other, meta): &(&ObjectKey, &LiveMeta)| match guard {
        Guard::NamespaceEmpty => other.namespace == key.name && is_content(other, meta),
        Guard::NoInstances => {
            definition.is_some_and(|d| d.group == other.group && d.kind == other.kind)
        }
    };
    let held = live.iter().filter(inside).map(|(other, _)| other);
    held.filter(|other| !going.contains(*other)).cloned().collect()
}

/// Whether an object counts as content of a namespace that is about to be deleted. What Kubernetes
/// makes by itself, and what goes with an owner, does not.
pub fn is_content(key: &ObjectKey, meta: &LiveMeta) -> bool {
    let own = match (key.group.as_str(), key.kind.as_str()) {
        ("", "ServiceAccount") => key.name == "default",
        ("", "ConfigMap") => key.name == "kube-root-ca.crt",
        ("", "Event" | "Endpoints")
        | ("events.k8s.io", "Event")
        | ("discovery.k8s.io", "EndpointSlice") => true,
        _ => false,
    };
    !own && meta.owner_uids.is_empty() && !meta.deleting
}

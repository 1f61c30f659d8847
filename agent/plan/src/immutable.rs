//! Fields of Kubernetes' own kinds that cannot change on a live object, for a preview without a cluster.
//! In a cluster the API server is asked instead ([`crate::probe_body`]): a table can only be nearly right.

use model::ObjectKey;
use serde_json::Value;

use crate::diff::{Change, Diff, Op};
use crate::schema::nano;

/// What of a kind cannot change: `(group, kind, paths, but for these)`. A path covers all below it.
const FIXED: &[(&str, &str, &[&str], &[&str])] = &[
    ("apps", "Deployment", &["spec.selector"], &[]),
    ("apps", "DaemonSet", &["spec.selector"], &[]),
    ("apps", "ReplicaSet", &["spec.selector"], &[]),
    (
        "apps",
        "StatefulSet",
        &["spec"],
        &[
            "spec.replicas",
            "spec.ordinals",
            "spec.template",
            "spec.updateStrategy",
            "spec.revisionHistoryLimit",
            "spec.persistentVolumeClaimRetentionPolicy",
            "spec.minReadySeconds",
        ],
    ),
    (
        "batch",
        "Job",
        &["spec.template", "spec.selector", "spec.completionMode", "spec.podFailurePolicy"],
        &[],
    ),
    ("", "PersistentVolumeClaim", &["spec"], &["spec.resources", "spec.volumeAttributesClassName"]),
    (
        "",
        "PersistentVolume",
        &["spec.csi", "spec.nfs", "spec.hostPath", "spec.local", "spec.volumeMode"],
        &[],
    ),
    ("", "Service", &["spec.clusterIP", "spec.clusterIPs"], &[]),
    ("", "Secret", &["type"], &[]),
    (
        "",
        "Pod",
        &["spec"],
        &["spec.activeDeadlineSeconds", "spec.tolerations", "spec.terminationGracePeriodSeconds"],
    ),
    ("rbac.authorization.k8s.io", "RoleBinding", &["roleRef"], &[]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["roleRef"], &[]),
    ("scheduling.k8s.io", "PriorityClass", &["value", "preemptionPolicy"], &[]),
    (
        "storage.k8s.io",
        "StorageClass",
        &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
        &[],
    ),
    ("storage.k8s.io", "CSIDriver", &["spec.attachRequired"], &[]),
    ("networking.k8s.io", "IngressClass", &["spec.controller"], &[]),
    ("node.k8s.io", "RuntimeClass", &["handler"], &[]),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &["spec.group", "spec.scope"], &[]),
    ("discovery.k8s.io", "EndpointSlice", &["addressType"], &[]),
    ("apps", "ControllerRevision", &["data"], &[]),
    ("certificates.k8s.io", "CertificateSigningRequest", &["spec"], &[]),
    ("storage.k8s.io", "VolumeAttachment", &["spec"], &[]),
    ("resource.k8s.io", "ResourceClaim", &["spec"], &[]),
];

/// Paths among the changes that the API server would refuse to change on this live object.
pub fn immutable(key: &ObjectKey, live: &Value, diff: &Diff) -> Vec<String> {
    let mut found: Vec<String> = FIXED
        .iter()
        .filter(|(group, kind, ..)| *group == key.group && *kind == key.kind)
        .flat_map(|(_, _, fixed, free)| {
            let within = |path: &str, all: &[&str]| all.iter().any(|p| below(path, p));
            let changes = diff.changes.iter().filter(move |c| {
                within(&c.path, fixed) && !within(&c.path, free) && !is_image(key, c)
            });
            changes.filter(|c| !is_first(key, c)).map(|c| c.path.clone())
        })
        .collect();
    found.extend(diff.changes.iter().filter(|c| shrinks(key, c)).map(|c| c.path.clone()));
    let sealed = live.get("immutable").and_then(Value::as_bool) == Some(true);
    if sealed && key.group.is_empty() && matches!(key.kind.as_str(), "Secret" | "ConfigMap") {
        let data = ["data", "binaryData", "stringData", "immutable"];
        let sealed = diff.changes.iter().filter(|c| data.iter().any(|p| below(&c.path, p)));
        found.extend(sealed.map(|c| c.path.clone()));
    }
    found
}

fn below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The one thing of a running Pod's containers that may change.
fn is_image(key: &ObjectKey, change: &Change) -> bool {
    key.kind == "Pod" && change.path.rsplit('.').next() == Some("image")
}

/// A claim may only grow.
fn shrinks(key: &ObjectKey, change: &Change) -> bool {
    let claim = key.group.is_empty() && key.kind == "PersistentVolumeClaim";
    let amount = |value: &Option<Value>| value.as_ref().and_then(nano);
    claim
        && change.path == "spec.resources.requests.storage"
        && amount(&change.to).zip(amount(&change.from)).is_some_and(|(to, from)| to < from)
}

/// A field of a Service that is set for the first time.
fn is_first(key: &ObjectKey, change: &Change) -> bool {
    key.kind == "Service" && change.op == Op::Add
}

//! Which kinds live in namespaces. A cluster is asked by the agent; here a table of Kubernetes' own kinds
//! and what the given objects show have to do.

use std::collections::BTreeMap;

use plan::Scope;
use serde_json::Value;

/// Kinds of Kubernetes, and of projects that nearly every cluster has, that have no namespace.
const CLUSTER_SCOPED: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Node", "PersistentVolume", "ComponentStatus"]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    (
        "storage.k8s.io",
        &["StorageClass", "VolumeAttachment", "CSIDriver", "CSINode", "VolumeAttributesClass"],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("networking.k8s.io", &["IngressClass", "IPAddress", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    (
        "admissionregistration.k8s.io",
        &[
            "ValidatingWebhookConfiguration",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
    ),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("resource.k8s.io", &["DeviceClass", "ResourceSlice"]),
    ("policy", &["PodSecurityPolicy"]),
    ("extensions", &["PodSecurityPolicy"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("snapshot.storage.k8s.io", &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    ("cert-manager.io", &["ClusterIssuer"]),
];

/// Groups whose kinds are all in the table above or live in namespaces.
const KNOWN_GROUPS: &[&str] =
    &["apps", "batch", "autoscaling", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"];

/// What is known about scope.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    seen: BTreeMap<(String, String), bool>,
}

impl Kinds {
    /// Learns from definitions, and from objects that carry a namespace.
    pub(super) fn learn(&mut self, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("");
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
        if text("/kind") == "CustomResourceDefinition" {
            let of = (text("/spec/group").to_owned(), text("/spec/names/kind").to_owned());
            self.seen.insert(of, text("/spec/scope") != "Cluster");
        } else if !text("/metadata/namespace").is_empty() {
            let of = (group.to_owned(), text("/kind").to_owned());
            self.seen.entry(of).or_insert(true);
        }
    }
}

impl Scope for Kinds {
    fn namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        let listed = CLUSTER_SCOPED.iter().find(|(g, _)| *g == group);
        if listed.is_some_and(|(_, kinds)| kinds.contains(&kind)) {
            return Some(false);
        }
        let seen = self.seen.get(&(group.to_owned(), kind.to_owned())).copied();
        let own = KNOWN_GROUPS.contains(&group)
            || listed.is_some_and(|_| !group.contains("cert-manager"));
        seen.or_else(|| own.then_some(true))
    }
}

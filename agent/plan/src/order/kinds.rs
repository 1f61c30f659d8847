//! The default order of kinds, as data.

use model::ObjectKey;

/// Rank of custom resources and of everything else that is not listed.
const CUSTOM: u16 = 70;

/// `(rank, kinds)`. A step starts when the step before it is through.
const RANKS: &[(u16, &[&str])] = &[
    (0, &["Namespace", "CustomResourceDefinition", "PriorityClass"]),
    (
        10,
        &[
            "StorageClass",
            "VolumeSnapshotClass",
            "IngressClass",
            "GatewayClass",
            "RuntimeClass",
            "DeviceClass",
            "ClusterClass",
            "ClusterRole",
        ],
    ),
    // The escalation check reads the role, so that a binding before its role is answered with 404.
    (15, &["ClusterRoleBinding"]),
    (20, &["ServiceAccount", "Role"]),
    (25, &["RoleBinding"]),
    (30, &["ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget"]),
    // Never waits for a claim to be bound: WaitForFirstConsumer would wait for ever.
    (40, &["Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim"]),
    (50, &["Service", "EndpointSlice", "Endpoints"]),
    (
        60,
        &[
            "Pod",
            "ReplicationController",
            "ReplicaSet",
            "DaemonSet",
            "Deployment",
            "StatefulSet",
            "Job",
            "CronJob",
            "HorizontalPodAutoscaler",
            "VerticalPodAutoscaler",
        ],
    ),
    (CUSTOM, &["Ingress"]),
    // Last, because a webhook whose service is not up yet blocks everything after it.
    (
        80,
        &[
            "APIService",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ],
    ),
];

/// Groups whose kinds the table is about; the same kind in another group is a custom resource
/// (`Service` of Knative, `Gateway` of Istio).
fn listed_group(group: &str) -> bool {
    // no dot: core, apps, batch, policy, autoscaling, extensions
    !group.contains('.') || group.ends_with(".k8s.io") || group == "cluster.x-k8s.io"
}

/// Rank of a kind.
pub(crate) fn rank(group: &str, kind: &str) -> u16 {
    if !listed_group(group) {
        return CUSTOM;
    }
    RANKS.iter().find(|(_, kinds)| kinds.contains(&kind)).map_or(CUSTOM, |(rank, _)| *rank)
}

/// Coarse order of deletion: what can block the rest goes first, what holds the rest goes last.
pub(crate) fn delete_class(key: &ObjectKey) -> u16 {
    match (rank(&key.group, &key.kind), key.kind.as_str()) {
        (80, _) => 0,
        (0, "CustomResourceDefinition") => 2,
        (0, "Namespace") => 3,
        _ => 1,
    }
}

//! The kinds a cluster serves: names, scope, subresources.

use crate::schema::Type;
use serde_json::Value;
use std::sync::Arc;

/// One kind in one version.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "`kind` is the API's own word")]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) list: String,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    /// Does the server count changes of the specification in `metadata.generation`?
    pub(crate) counts: bool,
    pub(crate) schema: Type,
    /// For a custom kind, its schema as it stands in the definition.
    pub(crate) custom: Option<Arc<Value>>,
}

/// Where a kind keeps what its `scale` shows, as JSON pointers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) asked: String,
    pub(crate) present: String,
}

impl Kind {
    /// `deployments.apps`, `configmaps`.
    pub(crate) fn resource(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

const NAMESPACED: u8 = 1;
const STATUS: u8 = 2;
const SCALE: u8 = 4;
const COUNTS: u8 = 8;
/// In the category `all`.
const ALL: u8 = 16;
/// In the category `api-extensions`.
const EXTENDS: u8 = 32;

/// group, version, kind, plural, short names, flags, package of the type
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, u8, &'static str);

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const WORKLOAD: u8 = NAMESPACED | STATUS | SCALE | COUNTS;
const WATCHED: u8 = NAMESPACED | STATUS | COUNTS;

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    ("", "v1", "Namespace", "namespaces", "ns", STATUS, "core"),
    ("", "v1", "ConfigMap", "configmaps", "cm", NAMESPACED, "core"),
    ("", "v1", "Secret", "secrets", "", NAMESPACED, "core"),
    ("", "v1", "Service", "services", "svc", ALL | NAMESPACED | STATUS, "core"),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", NAMESPACED, "core"),
    ("", "v1", "Pod", "pods", "po", ALL | WATCHED, "core"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", NAMESPACED | STATUS, "core"),
    ("", "v1", "PersistentVolume", "persistentvolumes", "pv", STATUS, "core"),
    ("", "v1", "Node", "nodes", "no", STATUS, "core"),
    ("", "v1", "Event", "events", "ev", NAMESPACED, "core"),
    ("", "v1", "ReplicationController", "replicationcontrollers", "rc", ALL | WORKLOAD, "core"),
    ("", "v1", "ResourceQuota", "resourcequotas", "quota", NAMESPACED | STATUS, "core"),
    ("", "v1", "LimitRange", "limitranges", "limits", NAMESPACED, "core"),
    ("", "v1", "Endpoints", "endpoints", "ep", NAMESPACED, "core"),
    ("apps", "v1", "Deployment", "deployments", "deploy", ALL | WORKLOAD, "apps"),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", ALL | WORKLOAD, "apps"),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", ALL | WATCHED, "apps"),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", ALL | WORKLOAD, "apps"),
    ("batch", "v1", "Job", "jobs", "", ALL | WATCHED, "batch"),
    ("batch", "v1", "CronJob", "cronjobs", "cj", ALL | WATCHED, "batch"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", WATCHED, "networking"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", NAMESPACED | COUNTS, "networking"),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "", COUNTS, "networking"),
    (RBAC, "v1", "Role", "roles", "", NAMESPACED, "rbac"),
    (RBAC, "v1", "RoleBinding", "rolebindings", "", NAMESPACED, "rbac"),
    (RBAC, "v1", "ClusterRole", "clusterroles", "", 0, "rbac"),
    (RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", "", 0, "rbac"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", WATCHED, "policy"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", ALL | WATCHED, "autoscaling"),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", 0, "storage"),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", COUNTS, "scheduling"),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", NAMESPACED, "coordination"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd crds", EXTENDS | STATUS | COUNTS, "apiextensions"),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", "", EXTENDS | STATUS, "apiregistration"),
    (ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "", EXTENDS | COUNTS, "admissionregistration"),
    (ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "", EXTENDS | COUNTS, "admissionregistration"),
    (ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "", EXTENDS | STATUS | COUNTS, "admissionregistration"),
    (ADMISSION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "", EXTENDS | COUNTS, "admissionregistration"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", NAMESPACED | COUNTS, "discovery"),
];

pub(crate) fn built_in() -> impl Iterator<Item = Kind> {
    BUILT_IN.iter().map(|(group, version, kind, plural, short, flags, package)| Kind {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        kind: (*kind).to_owned(),
        plural: (*plural).to_owned(),
        singular: kind.to_lowercase(),
        list: format!("{kind}List"),
        short: short.split_whitespace().map(str::to_owned).collect(),
        categories: [(ALL, "all"), (EXTENDS, "api-extensions")]
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .map(|(_, name)| (*name).to_owned())
            .collect(),
        namespaced: flags & NAMESPACED != 0,
        status: flags & STATUS != 0,
        scale: (flags & SCALE != 0).then(|| Scale {
            asked: "/spec/replicas".to_owned(),
            present: "/status/replicas".to_owned(),
        }),
        counts: flags & COUNTS != 0,
        schema: Type::named(&format!("{package}.{version}.{kind}")),
        custom: None,
    })
}

/// A definition's paths, `.spec.replicas`, as pointers.
fn scale(paths: &Value) -> Option<Scale> {
    let pointer = |name: &str| paths[name].as_str().map(|path| path.replace('.', "/"));
    let (asked, present) = (pointer("specReplicasPath")?, pointer("statusReplicasPath")?);
    Some(Scale { asked, present })
}

/// The kinds that one definition serves, one a version.
pub(crate) fn custom(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array();
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    let versions = spec["versions"].as_array();
    let served = versions.into_iter().flatten().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let schema = &version["schema"]["openAPIV3Schema"];
            Kind {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&names["plural"]),
                singular: match text(&names["singular"]) {
                    empty if empty.is_empty() => kind.to_lowercase(),
                    singular => singular,
                },
                list: match text(&names["listKind"]) {
                    empty if empty.is_empty() => format!("{kind}List"),
                    list => list,
                },
                short: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                namespaced: spec["scope"] == "Namespaced",
                status: version["subresources"]["status"].is_object(),
                scale: scale(&version["subresources"]["scale"]),
                counts: true,
                schema: crate::schema::type_of(schema),
                custom: Some(Arc::new(schema.clone())),
                kind: kind.clone(),
            }
        })
        .collect()
}

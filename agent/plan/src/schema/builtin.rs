//! The kinds of Kubernetes itself, as tables.

use serde_json::Value;

use super::ListShape;

/// Groups that the API server serves by itself.
const GROUPS: &[&str] = &[
    "",
    "apps",
    "batch",
    "autoscaling",
    "policy",
    "extensions",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "node.k8s.io",
    "certificates.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "resource.k8s.io",
];

/// Lists whose items have keys, by the name of the list.
const KEYED: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("claims", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("conditions", &["type"]),
    ("webhooks", &["name"]),
    ("matchConditions", &["name"]),
    ("variables", &["name"]),
    ("secrets", &["name"]),
    ("ownerReferences", &["uid"]),
];

/// Maps that are taken whole, by name.
const WHOLE_MAPS: &[&str] = &[
    "selector",
    "labelSelector",
    "podSelector",
    "namespaceSelector",
    "objectSelector",
    "nodeSelector",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "secretRef",
    "configMapRef",
    "roleRef",
    "scaleTargetRef",
    "dataSource",
    "targetRef",
];

/// Maps with keys of the author's own, whose values mean something even when they are empty.
const FREE_MAPS: &[&str] = &[
    "labels",
    "annotations",
    "data",
    "stringData",
    "binaryData",
    "matchLabels",
    "nodeSelector",
    "parameters",
    "volumeAttributes",
    "options",
    "extra",
];

/// Maps whose values are quantities.
const QUANTITY_MAPS: &[&str] = &[
    "limits",
    "requests",
    "hard",
    "used",
    "capacity",
    "allocatable",
    "podFixed",
    "min",
    "max",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

/// Empty maps that mean something.
const MEANT_EMPTY: &[&str] = &[
    "emptyDir",
    "selector",
    "podSelector",
    "namespaceSelector",
    "objectSelector",
    "labelSelector",
];

/// Truth values that the API server leaves out when they are false. Those that it keeps can be told
/// from "not said".
const PLAIN_FALSE: &[&str] = &[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "paused",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "publishNotReadyAddresses",
    "globalDefault",
    "unschedulable",
    "insecureSkipTLSVerify",
];

/// Numbers that the API server leaves out when they are zero.
const PLAIN_ZERO: &[&str] =
    &["minReadySeconds", "initialDelaySeconds", "hostPort", "nodePort", "healthCheckNodePort"];

/// Texts of which an empty one is not the same as none.
const MEANT_EMPTY_TEXT: &[&str] = &["storageClassName", "ingressClassName", "loadBalancerClass"];

pub(super) fn is_builtin(group: &str) -> bool {
    GROUPS.contains(&group)
}

fn last(path: &[String]) -> &str {
    path.last().map_or("", String::as_str)
}

fn above(path: &[String]) -> &str {
    path.len().checked_sub(2).map_or("", |at| path[at].as_str())
}

pub(super) fn list(kind: &str, path: &[String]) -> ListShape {
    let keyed = |keys: &[&str]| ListShape::Keyed(keys.iter().map(|k| (*k).to_owned()).collect());
    let (name, parent) = (last(path), above(path));
    if parent == "metadata" && name == "finalizers" {
        return ListShape::Set;
    }
    match name {
        "ports" if parent.ends_with("ontainers") => keyed(&["containerPort", "protocol"]),
        "ports" if kind == "Service" && path.len() == 2 => keyed(&["port", "protocol"]),
        "imagePullSecrets" if kind == "ServiceAccount" => ListShape::Whole,
        "secrets" if kind != "ServiceAccount" => ListShape::Whole,
        "variables" | "matchConditions" | "webhooks"
            if !kind.contains("Admission") && !kind.contains("Webhook") =>
        {
            ListShape::Whole
        }
        _ => KEYED
            .iter()
            .find(|(list, _)| *list == name)
            .map_or(ListShape::Whole, |(_, keys)| keyed(keys)),
    }
}

pub(super) fn is_whole_map(kind: &str, path: &[String]) -> bool {
    // The one selector that is a plain map is taken whole as well.
    let in_free = path.iter().rev().skip(1).any(|name| FREE_MAPS.contains(&name.as_str()));
    !in_free && kind != "CustomResourceDefinition" && WHOLE_MAPS.contains(&last(path))
}

pub(super) fn is_quantity(path: &[String]) -> bool {
    let (name, parent) = (last(path), above(path));
    QUANTITY_MAPS.contains(&parent)
        || matches!(name, "sizeLimit" | "divisor" | "averageValue")
        || (parent == "target" && name == "value")
}

pub(super) fn drops(path: &[String], value: &Value) -> bool {
    let (name, parent) = (last(path), above(path));
    let free = FREE_MAPS.contains(&parent) || QUANTITY_MAPS.contains(&parent);
    match value {
        Value::Null => true,
        _ if free || (parent == "selector" && path.len() == 3) => false,
        Value::Bool(flag) => !flag && PLAIN_FALSE.contains(&name),
        Value::Number(n) => n.as_f64() == Some(0.0) && PLAIN_ZERO.contains(&name),
        Value::String(text) => text.is_empty() && !MEANT_EMPTY_TEXT.contains(&name),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && !MEANT_EMPTY.contains(&name),
    }
}

pub(super) fn chooses(kind: &str, path: &[String]) -> bool {
    kind == "Service" && matches!(last(path), "clusterIP" | "nodePort" | "healthCheckNodePort")
}

/// Values that the API server fills in where the author says nothing, inside of lists and maps that are
/// taken whole. Elsewhere a filled-in field is simply nobody's.
pub(super) fn is_default(path: &[String], value: &Value) -> bool {
    let (name, parent) = (last(path), above(path));
    let text = value.as_str().unwrap_or_default();
    match name {
        "protocol" => text == "TCP",
        "apiVersion" => text == "v1",
        "kind" => text == "PersistentVolumeClaim",
        "volumeMode" => text == "Filesystem",
        "scheme" => text == "HTTP",
        "scope" => text == "*",
        "apiGroup" => text.is_empty() || text == "rbac.authorization.k8s.io",
        "divisor" => text == "0" || value == &Value::from(0),
        "defaultMode" => value == &Value::from(420),
        "expirationSeconds" => matches!(value.as_i64(), Some(3600 | 3607)),
        "type" => parent == "metrics" && text == "Resource",
        "port" => parent == "service" && value == &Value::from(443),
        "optional" => value == &Value::from(false),
        "status" => parent == "volumeClaimTemplates",
        "creationTimestamp" => true,
        _ => false,
    }
}

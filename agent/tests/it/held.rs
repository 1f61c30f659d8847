//! What goes on and what waits while an object that is no longer desired stays for now. One table for two
//! witnesses: the running agent (`prune.rs`), and `tidegate agent plan`, whose tests read this file too.

use serde_json::{Value, json};

/// A release that is dropped but for its namespaces.
pub(crate) struct Held {
    pub(crate) name: &'static str,
    pub(crate) dropped: Vec<Value>,
    /// Ids of those that stay; all others go.
    pub(crate) stay: &'static [&'static str],
}

/// A small object; `annotations` as its author writes them.
fn object(api_version: &str, kind: &str, place: &str, annotations: &[(&str, &str)]) -> Value {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"annotations": {}}});
    let (namespace, name) = place.split_once('/').unwrap_or(("", place));
    object["metadata"]["name"] = json!(name);
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for (name, value) in annotations {
        object["metadata"]["annotations"][format!("tidegate.dev/{name}")] = json!(value);
    }
    match kind {
        "ConfigMap" => object["data"] = json!({"key": "one"}),
        "Role" | "ClusterRole" => object["rules"] = json!([]),
        "Deployment" => {
            let labels = json!({"app": name});
            object["spec"] = json!({"replicas": 1, "selector": {"matchLabels": labels.clone()},
                "template": {"metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "web:1"}]}}});
        }
        "Service" => {
            object["spec"] = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
        }
        _ => {}
    }
    object
}

const CONFIRM: (&str, &str) = ("prune", "confirm");

/// Namespaces that stay desired.
pub(crate) fn namespaces() -> Vec<Value> {
    ["shop", "other"].map(|name| object("v1", "Namespace", name, &[])).to_vec()
}

pub(crate) fn cases() -> Vec<Held> {
    let config = |place: &str, with: &[(&str, &str)]| object("v1", "ConfigMap", place, with);
    let account = |place: &str| object("v1", "ServiceAccount", place, &[]);
    vec![
        Held {
            name: "a workload keeps what is around it, and nothing of another namespace",
            dropped: vec![
                object("apps/v1", "Deployment", "shop/web", &[CONFIRM]),
                object("apps/v1", "Deployment", "shop/worker", &[]),
                object("v1", "Service", "shop/web", &[]),
                config("shop/web", &[]),
                account("shop/web"),
                config("other/web", &[]),
                account("other/web"),
            ],
            stay: &[
                "apps/Deployment/shop/web",
                "/Service/shop/web",
                "/ConfigMap/shop/web",
                "/ServiceAccount/shop/web",
            ],
        },
        Held {
            name: "settings need nothing and keep nothing",
            dropped: vec![
                config("shop/web", &[CONFIRM]),
                config("shop/worker", &[]),
                account("shop/web"),
                object("rbac.authorization.k8s.io/v1", "Role", "shop/web", &[]),
            ],
            stay: &["/ConfigMap/shop/web"],
        },
        Held {
            name: "a wave keeps the waves below it",
            dropped: vec![
                config("shop/top", &[("wave", "2")]),
                config("shop/middle", &[("wave", "1"), CONFIRM]),
                config("shop/low", &[]),
                account("other/low"),
            ],
            stay: &["/ConfigMap/shop/middle", "/ConfigMap/shop/low", "/ServiceAccount/other/low"],
        },
        Held {
            name: "a named dependency stays, and what that may need",
            dropped: vec![
                config("shop/a", &[CONFIRM, ("depends-on", "apps/namespaces/other/Deployment/b")]),
                object("apps/v1", "Deployment", "other/b", &[]),
                config("other/b", &[]),
                account("shop/a"),
            ],
            stay: &["/ConfigMap/shop/a", "apps/Deployment/other/b", "/ConfigMap/other/b"],
        },
    ]
}

/// The id of an object.
pub(crate) fn id(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
    format!("{group}/{kind}/{namespace}/{}", text("/metadata/name"))
}

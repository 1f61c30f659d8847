//! What kind of cluster this is, for people and for rules that pick clusters. At most 4 KiB; no object is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Error;
use super::client::{Accept, Ask, Cluster};
use super::resource::Resource;

/// Nodes a page: a node is 10 to 20 kB.
const NODES: usize = 50;
/// Pages of nodes: 5,000 nodes.
const PAGES_MAX: usize = 100;
/// Names that one fact lists.
const NAMES_MAX: usize = 10;

/// What all nodes together are.
#[derive(Debug, Default)]
struct Nodes {
    total: u32,
    ready: u32,
    by_platform: BTreeMap<String, u32>,
    kubelets: BTreeSet<String>,
    provider: Option<String>,
    region: Option<String>,
}

impl Nodes {
    fn add(&mut self, node: &Value) {
        let text = |path: &str| node.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let label = |name: &str| {
            let labels = node.pointer("/metadata/labels");
            labels.and_then(|all| all.get(name)?.as_str()).map(str::to_owned)
        };
        self.total += 1;
        let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
        let is = |c: &Value, name: &str, value: &str| c.get(name).is_some_and(|v| v == value);
        let ready = |c: &Value| is(c, "type", "Ready") && is(c, "status", "True");
        self.ready += u32::from(conditions.is_some_and(|all| all.iter().any(ready)));
        let (os, arch) =
            (text("/status/nodeInfo/operatingSystem"), text("/status/nodeInfo/architecture"));
        *self.by_platform.entry(format!("{os}/{arch}")).or_default() += 1;
        self.kubelets.insert(text("/status/nodeInfo/kubeletVersion").to_owned());
        let provider = text("/spec/providerID").split_once("://").map(|(name, _)| name.to_owned());
        self.provider = self.provider.take().or(provider);
        self.region = self.region.take().or_else(|| label("topology.kubernetes.io/region"));
    }
}

/// Guessed from what vendors put into their version.
fn distribution(version: &str) -> Option<&'static str> {
    [("+k3s", "k3s"), ("+rke2", "rke2"), ("-eks-", "eks"), ("-gke.", "gke"), ("-aks", "aks")]
        .into_iter()
        .find_map(|(mark, name)| version.contains(mark).then_some(name))
}

impl Cluster {
    /// What tells this cluster from others, and what it offers. Whatever may not be read is left out.
    pub async fn facts(&self) -> Result<Value, Error> {
        let version = self.ask(Ask::get("get", "/version".to_owned(), Accept::Full)).await?;
        let namespaces = Resource::core("Namespace", "namespaces", false);
        let path = format!("{}/kube-system", namespaces.collection(""));
        let system = self.ask(Ask::get("get", path, Accept::Metadata)).await?;
        let git = version.body.get("gitVersion").and_then(Value::as_str).unwrap_or_default();
        let mut facts = json!({
            "agentVersion": env!("CARGO_PKG_VERSION"),
            "kubernetesVersion": git,
            "platform": version.body.get("platform"),
            "distribution": distribution(git),
            "clusterUid": system.body.pointer("/metadata/uid"),
        });
        if let Ok(nodes) = self.nodes().await {
            facts["nodes"] = json!({
                "total": nodes.total, "ready": nodes.ready, "platforms": nodes.by_platform,
                "kubeletOldest": nodes.kubelets.first(), "kubeletNewest": nodes.kubelets.last(),
            });
            facts["provider"] = json!(nodes.provider);
            facts["region"] = json!(nodes.region);
        }
        let kinds = self.kinds();
        if kinds.known() {
            facts["kinds"] = json!(kinds.all().count());
            facts["metricsServer"] = json!(kinds.any("metrics.k8s.io", "NodeMetrics").is_some());
        }
        let storage = Resource {
            group: "storage.k8s.io".to_owned(),
            ..Resource::core("StorageClass", "storageclasses", false)
        };
        let default = |class: &Value| {
            let marks = class.pointer("/metadata/annotations");
            marks.is_some_and(|m| {
                m.get("storageclass.kubernetes.io/is-default-class").is_some_and(|v| v == "true")
            })
        };
        if let Ok(listed) = self.list_metadata(&storage, "", Some(NODES)).await {
            let default = listed.items.iter().find(|class| default(class));
            facts["defaultStorageClass"] = json!(default.and_then(|c| c.pointer("/metadata/name")));
        }
        let ingress = Resource {
            group: "networking.k8s.io".to_owned(),
            ..Resource::core("IngressClass", "ingressclasses", false)
        };
        if let Ok(listed) = self.list_metadata(&ingress, "", Some(NAMES_MAX)).await {
            let names = listed.items.iter().filter_map(|c| c.pointer("/metadata/name"));
            facts["ingressClasses"] = json!(names.take(NAMES_MAX).collect::<Vec<_>>());
        }
        Ok(facts)
    }

    /// Uid of the namespace that every cluster has, by which one cluster is told from another.
    pub async fn uid(&self) -> Result<Option<String>, Error> {
        let namespaces = Resource::core("Namespace", "namespaces", false);
        let path = format!("{}/kube-system", namespaces.collection(""));
        let system = self.ask(Ask::get("get", path, Accept::Metadata)).await?;
        let uid = system.body.pointer("/metadata/uid").and_then(Value::as_str);
        Ok(uid.map(str::to_owned))
    }

    /// Reads all nodes page by page, keeping nothing of a page.
    async fn nodes(&self) -> Result<Nodes, Error> {
        let place = Resource::core("Node", "nodes", false);
        let (mut nodes, mut go_on) = (Nodes::default(), String::new());
        for _ in 0..PAGES_MAX {
            let mark = super::resource::escape(&go_on);
            let path = format!("{}?limit={NODES}&continue={mark}", place.collection(""));
            let ask = Ask::get("list", path, Accept::Full);
            let what = ask.what();
            let reply = self.ask(ask).await?;
            if !reply.is_success() {
                return Err(Error::refused(&what, &reply));
            }
            let items = reply.body.get("items").and_then(Value::as_array);
            items.into_iter().flatten().for_each(|node| nodes.add(node));
            let next = reply.body.pointer("/metadata/continue").and_then(Value::as_str);
            next.unwrap_or_default().clone_into(&mut go_on);
            if go_on.is_empty() {
                break;
            }
        }
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_known_by_its_version() {
        assert_eq!(distribution("v1.37.2+k3s1"), Some("k3s"));
        assert_eq!(distribution("v1.37.1-eks-1a2b3c4"), Some("eks"));
        assert_eq!(distribution("v1.37.2"), None);
    }
}

//! Which kinds are served where, as last read.
//!
//! A group whose own API server is down appears as `Stale` with no resources: what was known about it
//! stays known, because "cannot be told" is not "gone".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::Resource;

/// Everything that is served, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Versions by (group, kind), preferred first.
    served: BTreeMap<(String, String), Vec<Resource>>,
    /// (group, version) whose API server does not answer.
    stale: BTreeSet<(String, String)>,
    known: bool,
}

/// What is known about a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Served in the version asked for.
    Served(Resource),
    /// Served, in other versions only.
    OtherVersions(Vec<String>),
    /// Cannot be told: its group does not answer, or nothing was discovered yet.
    Unknown,
    /// Not served.
    No,
}

impl Kinds {
    /// Looks a kind up.
    pub fn find(&self, group: &str, version: &str, kind: &str) -> Found {
        let key = (group.to_owned(), kind.to_owned());
        match self.served.get(&key) {
            Some(all) => match all.iter().find(|r| r.version == version) {
                Some(resource) => Found::Served(resource.clone()),
                None if self.stale.contains(&(group.to_owned(), version.to_owned())) => {
                    Found::Unknown
                }
                None => Found::OtherVersions(all.iter().map(|r| r.version.clone()).collect()),
            },
            None if !self.known || self.stale.iter().any(|(g, _)| g == group) => Found::Unknown,
            None => Found::No,
        }
    }

    /// Any version of a kind, the preferred one if possible.
    pub fn any(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.served.get(&(group.to_owned(), kind.to_owned()))?.first()
    }

    /// All listable resources, one version each.
    pub fn all(&self) -> impl Iterator<Item = &Resource> {
        self.served.values().filter_map(|v| v.first()).filter(|r| r.watchable)
    }

    /// Groups whose API server does not answer and of which nothing is known from before.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let unknown = |(group, version): &&(String, String)| {
            !self.served.values().flatten().any(|r| r.group == *group && r.version == *version)
        };
        self.stale.iter().filter(unknown).map(|(group, _)| group.as_str())
    }

    /// Whether discovery succeeded at least once.
    pub fn known(&self) -> bool {
        self.known
    }

    /// Nothing served, and that for sure.
    pub(super) fn discovered() -> Kinds {
        Kinds { known: true, ..Kinds::default() }
    }

    /// Adds what another document says.
    pub(super) fn add_all(&mut self, other: &Kinds) {
        for (kind, versions) in &other.served {
            self.served.entry(kind.clone()).or_default().extend(versions.iter().cloned());
        }
        self.stale.extend(other.stale.iter().cloned());
    }

    /// Reads one aggregated document into `self`; what is stale is taken from `before`.
    pub(super) fn read(&mut self, document: &Value, before: &Kinds) {
        for group in array(document, "items") {
            let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("");
            for version in array(group, "versions") {
                let number = text(version, "version");
                let resources = array(version, "resources");
                if text(version, "freshness") == "Stale" {
                    self.stale.insert((name.to_owned(), number.to_owned()));
                    self.keep(name, number, before);
                    continue;
                }
                for resource in resources {
                    self.add(name, number, resource);
                }
            }
        }
    }

    fn add(&mut self, group: &str, version: &str, resource: &Value) {
        let kind = resource.pointer("/responseKind/kind").and_then(Value::as_str).unwrap_or("");
        if kind.is_empty() {
            return;
        }
        let verbs: Vec<&str> = array(resource, "verbs").iter().filter_map(Value::as_str).collect();
        let subresources = array(resource, "subresources");
        let found = Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: text(resource, "resource").to_owned(),
            namespaced: text(resource, "scope") == "Namespaced",
            watchable: verbs.contains(&"list") && verbs.contains(&"watch"),
            has_status: subresources.iter().any(|s| text(s, "subresource") == "status"),
        };
        self.served.entry((group.to_owned(), kind.to_owned())).or_default().push(found);
    }

    /// Keeps what was known about a version that cannot be seen now.
    fn keep(&mut self, group: &str, version: &str, before: &Kinds) {
        let known = before.served.values().flatten();
        for resource in known.filter(|r| r.group == group && r.version == version) {
            let key = (resource.group.clone(), resource.kind.clone());
            self.served.entry(key).or_default().push(resource.clone());
        }
    }
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// One of the two documents, as last read: what it says, not the document, which is ten times as large.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) etag: Option<String>,
    pub(super) kinds: Kinds,
}

/// The cache, shared by all clones of a [`Cluster`].
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) kinds: RwLock<Arc<Kinds>>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) refreshing: Mutex<(Option<Instant>, [Page; 2])>,
}

impl Default for Discovery {
    fn default() -> Discovery {
        Discovery {
            kinds: RwLock::default(),
            changed: watch::channel(0).0,
            refreshing: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(name: &str, freshness: &str, kinds: &[&str]) -> Value {
        let resources: Vec<Value> = kinds
            .iter()
            .map(|kind| {
                json!({
                    "resource": format!("{}s", kind.to_lowercase()), "scope": "Namespaced",
                    "responseKind": {"group": name, "version": "v1", "kind": kind},
                    "verbs": ["list", "watch"], "subresources": [{"subresource": "status"}],
                })
            })
            .collect();
        json!({"items": [{"metadata": {"name": name}, "versions": [
            {"version": "v1", "freshness": freshness, "resources": resources}]}]})
    }

    fn read(document: &Value, before: &Kinds) -> Kinds {
        let mut kinds = Kinds::discovered();
        kinds.read(document, before);
        kinds
    }

    #[test]
    fn a_group_that_does_not_answer_keeps_what_was_known() {
        let before = read(&group("metrics.k8s.io", "Current", &["PodMetric"]), &Kinds::default());
        assert!(matches!(before.find("metrics.k8s.io", "v1", "PodMetric"), Found::Served(_)));
        let now = read(&group("metrics.k8s.io", "Stale", &[]), &before);
        assert!(matches!(now.find("metrics.k8s.io", "v1", "PodMetric"), Found::Served(_)));
        assert_eq!(now.find("metrics.k8s.io", "v1", "Other"), Found::Unknown, "may be there");
    }

    #[test]
    fn nothing_is_called_gone_before_the_first_discovery() {
        assert_eq!(Kinds::default().find("apps", "v1", "Deployment"), Found::Unknown);
        let kinds = read(&group("apps", "Current", &["Deployment"]), &Kinds::default());
        assert_eq!(kinds.find("example.com", "v1", "Widget"), Found::No);
        assert_eq!(
            kinds.find("apps", "v2", "Deployment"),
            Found::OtherVersions(vec!["v1".to_owned()])
        );
    }
}

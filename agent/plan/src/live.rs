//! What the cluster holds, as far as a decision needs it: metadata, never content.

use std::collections::{BTreeMap, BTreeSet};

use model::ObjectKey;
use serde_json::Value;

use crate::ownership::Ownership;
use crate::signature::Signature;

/// Annotations, and their values, by which a live object asks not to be pruned. Those of other tools
/// count too: a person who wrote one meant it.
const KEEP: &[(&str, &[&str])] = &[
    ("tidegate.dev/prune", &["disabled", "false"]),
    ("kustomize.toolkit.fluxcd.io/prune", &["disabled"]),
    ("kustomize.toolkit.fluxcd.io/reconcile", &["disabled"]),
    ("argocd.argoproj.io/sync-options", &["Prune=false", "Delete=false"]),
    ("client.lifecycle.config.k8s.io/deletion", &["detach"]),
    ("cli-utils.sigs.k8s.io/on-remove", &["keep"]),
    ("helm.sh/resource-policy", &["keep"]),
];

/// Annotations, and their values, by which a live object asks that a person confirms its deletion.
const CONFIRM: &[(&str, &[&str])] = &[
    ("tidegate.dev/prune", &["confirm"]),
    ("argocd.argoproj.io/sync-options", &["Prune=confirm", "Delete=confirm"]),
];

/// Marks that other delivery tools put on what they deliver, as labels and as annotations. Only those that
/// the tool itself writes: a label such as `app.kubernetes.io/managed-by` stands in many a plain manifest.
const MARKS: &[(&str, &str)] = &[
    ("annotations", "meta.helm.sh/release-name"),
    ("annotations", "argocd.argoproj.io/tracking-id"),
    ("annotations", "config.k8s.io/owning-inventory"),
    ("annotations", "configsync.gke.io/resource-id"),
    ("annotations", "objectset.rio.cattle.io/id"),
    ("labels", "argocd.argoproj.io/instance"),
    ("labels", "kustomize.toolkit.fluxcd.io/name"),
    ("labels", "helm.toolkit.fluxcd.io/name"),
    ("labels", "applyset.kubernetes.io/part-of"),
    ("labels", "kapp.k14s.io/app"),
    ("labels", "objectset.rio.cattle.io/hash"),
];

/// A mark of another delivery tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// `labels` or `annotations`.
    pub(crate) map: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
}

/// The part of one live object's metadata that decisions are made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveMeta {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`, 0 when the kind has none.
    pub generation: i64,
    /// Value of the ownership label, of whichever App.
    pub owner: Option<String>,
    /// Value of the tracking annotation.
    pub id: Option<String>,
    /// Signature of our Apply entry.
    pub sig: Option<Signature>,
    /// Whether `deletionTimestamp` is set.
    pub deleting: bool,
    /// What still holds it.
    pub finalizers: Vec<String>,
    /// The annotation by which it asks not to be pruned.
    pub keep: Option<String>,
    /// Whether it asks that a person confirms its deletion.
    pub confirm: bool,
    /// Other managers with an entry of their own, but not of a subresource.
    pub managers: BTreeSet<String>,
    /// Uids of its owner references.
    pub owner_uids: Vec<String>,
    /// Marks of other delivery tools; not looked for on an object with an ownership label of ours.
    pub marks: Vec<Mark>,
}

impl LiveMeta {
    /// Reads a full object or a `PartialObjectMetadata`; `None` when it has no uid.
    pub fn read(object: &Value, ownership: &Ownership) -> Option<LiveMeta> {
        let meta = object.get("metadata")?;
        let text = |name: &str| meta.get(name).and_then(Value::as_str).map(str::to_owned);
        let mark = |map: &str, name: &str| {
            meta.get(map)?.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let strings = |name: &str, field: Option<&str>| -> Vec<String> {
            let items = meta.get(name).and_then(Value::as_array).into_iter().flatten();
            items
                .filter_map(|item| field.map_or(Some(item), |f| item.get(f))?.as_str())
                .map(str::to_owned)
                .collect()
        };
        Some(LiveMeta {
            uid: text("uid")?,
            resource_version: text("resourceVersion").unwrap_or_default(),
            generation: meta.get("generation").and_then(Value::as_i64).unwrap_or(0),
            owner: mark("labels", Ownership::LABEL),
            id: mark("annotations", Ownership::ANNOTATION),
            sig: Signature::of(meta, ownership.manager()),
            deleting: meta.get("deletionTimestamp").is_some_and(|t| !t.is_null()),
            finalizers: strings("finalizers", None),
            keep: asks(meta.get("annotations"), KEEP),
            confirm: asks(meta.get("annotations"), CONFIRM).is_some(),
            managers: managers(meta, ownership.manager()),
            owner_uids: strings("ownerReferences", Some("uid")),
            marks: marks(meta),
        })
    }
}

/// Who else says that it delivered the object.
fn marks(meta: &Value) -> Vec<Mark> {
    let value = |map: &str, name: &str| meta.get(map)?.get(name)?.as_str();
    if value("labels", Ownership::LABEL).is_some() {
        return Vec::new();
    }
    let found = MARKS.iter().filter_map(|(map, name)| {
        let value = value(map, name)?.to_owned();
        Some(Mark { map, name, value })
    });
    found.collect()
}

/// The first annotation among `known`, as `name: value`.
fn asks(annotations: Option<&Value>, known: &[(&str, &[&str])]) -> Option<String> {
    known.iter().find_map(|(name, values)| {
        let value = annotations?.get(name)?.as_str()?;
        let asks = value.split(',').any(|part| values.contains(&part.trim()));
        asks.then(|| format!("{name}: {value}"))
    })
}

/// Managers other than ours that own fields of the object itself.
fn managers(meta: &Value, ours: &str) -> BTreeSet<String> {
    let entries = meta.get("managedFields").and_then(Value::as_array).into_iter().flatten();
    let own =
        entries.filter(|e| e.get("subresource").and_then(Value::as_str).unwrap_or("").is_empty());
    own.filter_map(|e| e.get("manager")?.as_str())
        .filter(|m| *m != ours)
        .map(str::to_owned)
        .collect()
}

/// What is known about one object. Not having looked is not the same as having seen nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<'a> {
    /// It is there.
    Present(&'a LiveMeta),
    /// The API server said that it is not there, or its whole group is confirmed gone.
    Absent,
    /// Its kind could not be listed: discovery stale, list refused, watch broken.
    Unknown,
}

/// All metadata of one App's objects, desired or in the inventory, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    seen: BTreeMap<ObjectKey, LiveMeta>,
    blind: BTreeSet<(String, String)>,
}

impl Live {
    /// Nothing there, and everything looked at.
    pub fn new() -> Live {
        Live::default()
    }

    /// Notes an object that is there.
    pub fn insert(&mut self, key: ObjectKey, meta: LiveMeta) {
        self.seen.insert(key, meta);
    }

    /// Notes that an object is not there.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.seen.remove(key);
    }

    /// Notes that a kind could not be looked at: nothing may be concluded from its absence.
    pub fn blind(&mut self, group: &str, kind: &str) {
        self.blind.insert((group.to_owned(), kind.to_owned()));
    }

    /// What is known about `key`.
    pub fn get(&self, key: &ObjectKey) -> Sight<'_> {
        let blind = |(group, kind): &(String, String)| *group == key.group && *kind == key.kind;
        if self.blind.iter().any(blind) {
            return Sight::Unknown;
        }
        self.seen.get(key).map_or(Sight::Absent, Sight::Present)
    }

    /// All objects that are there.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &LiveMeta)> {
        self.seen.iter()
    }
}

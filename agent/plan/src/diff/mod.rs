//! What applying one object would change in the cluster: structural, by owner of the fields, and without
//! a byte of any Secret.
//!
//! It answers as the API server would to a server-side apply: what the release does not name and no
//! write of ours brought is nobody's business; lists merge by their keys; amounts are compared as
//! amounts; what the server drops or fills in is no difference. `walk` goes through the two objects,
//! `equal` compares what is taken whole, `owners` knows who owns which field, `show` makes values fit to
//! be seen.

mod walk;

mod equal;
mod owners;
mod show;

use std::collections::BTreeSet;

use model::ObjectKey;
use serde::Serialize;
use serde_json::Value;

use crate::conflict::Resolution;
use crate::keyed::Key;
use crate::migrate::Migrate;
use crate::ownership::Ownership;
use crate::schema::Schemas;
use crate::seeded::Bug;

/// What happens to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It is not there.
    Add,
    /// It has another value.
    Change,
    /// It was ours and is no longer desired.
    Remove,
}

/// One field that differs. Values are fit to be seen: those of Secrets are replaced.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Exact path, such as `spec.template.spec.containers[name="web"].image`.
    pub path: String,
    /// What happens to it.
    pub op: Op,
    /// What is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is desired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// Managers that own it now, other than ours.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub owners: BTreeSet<String>,
}

/// What would become of an object.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Diff {
    /// Fields that applying would change, also those that are taken back from a person's hand.
    pub changes: Vec<Change>,
    /// Fields that are left to whoever owns them: a scaler, or a rule of the author.
    pub shared: Vec<Change>,
    /// Fields that another App or delivery tool owns: they make the apply fail.
    pub conflicts: Vec<Change>,
}

impl Diff {
    /// Whether applying would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.conflicts.is_empty()
    }
}

/// What the comparison depends on.
#[derive(Debug, Clone, Copy)]
pub struct DiffOptions<'a> {
    /// Whose apply it would be.
    pub ownership: &'a Ownership,
    /// Definitions at hand.
    pub schemas: &'a Schemas,
    /// Keyed marks stand for values of Secrets, so that equal ones can be told from changed ones.
    pub key: &'a Key,
    /// Whose fields would be moved to us before.
    pub migrate: &'a Migrate,
    /// JSON pointers of fields that are left to others; `*` stands for every key or item.
    pub ignore: &'a [String],
    /// Whether our own marks count.
    pub marks: bool,
}

impl<'a> DiffOptions<'a> {
    /// Nothing ignored; our own marks do not count.
    pub fn new(
        ownership: &'a Ownership,
        schemas: &'a Schemas,
        key: &'a Key,
        migrate: &'a Migrate,
    ) -> DiffOptions<'a> {
        DiffOptions { ownership, schemas, key, migrate, ignore: &[], marks: false }
    }
}

/// Compares an admitted body with a full live object.
pub fn diff(desired: &Value, live: &Value, options: &DiffOptions<'_>) -> Diff {
    diff_seeded(desired, live, options, None)
}

/// [`diff`] with a bug on purpose.
pub(crate) fn diff_seeded(
    desired: &Value,
    live: &Value,
    options: &DiffOptions<'_>,
    bug: Option<Bug>,
) -> Diff {
    walk::walk(desired, live, options, bug == Some(Bug::ShowSecrets))
}

/// Whether a live object and the answer of the API server to a dry-run apply are the same but for our
/// marks and what the server itself counts up: what [`crate::Adopt::IfIdentical`] asks.
pub fn identical(live: &Value, answer: &Value) -> bool {
    let bare = |object: &Value| {
        let mut bare = object.clone();
        if let Value::Object(top) = &mut bare {
            top.remove("status");
            if let Some(Value::Object(meta)) = top.get_mut("metadata") {
                for name in ["managedFields", "resourceVersion", "generation"] {
                    meta.remove(name);
                }
                for (map, mark) in
                    [("labels", Ownership::LABEL), ("annotations", Ownership::ANNOTATION)]
                {
                    if let Some(Value::Object(marks)) = meta.get_mut(map) {
                        marks.remove(mark);
                    }
                    if meta
                        .get(map)
                        .and_then(Value::as_object)
                        .is_some_and(serde_json::Map::is_empty)
                    {
                        meta.remove(map);
                    }
                }
            }
        }
        bare
    };
    bare(live) == bare(answer)
}

/// Where a change goes by what shall be done about its owners.
fn file(diff: &mut Diff, change: Change, resolution: Option<Resolution>) {
    match resolution {
        None | Some(Resolution::Force) => diff.changes.push(change),
        Some(Resolution::Yield) => diff.shared.push(change),
        Some(Resolution::Fail) => diff.conflicts.push(change),
    }
}

/// Whether the object is a Secret of Kubernetes.
fn is_secret(object: &Value) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    text("kind") == "Secret" && text("apiVersion") == "v1"
}

/// Names the object in a message about its difference: `Deployment shop/web: spec.replicas 3 → 5`.
pub fn summary(key: &ObjectKey, diff: &Diff) -> String {
    const NAMED_MAX: usize = 3;
    let say = |change: &Change| {
        let value = |v: &Option<Value>| {
            v.as_ref().map_or_else(|| "nothing".to_owned(), |v| crate::redact::clip(&v.to_string()))
        };
        format!("`{}` {} → {}", change.path, value(&change.from), value(&change.to))
    };
    let all: Vec<&Change> = diff.changes.iter().chain(&diff.conflicts).collect();
    let mut text = all.iter().take(NAMED_MAX).map(|c| say(c)).collect::<Vec<_>>().join(", ");
    if all.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", all.len() - NAMED_MAX));
    }
    crate::redact::clip(&format!("{key}: {text}"))
}

//! Two sets of objects, and what differs as people read it: lines of YAML.

use std::collections::BTreeMap;

use model::{Digest, ObjectKey};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use similar::TextDiff;

use crate::{release::Rendered, undo};

/// Lines round a change.
const CONTEXT: usize = 3;

/// Longest diff of one object, in bytes; a definition may have a megabyte.
const DIFF_BYTES_MAX: usize = 64 << 10;

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is not there any more.
    Removed,
    /// It differs.
    Changed,
    /// It is new.
    Added,
}

/// What happens to one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// Which.
    #[serde(serialize_with = "shown")]
    pub object: ObjectKey,
    /// Lines that are new.
    pub added: usize,
    /// Lines that are gone.
    pub removed: usize,
    /// Data, or everything below, may go with it.
    pub grave: bool,
    /// What of it cannot simply be undone, in words; an automatic rollback halts before it.
    pub hard_to_undo: Vec<String>,
    /// Fields that API servers refuse to change.
    pub immutable: Vec<String>,
    /// Unified, with three lines of context; values of Secrets are hidden.
    pub diff: String,
}

fn shown<S: Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// What happens between two variants.
pub(super) fn changes(old: Option<&Rendered>, new: &Rendered) -> Vec<Change> {
    let index = |rendered: &Rendered| -> BTreeMap<ObjectKey, Digest> {
        rendered.manifest.entries().iter().map(|e| (e.key.clone(), e.digest)).collect()
    };
    let before = old.map(index).unwrap_or_default();
    let after = index(new);
    let mut changes = Vec::new();
    for (key, digest) in &before {
        let old_bytes = old.and_then(|old| old.objects.get(digest));
        match after.get(key) {
            None => changes.push(change(ChangeKind::Removed, key, old_bytes, None)),
            Some(now) if now != digest => {
                changes.push(change(ChangeKind::Changed, key, old_bytes, new.objects.get(now)));
            }
            Some(_) => {}
        }
    }
    for (key, digest) in after.iter().filter(|(key, _)| !before.contains_key(key)) {
        changes.push(change(ChangeKind::Added, key, None, new.objects.get(digest)));
    }
    changes.sort();
    changes
}

fn change(
    kind: ChangeKind,
    key: &ObjectKey,
    old: Option<&Vec<u8>>,
    new: Option<&Vec<u8>>,
) -> Change {
    let (was, is) = (parse(old), parse(new));
    let hard_to_undo = undo::of_change(key, was.as_ref(), is.as_ref());
    let immutable = match (&was, &is) {
        (Some(was), Some(is)) => undo::fixed(key, was, is),
        (None, _) | (_, None) => Vec::new(),
    };
    let (before, after) = texts(was, is);
    let diff = TextDiff::from_lines(&before, &after);
    let (mut added, mut removed) = (0, 0);
    for line in diff.iter_all_changes() {
        match line.tag() {
            similar::ChangeTag::Insert => added += 1,
            similar::ChangeTag::Delete => removed += 1,
            similar::ChangeTag::Equal => {}
        }
    }
    let mut text = match kind {
        // Every line would begin with the same sign.
        ChangeKind::Added => after,
        ChangeKind::Removed => String::new(),
        ChangeKind::Changed => diff.unified_diff().context_radius(CONTEXT).to_string(),
    };
    if text.len() > DIFF_BYTES_MAX {
        let end = (0..=DIFF_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n… cut\n");
    }
    let grave = kind == ChangeKind::Removed && undo::is_grave(key);
    let object = key.clone();
    Change { kind, object, added, removed, grave, hard_to_undo, immutable, diff: text }
}

fn parse(bytes: Option<&Vec<u8>>) -> Option<Json> {
    bytes.and_then(|bytes| serde_json::from_slice(bytes).ok())
}

/// Both as YAML, Secrets without their values but with what differs.
fn texts(mut before: Option<Json>, mut after: Option<Json>) -> (String, String) {
    for field in ["data", "stringData"] {
        hide(field, before.as_mut(), after.as_mut());
    }
    (yaml(before.as_ref()), yaml(after.as_ref()))
}

/// Replaces the values of a Secret: one that differs between the two says so, and nothing more.
fn hide(field: &str, before: Option<&mut Json>, after: Option<&mut Json>) {
    let is_secret = |object: &Json| object.get("kind").and_then(Json::as_str) == Some("Secret");
    let values = |object: Option<&Json>| object.and_then(|o| o.get(field)).cloned();
    let (old, new) = (values(before.as_deref()), values(after.as_deref()));
    for (object, other, word) in
        [(before, new, "«hidden, before»"), (after, old, "«hidden, after»")]
    {
        let Some(object) = object.filter(|object| is_secret(object)) else { continue };
        let Some(Json::Object(map)) = object.get_mut(field) else { continue };
        for (key, value) in map.iter_mut() {
            let same = other.as_ref().and_then(|other| other.get(key)) == Some(value);
            *value = Json::String(if same { "«hidden»" } else { word }.to_owned());
        }
    }
}

fn yaml(object: Option<&Json>) -> String {
    object.map(crate::yaml::text).unwrap_or_default()
}

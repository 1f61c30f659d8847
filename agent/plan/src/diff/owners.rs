//! Who owns which field of a live object: ours, those that would become ours, and all others.

use std::collections::BTreeSet;

use serde_json::Value;

use super::DiffOptions;
use crate::conflict::{Resolution, conflict_policy};
use crate::fields::{FieldSet, Part};
use crate::migrate::moves;
use crate::schema::{ListShape, Node};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Owners of the fields of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners {
    /// Fields that are ours, or would be moved to us.
    pub(super) ours: FieldSet,
    /// All others, with whether they wrote through the `scale` subresource.
    others: Vec<(String, bool, FieldSet)>,
    /// Fields of anybody: tells how lists merge where no definition does.
    pub(super) all: FieldSet,
}

impl Owners {
    pub(super) fn of(live: &Value, root: &Node<'_>, options: &DiffOptions<'_>) -> Owners {
        let mut owners = Owners::default();
        let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
        // Fields are moved to us when an object is adopted; what people add later stays theirs.
        let applied = |entry: &Value| {
            let is =
                |name: &str, value: &str| entry.get(name).and_then(Value::as_str) == Some(value);
            is("manager", options.ownership.manager()) && is("operation", "Apply")
        };
        let adopted = entries.is_some_and(|entries| entries.iter().any(applied));
        for entry in entries.into_iter().flatten() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let set = FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null));
            owners.all = owners.all.union(&set);
            let (manager, part) = (text("manager"), text("subresource"));
            let ours = manager == options.ownership.manager() && part.is_empty();
            let moves = !adopted && moves(entry, options.ownership.manager(), options.migrate);
            if ours || moves {
                owners.ours = owners.ours.union(&set);
            } else {
                owners.others.push((manager.to_owned(), part == "scale", set));
            }
        }
        if entries.is_none_or(Vec::is_empty) {
            // Nobody's fields are known: what client-side apply wrote down has to do.
            let copy = live.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED));
            let copy = copy.and_then(Value::as_str).and_then(|t| serde_json::from_str(t).ok());
            if let Some(copy) = copy {
                owners.ours = fields_of(&copy, root);
            }
        }
        owners
    }

    /// Managers other than ours that own `path`, or a whole that it is part of.
    pub(super) fn of_path(&self, path: &[Part]) -> Vec<(&str, bool)> {
        let owns = |set: &FieldSet| {
            set.contains(path)
                // A leaf above owns everything below it.
                || (1..path.len()).any(|end| {
                    let mut at = Some(set);
                    for part in &path[..end] {
                        at = at.and_then(|set| set.child(part));
                    }
                    at.is_some_and(|set| set.is_member() && set.children().next().is_none())
                })
        };
        let owners = self.others.iter().filter(|(.., set)| owns(set));
        owners.map(|(manager, scale, _)| (manager.as_str(), *scale)).collect()
    }

    /// Managers other than ours that own `path` or anything below it.
    pub(super) fn below(&self, path: &[Part]) -> BTreeSet<String> {
        let owns = |set: &FieldSet| {
            let mut at = Some(set);
            for part in path {
                at = at.and_then(|set| set.child(part));
            }
            at.is_some_and(|set| !set.is_empty())
        };
        let owners = self.others.iter().filter(|(.., set)| owns(set));
        owners.map(|(manager, ..)| manager.clone()).collect()
    }

    /// What is done about the owners of a field that shall change: the most careful of the answers.
    pub(super) fn resolution(&self, path: &[Part]) -> Option<Resolution> {
        let mut field = String::new();
        for part in path {
            match part {
                Part::Field(name) => field.push_str(&format!(".{name}")),
                Part::Key(_) | Part::Item(_) | Part::At(_) => field.push_str(&format!("[{part}]")),
            }
        }
        let owners = self.of_path(path).into_iter();
        owners.map(|(manager, scale)| conflict_policy(manager, &field, scale)).max()
    }
}

/// The fields that a manifest names.
fn fields_of(value: &Value, node: &Node<'_>) -> FieldSet {
    let mut set = FieldSet::new();
    add(&mut set, &mut Vec::new(), value, node);
    set
}

fn add(set: &mut FieldSet, at: &mut Vec<Part>, value: &Value, node: &Node<'_>) {
    match value {
        Value::Object(map) if !node.is_whole_map() => {
            if !at.is_empty() {
                set.insert(at);
            }
            for (name, below) in map.iter().filter(|(_, below)| !below.is_null()) {
                at.push(Part::Field(name.clone()));
                add(set, at, below, &node.field(name));
                at.pop();
            }
        }
        Value::Array(items) if node.list() != ListShape::Whole => {
            for item in items {
                let Some(part) = part_of(item, node) else { continue };
                at.push(part);
                add(set, at, item, &node.item());
                at.pop();
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => set.insert(at),
    }
}

/// The part of an item in a list that merges; `None` when it lacks a key.
pub(super) fn part_of(item: &Value, list: &Node<'_>) -> Option<Part> {
    match list.list() {
        ListShape::Whole => None,
        ListShape::Set => Some(Part::item(item)),
        ListShape::Keyed(keys) => keyed(item, &keys, list),
    }
}

/// The part of an item with these keys.
pub(super) fn keyed(item: &Value, keys: &[String], list: &Node<'_>) -> Option<Part> {
    let mut fields = serde_json::Map::new();
    for key in keys {
        let value = item.get(key).cloned().or_else(|| list.key_default(key));
        // A key that is left out everywhere is not part of the key.
        if let Some(value) = value {
            fields.insert(key.clone(), value);
        }
    }
    (!fields.is_empty()).then(|| Part::key(&fields))
}

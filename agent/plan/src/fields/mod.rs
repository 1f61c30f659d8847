//! Sets of fields, as the API server keeps them in `metadata.managedFields` (`fieldsV1`), and their
//! algebra: who owns what, and what remains when one owner is taken out.

mod part;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use part::Part;

/// Levels that are read; `fieldsV1` of real objects stays below 40.
const DEPTH_MAX: usize = 128;
/// The member that stands for the field itself beside its children.
const SELF: &str = ".";

/// A set of fields of one object. A node is a member itself, has members below, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet {
    member: bool,
    children: BTreeMap<Part, FieldSet>,
}

impl FieldSet {
    /// No field.
    pub fn new() -> FieldSet {
        FieldSet::default()
    }

    /// Reads `fieldsV1`. Members that cannot be read are left out.
    pub fn parse(fields: &Value) -> FieldSet {
        FieldSet::parse_node(fields, DEPTH_MAX, true)
    }

    fn parse_node(node: &Value, left: usize, root: bool) -> FieldSet {
        let mut set = FieldSet::default();
        let Some(map) = node.as_object() else { return set };
        // An empty node is a leaf; the empty root is the empty set.
        set.member = map.is_empty() && !root;
        for (name, child) in map {
            if name == SELF {
                set.member = true;
            } else if let (Some(part), true) = (Part::parse(name), left > 0) {
                set.children.insert(part, FieldSet::parse_node(child, left - 1, false));
            }
        }
        set
    }

    /// As `fieldsV1`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(SELF.to_owned(), Value::Object(Map::new()));
        }
        for (part, child) in &self.children {
            map.insert(part.to_string(), child.to_value());
        }
        Value::Object(map)
    }

    /// Whether no field is in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(FieldSet::is_empty)
    }

    /// Whether the field itself is in it, beside what is below.
    pub fn is_member(&self) -> bool {
        self.member
    }

    /// What is below one part.
    pub fn child(&self, part: &Part) -> Option<&FieldSet> {
        self.children.get(part)
    }

    /// What is below one field.
    pub fn field(&self, name: &str) -> Option<&FieldSet> {
        self.children.get(&Part::Field(name.to_owned()))
    }

    /// All that is below, by part.
    pub fn children(&self) -> impl Iterator<Item = (&Part, &FieldSet)> {
        self.children.iter()
    }

    /// Adds the field at `path`.
    pub fn insert(&mut self, path: &[Part]) {
        match path {
            [] => self.member = true,
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether the field at `path` is in it.
    pub fn contains(&self, path: &[Part]) -> bool {
        match path {
            [] => self.member,
            [first, rest @ ..] => self.child(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// What is in one or the other.
    #[must_use]
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut both = self.clone();
        both.member |= other.member;
        for (part, child) in &other.children {
            let merged = both.children.get(part).map_or_else(|| child.clone(), |c| c.union(child));
            both.children.insert(part.clone(), merged);
        }
        both
    }

    /// What is in this and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut rest = FieldSet { member: self.member && !other.member, children: BTreeMap::new() };
        for (part, child) in &self.children {
            let left =
                other.children.get(part).map_or_else(|| child.clone(), |o| child.difference(o));
            if !left.is_empty() {
                rest.children.insert(part.clone(), left);
            }
        }
        rest
    }

    /// Takes out the field at `path` and everything below it.
    pub fn remove(&mut self, path: &[Part]) {
        match path {
            [] => *self = FieldSet::default(),
            [last] => drop(self.children.remove(last)),
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(first) {
                    child.remove(rest);
                    if child.is_empty() {
                        self.children.remove(first);
                    }
                }
            }
        }
    }

    /// All members, as paths.
    pub fn paths(&self) -> Vec<Vec<Part>> {
        let mut found = Vec::new();
        self.walk(&mut Vec::new(), &mut found);
        found
    }

    fn walk(&self, at: &mut Vec<Part>, found: &mut Vec<Vec<Part>>) {
        if self.member {
            found.push(at.clone());
        }
        for (part, child) in &self.children {
            at.push(part.clone());
            child.walk(at, found);
            at.pop();
        }
    }
}

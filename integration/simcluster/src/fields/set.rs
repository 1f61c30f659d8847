//! A set of field paths, and its `fieldsV1` form.

use crate::schema::{Inside, Type};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// One step down from a map or a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// An item of a keyed list: key name and JSON text of its value, by name.
    Key(BTreeMap<String, String>),
    /// An item of a set: its JSON text.
    Item(String),
    Index(usize),
}

impl Step {
    pub(crate) fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    fn encode(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(keys) => format!("k:{{{}}}", join(keys, ":", true)),
            Step::Item(value) => format!("v:{value}"),
            Step::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Step> {
        let (form, rest) = text.split_once(':')?;
        match form {
            "f" => Some(Step::field(rest)),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Step::Key(keys.iter().map(|(k, v)| (k.clone(), v.to_string())).collect()))
            }
            "v" => Some(Step::Item(rest.to_owned())),
            "i" => rest.parse().ok().map(Step::Index),
            _ => None,
        }
    }
}

fn join(keys: &BTreeMap<String, String>, between: &str, quoted: bool) -> String {
    let parts: Vec<String> = keys
        .iter()
        .map(|(name, value)| {
            if quoted {
                format!("\"{name}\"{between}{value}")
            } else {
                format!("{name}{between}{value}")
            }
        })
        .collect();
    parts.join(",")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Key(keys) => write!(f, "[{}]", join(keys, "=", false)),
            Step::Item(value) => write!(f, "[={value}]"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path as error texts show it: `.spec.containers[name="web"].image`.
pub(crate) fn show(path: &[Step]) -> String {
    path.iter().map(Step::to_string).collect()
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: Set,
}

/// A set of paths, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    nodes: BTreeMap<Step, Node>,
}

impl Set {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.values().all(|node| !node.member && node.below.is_empty())
    }

    pub(crate) fn insert(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Is this very step (with nothing below) in the set?
    pub(crate) fn has(&self, step: &Step) -> bool {
        self.nodes.get(step).is_some_and(|node| node.member)
    }

    /// The paths below a step, if there are any.
    pub(crate) fn below(&self, step: &Step) -> Option<&Set> {
        self.nodes.get(step).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    /// Everything at and below these steps from the top is dropped.
    pub(crate) fn without_tree(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let step = Step::field(first);
        if rest.is_empty() {
            self.nodes.remove(&step);
        } else if let Some(node) = self.nodes.get_mut(&step) {
            node.below.without_tree(rest);
            self.prune();
        }
    }

    /// Drops the one path, not what is below it.
    pub(crate) fn without(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        if let Some(node) = self.nodes.get_mut(&Step::field(first)) {
            if rest.is_empty() {
                node.member = false;
            } else {
                node.below.without(rest);
            }
        }
        self.prune();
    }

    /// Keeps only what starts with one of these top fields.
    pub(crate) fn keep_top(&mut self, keep: impl Fn(&str) -> bool) {
        self.nodes.retain(|step, _| matches!(step, Step::Field(name) if keep(name)));
    }

    fn prune(&mut self) {
        self.nodes.retain(|_, node| node.member || !node.below.is_empty());
    }

    pub(crate) fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        for (step, node) in &other.nodes {
            let mine = out.nodes.entry(step.clone()).or_default();
            mine.member |= node.member;
            mine.below = mine.below.union(&node.below);
        }
        out
    }

    pub(crate) fn difference(&self, other: &Set) -> Set {
        let mut out = self.clone();
        for (step, node) in &mut out.nodes {
            if let Some(theirs) = other.nodes.get(step) {
                node.member &= !theirs.member;
                node.below = node.below.difference(&theirs.below);
            }
        }
        out.prune();
        out
    }

    pub(crate) fn intersection(&self, other: &Set) -> Set {
        let mut out = Set::default();
        for (step, node) in &self.nodes {
            if let Some(theirs) = other.nodes.get(step) {
                let member = node.member && theirs.member;
                let below = node.below.intersection(&theirs.below);
                if member || !below.is_empty() {
                    out.nodes.insert(step.clone(), Node { member, below });
                }
            }
        }
        out
    }

    /// All paths, in order.
    pub(crate) fn paths(&self) -> Vec<Vec<Step>> {
        let mut out = Vec::new();
        self.walk(&mut Vec::new(), &mut out);
        out
    }

    fn walk(&self, path: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
        for (step, node) in &self.nodes {
            path.push(step.clone());
            if node.member {
                out.push(path.clone());
            }
            node.below.walk(path, out);
            path.pop();
        }
    }

    /// The set with every declared field on the way to a member made a member too.
    pub(crate) fn with_named(&self, schema: &Type) -> Set {
        let mut out = Set::default();
        for (step, node) in &self.nodes {
            let (declared, below) = match (step, schema.inside()) {
                (Step::Field(name), Inside::Map { fields, others }) => {
                    match Type::entry(fields, others, name) {
                        Some((of, declared)) => (declared, node.below.with_named(of)),
                        None => (false, node.below.clone()),
                    }
                }
                (Step::Field(_), Inside::Free) => (false, node.below.with_named(&Type::Free)),
                (_, Inside::List { of, .. }) => (false, node.below.with_named(of)),
                _ => (false, node.below.clone()),
            };
            let member = node.member || (declared && !node.below.is_empty());
            out.nodes.insert(step.clone(), Node { member, below });
        }
        out
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        let mut entries: Vec<(String, &Node)> =
            self.nodes.iter().map(|(step, node)| (step.encode(), node)).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, node) in entries {
            let below = node.below.to_value();
            let value = match (node.member, below) {
                (true, Value::Object(below)) if !below.is_empty() => {
                    let mut with_self = Map::new();
                    with_self.insert(".".to_owned(), Value::Object(Map::new()));
                    with_self.extend(below);
                    Value::Object(with_self)
                }
                (_, below) => below,
            };
            map.insert(name, value);
        }
        Value::Object(map)
    }

    pub(crate) fn from_value(value: &Value) -> Set {
        let mut set = Set::default();
        for (name, value) in value.as_object().into_iter().flatten() {
            let Some(step) = Step::decode(name) else { continue };
            let below = Set::from_value(value);
            let member = below.is_empty() || value.get(".").is_some();
            set.nodes.insert(step, Node { member, below });
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_set_survives_its_wire_form() {
        let wire = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
            "f:spec": {"f:ports": {
                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
            }},
        });
        let set = Set::from_value(&wire);
        assert_eq!(set.to_value(), wire);
        let shown: Vec<String> = set.paths().iter().map(|path| show(path)).collect();
        assert_eq!(
            shown,
            [
                ".metadata.labels",
                ".metadata.labels.app.kubernetes.io/name",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
            ]
        );
    }

    #[test]
    fn sets_are_sets() {
        let a = Set::from_value(&json!({"f:a": {"f:x": {}, "f:y": {}}, "f:b": {}}));
        let b = Set::from_value(&json!({"f:a": {"f:y": {}}, "f:c": {}}));
        assert_eq!(a.difference(&b).to_value(), json!({"f:a": {"f:x": {}}, "f:b": {}}));
        assert_eq!(a.intersection(&b).to_value(), json!({"f:a": {"f:y": {}}}));
        assert_eq!(a.difference(&b).union(&a.intersection(&b)), a);
    }
}

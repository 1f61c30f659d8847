//! Goes through desired and live side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::equal::{hollow, same};
use super::owners::{Owners, keyed};
use super::show::Shown;
use super::{Change, Diff, DiffOptions, Op, file, is_secret};
use crate::fields::{FieldSet, Part};
use crate::ownership::Ownership;
use crate::path;
use crate::schema::{ListShape, Node};

/// Fields of the metadata that are compared; everything else in it is the server's.
const META: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];
/// Annotations that tools leave behind; nobody desires them.
const LEFT_BEHIND: &[&str] =
    &["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// Where we are.
#[derive(Clone)]
struct Place<'a> {
    node: Node<'a>,
    /// For people.
    text: String,
    /// Field names.
    names: Vec<String>,
    /// As owners know it.
    parts: Vec<Part>,
    /// JSON pointer.
    pointer: Vec<String>,
    /// Name of the environment variable that we are in.
    env: Option<String>,
}

impl<'a> Place<'a> {
    fn field(&self, name: &str) -> Place<'a> {
        let mut place = self.clone();
        place.node = self.node.field(name);
        place.text = path::field(&self.text, name);
        place.names.push(name.to_owned());
        place.parts.push(Part::Field(name.to_owned()));
        place.pointer.push(name.to_owned());
        place
    }

    fn item(&self, part: &Part, at: usize, item: &Value) -> Place<'a> {
        let mut place = self.clone();
        place.node = self.node.item();
        place.text = match (part, part.key_fields()) {
            (_, Some(keys)) => {
                let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("{}[{}]", self.text, keys.join(","))
            }
            (Part::Item(value), None) => format!("{}[{value}]", self.text),
            _ => path::item(&self.text, at),
        };
        place.parts.push(part.clone());
        place.pointer.push(at.to_string());
        if self.node.name() == "env" {
            place.env = item.get("name").and_then(Value::as_str).map(str::to_owned);
        }
        place
    }
}

struct Walk<'a> {
    options: &'a DiffOptions<'a>,
    owners: Owners,
    shown: Shown<'a>,
    diff: Diff,
}

pub(super) fn walk(desired: &Value, live: &Value, options: &DiffOptions<'_>, bare: bool) -> Diff {
    let node = options.schemas.root(desired);
    let owners = Owners::of(live, &node, options);
    let shown = Shown { key: options.key, secret: is_secret(desired) || is_secret(live), bare };
    let (ours, all) = (owners.ours.clone(), owners.all.clone());
    let mut walk = Walk { options, owners, shown, diff: Diff::default() };
    let root = Place {
        node,
        text: String::new(),
        names: Vec::new(),
        parts: Vec::new(),
        pointer: Vec::new(),
        env: None,
    };
    if let (Value::Object(desired), Value::Object(live)) = (desired, live) {
        walk.map(&root, desired, live, Some(&ours), Some(&all));
    }
    walk.diff
}

impl Walk<'_> {
    /// Fields of a map that merges.
    fn map(
        &mut self,
        at: &Place<'_>,
        desired: &Map<String, Value>,
        live: &Map<String, Value>,
        ours: Option<&FieldSet>,
        all: Option<&FieldSet>,
    ) {
        let marks = self.options.marks;
        for (name, value) in desired.iter().filter(|(name, _)| counts(marks, at, name)) {
            let field = Part::Field(name.clone());
            let (ours, all) =
                (ours.and_then(|s| s.child(&field)), all.and_then(|s| s.child(&field)));
            self.value(&at.field(name), value, live.get(name), ours, all);
        }
        let Some(ours) = ours else { return };
        for (part, below) in ours.children() {
            let Part::Field(name) = part else { continue };
            let gone = desired.get(name).is_none_or(Value::is_null)
                && counts(self.options.marks, at, name);
            if let Some(value) = live.get(name).filter(|_| gone) {
                self.removed(&at.field(name), value, below);
            }
        }
    }

    fn value(
        &mut self,
        at: &Place<'_>,
        desired: &Value,
        live: Option<&Value>,
        ours: Option<&FieldSet>,
        all: Option<&FieldSet>,
    ) {
        if ignored(&at.pointer, self.options.ignore) {
            return;
        }
        let Some(live) = live.filter(|live| !live.is_null()) else {
            self.absent(at, desired);
            return;
        };
        match (desired, live) {
            (Value::Object(a), Value::Object(b)) if !at.node.is_whole_map() => {
                self.map(at, a, b, ours, all);
            }
            (Value::Array(a), Value::Array(b)) => match shape(at, a, all) {
                Some(shape) => self.list(at, &shape, (a, b), ours, all),
                None if same(desired, live, &at.node) => {}
                None => self.differs(at, Op::Change, Some(live), Some(desired)),
            },
            _ if same(desired, live, &at.node) => {}
            _ => self.differs(at, Op::Change, Some(live), Some(desired)),
        }
    }

    /// Desired, and not there.
    fn absent(&mut self, at: &Place<'_>, desired: &Value) {
        let labelled = matches!(at.text.as_str(), "metadata.labels" | "metadata.annotations");
        if let (Value::Object(map), true) = (desired, labelled) {
            // Our own marks may be left out of the comparison, so each stands for itself.
            let marks = self.options.marks;
            for (name, value) in map.iter().filter(|(name, _)| counts(marks, at, name)) {
                let place = at.field(name);
                if !ignored(&place.pointer, self.options.ignore) {
                    self.differs(&place, Op::Add, None, Some(value));
                }
            }
        } else if !hollow(desired, &at.node) {
            self.differs(at, Op::Add, None, Some(desired));
        }
    }

    /// A list whose items merge.
    fn list(
        &mut self,
        at: &Place<'_>,
        shape: &ListShape,
        (desired, live): (&[Value], &[Value]),
        ours: Option<&FieldSet>,
        all: Option<&FieldSet>,
    ) {
        let part = |item: &Value| match shape {
            ListShape::Keyed(keys) => keyed(item, keys, &at.node),
            ListShape::Set | ListShape::Whole => Some(Part::item(item)),
        };
        let there: BTreeMap<Part, (usize, &Value)> = live
            .iter()
            .enumerate()
            .filter_map(|(place, item)| Some((part(item)?, (place, item))))
            .collect();
        let mut wanted = BTreeSet::new();
        for (place, item) in desired.iter().enumerate() {
            let Some(key) = part(item) else { continue };
            let below = at.item(&key, place, item);
            match there.get(&key) {
                Some((_, live)) => {
                    let (ours, all) =
                        (ours.and_then(|s| s.child(&key)), all.and_then(|s| s.child(&key)));
                    self.value(&below, item, Some(live), ours, all);
                }
                None => self.value(&below, item, None, None, None),
            }
            wanted.insert(key);
        }
        let Some(ours) = ours else { return };
        for (key, owned) in ours.children().filter(|(key, _)| !wanted.contains(*key)) {
            if let Some((place, item)) = there.get(key) {
                self.removed(&at.item(key, *place, item), item, owned);
            }
        }
    }

    /// Ours, there, and no longer desired. What others own stays.
    fn removed(&mut self, at: &Place<'_>, live: &Value, ours: &FieldSet) {
        if ignored(&at.pointer, self.options.ignore) {
            return;
        }
        let others = self.owners.below(&at.parts);
        let leaf = ours.children().next().is_none();
        if others.is_empty() && (leaf || ours.is_member()) {
            self.differs(at, Op::Remove, Some(live), None);
            return;
        }
        if leaf {
            return;
        }
        for (part, below) in ours.children() {
            match (part, live) {
                (Part::Field(name), Value::Object(map)) => {
                    let key = matches!(at.parts.last(), Some(Part::Key(_)))
                        && at
                            .parts
                            .last()
                            .and_then(Part::key_fields)
                            .is_some_and(|k| k.contains_key(name));
                    if let Some(value) = map.get(name).filter(|_| !key) {
                        self.removed(&at.field(name), value, below);
                    }
                }
                (Part::Key(_), Value::Array(items)) => {
                    let keys = part.key_fields().unwrap_or_default();
                    let found = items.iter().enumerate().find(|(_, item)| {
                        keys.iter().all(|(k, v)| {
                            let given = item.get(k).cloned().or_else(|| at.node.key_default(k));
                            given.as_ref() == Some(v)
                        })
                    });
                    if let Some((place, item)) = found {
                        self.removed(&at.item(part, place, item), item, below);
                    }
                }
                (Part::Item(_), Value::Array(items)) => {
                    let found =
                        items.iter().enumerate().find(|(_, item)| Part::item(item) == *part);
                    if let Some((place, item)) = found {
                        self.removed(&at.item(part, place, item), item, below);
                    }
                }
                _ => {}
            }
        }
    }

    fn differs(&mut self, at: &Place<'_>, op: Op, from: Option<&Value>, to: Option<&Value>) {
        let show = |value: &Value| self.shown.value(&at.names, at.env.as_deref(), value);
        let owners: BTreeSet<String> =
            self.owners.of_path(&at.parts).into_iter().map(|(m, _)| m.to_owned()).collect();
        let change =
            Change { path: at.text.clone(), op, from: from.map(show), to: to.map(show), owners };
        let resolution = if op == Op::Remove { None } else { self.owners.resolution(&at.parts) };
        file(&mut self.diff, change, resolution);
    }
}

/// Whether a place is named by a pointer, or below one that is.
fn ignored(place: &[String], pointers: &[String]) -> bool {
    pointers.iter().any(|pointer| {
        let wanted: Vec<String> =
            pointer.split('/').skip(1).map(|p| p.replace("~1", "/").replace("~0", "~")).collect();
        wanted.len() <= place.len()
            && wanted.iter().zip(place).all(|(wanted, part)| wanted == "*" || wanted == part)
    })
}

/// Whether a field is anybody's to desire. `marks`: our own marks are.
fn counts(marks: bool, at: &Place<'_>, name: &str) -> bool {
    let own = [Ownership::LABEL, Ownership::ANNOTATION];
    match at.text.as_str() {
        "" => !matches!(name, "apiVersion" | "kind" | "status"),
        "metadata" => META.contains(&name),
        "metadata.labels" | "metadata.annotations" => {
            !LEFT_BEHIND.contains(&name) && (marks || !own.contains(&name))
        }
        _ => true,
    }
}

/// How the list merges; `None` when it is taken whole.
fn shape(at: &Place<'_>, desired: &[Value], all: Option<&FieldSet>) -> Option<ListShape> {
    let shape = if at.node.is_guessed() {
        // Without a definition, the owners' field sets tell: their items have keys or they have not.
        all?.children().find_map(|(part, _)| match part {
            Part::Key(_) => Some(ListShape::Keyed(part.key_fields()?.keys().cloned().collect())),
            Part::Item(_) => Some(ListShape::Set),
            Part::Field(_) | Part::At(_) => None,
        })?
    } else {
        at.node.list()
    };
    let fits = match &shape {
        ListShape::Whole => false,
        ListShape::Set => true,
        ListShape::Keyed(keys) => desired.iter().all(|item| keyed(item, keys, &at.node).is_some()),
    };
    fits.then_some(shape)
}

//! The algebra of server-side apply on plain JSON: which fields a value has, how two values merge
//! and differ, and a value with some fields removed. Nothing here knows of managers.

mod merge;

mod check;

mod set;

pub(crate) use check::check;
pub(crate) use merge::merge;
pub(crate) use set::{Set, Step, show};

use crate::schema::{Inside, Merge, Shape, Type};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The step that names a list's item; `None` when it has none of the keys.
fn step_of(item: &Value, merge: &Merge) -> Option<Step> {
    match merge {
        Merge::Keys(keys) => {
            let mut found = BTreeMap::new();
            for key in keys.iter() {
                if let Some(value) = item.get(&key.name).or(key.default.as_ref()) {
                    found.insert(key.name.clone(), value.to_string());
                }
            }
            (!found.is_empty()).then_some(Step::Key(found))
        }
        Merge::Set => Some(Step::Item(item.to_string())),
        Merge::Atomic => None,
    }
}

/// The items of a list with their names; nameless ones (they cannot be applied) are left out.
fn named<'a>(items: &'a [Value], merge: &Merge) -> Vec<(Step, &'a Value)> {
    items.iter().filter_map(|item| step_of(item, merge).map(|step| (step, item))).collect()
}

/// JSON equality in which 1 and 1.0 are the same number.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, a)| y.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn is_hollow(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The fields that a value sets: its leaves, its keyed items, its free map keys.
pub(crate) fn set_of(value: &Value, schema: &Type) -> Set {
    let mut set = Set::default();
    collect(value, schema, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, schema: &Type, path: &mut Vec<Step>, set: &mut Set) {
    match schema.shape(value) {
        Shape::Leaf => set.insert(path),
        Shape::List { of, merge } => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            for (step, item) in named(items, merge) {
                path.push(step);
                collect(item, of, path, set);
                set.insert(path);
                path.pop();
            }
        }
        Shape::Map { fields, others } => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let Some((of, declared)) = Type::entry(fields, others, name) else { continue };
                path.push(Step::field(name));
                collect(value, of, path, set);
                if is_hollow(value) || !declared {
                    set.insert(path);
                }
                path.pop();
            }
        }
    }
}

/// What changed from one value to another.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Added or modified.
    pub(crate) set: Set,
    pub(crate) removed: Set,
}

/// Compares leaf by leaf; a container that came or went is listed with its leaves.
pub(crate) fn compare(before: &Value, after: &Value, schema: &Type) -> Changes {
    let mut changes = Changes::default();
    differ(Some(before), Some(after), schema, &mut Vec::new(), &mut changes);
    changes
}

fn leaf(a: Option<&Value>, b: Option<&Value>, path: &[Step], changes: &mut Changes) {
    match (a, b) {
        (_, None) => changes.removed.insert(path),
        (Some(a), Some(b)) if same(a, b) => {}
        (_, Some(_)) => changes.set.insert(path),
    }
}

/// The items of a list; none of anything else.
fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The entries of a map that has any.
fn entries(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|map| !map.is_empty())
}

/// The names in either map, the left one's first.
fn names<'a>(
    left: Option<&'a Map<String, Value>>,
    right: Option<&'a Map<String, Value>>,
) -> impl Iterator<Item = &'a String> {
    let known = move |name: &str| left.is_some_and(|left| left.contains_key(name));
    let added = right.into_iter().flat_map(Map::keys).filter(move |name| !known(name));
    left.into_iter().flat_map(Map::keys).chain(added)
}

fn differ(
    a: Option<&Value>,
    b: Option<&Value>,
    schema: &Type,
    path: &mut Vec<Step>,
    changes: &mut Changes,
) {
    if let (Some(a), Some(b)) = (a, b)
        && matches!(schema.inside(), Inside::Free)
        && a.is_object() != b.is_object()
        && !a.is_null()
        && !b.is_null()
    {
        return turn(a, b, path, changes);
    }
    let Some(one) = b.filter(|b| !b.is_null()).or(a).or(b) else { return };
    match schema.shape(one) {
        Shape::Leaf => return leaf(a, b, path, changes),
        Shape::List { of, merge } => {
            let (left, right) = (items(a), items(b));
            if left.is_empty() && right.is_empty() {
                return leaf(a, b, path, changes);
            }
            let left: BTreeMap<Step, &Value> = named(left, merge).into_iter().collect();
            let right: BTreeMap<Step, &Value> = named(right, merge).into_iter().collect();
            for step in left.keys().chain(right.keys().filter(|step| !left.contains_key(step))) {
                path.push(step.clone());
                differ(left.get(step).copied(), right.get(step).copied(), of, path, changes);
                path.pop();
            }
        }
        Shape::Map { fields, others } => {
            let (left, right) = (entries(a), entries(b));
            if left.is_none() && right.is_none() {
                return leaf(a, b, path, changes);
            }
            for name in names(left, right) {
                let Some((of, _)) = Type::entry(fields, others, name) else { continue };
                path.push(Step::field(name));
                let (before, after) =
                    (left.and_then(|l| l.get(name)), right.and_then(|r| r.get(name)));
                differ(before, after, of, path, changes);
                path.pop();
            }
        }
    }
    match (a, b) {
        (None, _) => changes.set.insert(path),
        (_, None) => changes.removed.insert(path),
        _ => {}
    }
}

/// A free value that was a map and is none now, or the other way round: one leaf has changed, and
/// what the map had comes or goes.
fn turn(a: &Value, b: &Value, path: &mut Vec<Step>, changes: &mut Changes) {
    changes.set.insert(path);
    let (map, gone) = if a.is_object() { (a, true) } else { (b, false) };
    for (name, value) in map.as_object().into_iter().flatten() {
        let (before, after) = if gone { (Some(value), None) } else { (None, Some(value)) };
        path.push(Step::field(name));
        differ(before, after, &Type::Free, path, changes);
        path.pop();
    }
}

/// The value without the fields in `unwanted`; a container that loses everything stays, empty.
pub(crate) fn remove(value: &Value, unwanted: &Set, schema: &Type) -> Value {
    match schema.shape(value) {
        Shape::Leaf => value.clone(),
        Shape::List { of, merge } => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let kept = items.iter().filter_map(|item| {
                let Some(step) = step_of(item, merge) else { return Some(item.clone()) };
                if unwanted.has(&step) {
                    return None;
                }
                Some(match unwanted.below(&step) {
                    Some(below) => remove(item, below, of),
                    None => item.clone(),
                })
            });
            Value::Array(kept.collect())
        }
        Shape::Map { fields, others } => {
            let mut out = Map::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                let step = Step::field(name);
                if unwanted.has(&step) {
                    continue;
                }
                let value = match (unwanted.below(&step), Type::entry(fields, others, name)) {
                    (Some(below), Some((of, _))) => remove(value, below, of),
                    _ => value.clone(),
                };
                out.insert(name.clone(), value);
            }
            Value::Object(out)
        }
    }
}

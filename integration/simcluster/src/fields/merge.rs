//! Two values become one: the right one wins, keyed lists merge item by item.

use super::{Step, entries, items, named, names};
use crate::schema::{Merge, Shape, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Merges `right` over `left`.
pub(crate) fn merge(left: &Value, right: &Value, schema: &Type) -> Value {
    both(Some(left), Some(right), schema).unwrap_or(Value::Null)
}

fn both(left: Option<&Value>, right: Option<&Value>, schema: &Type) -> Option<Value> {
    let one = right.filter(|value| !value.is_null()).or(left).or(right)?;
    match schema.shape(one) {
        Shape::Leaf => right.or(left).cloned(),
        Shape::List { of, merge } => {
            let (left_items, right_items) = (items(left), items(right));
            if left_items.is_empty() && right_items.is_empty() {
                return right.or(left).cloned();
            }
            Some(Value::Array(lists(left_items, right_items, of, merge)))
        }
        Shape::Map { fields, others } => {
            let (left_map, right_map) = (entries(left), entries(right));
            if left_map.is_none() && right_map.is_none() {
                return right.or(left).cloned();
            }
            let mut out = Map::new();
            for name in names(left_map, right_map) {
                let (a, b) = (
                    left_map.and_then(|map| map.get(name)),
                    right_map.and_then(|map| map.get(name)),
                );
                let merged = match Type::entry(fields, others, name) {
                    Some((of, _)) => both(a, b, of),
                    None => b.or(a).cloned(),
                };
                out.extend(merged.map(|value| (name.clone(), value)));
            }
            Some(Value::Object(out))
        }
    }
}

/// The merged list keeps the right side's order; items that only the left has stay where they
/// stood between the shared ones.
fn lists(left: &[Value], right: &[Value], of: &Type, merge: &Merge) -> Vec<Value> {
    let (left, right) = (named(left, merge), named(right, merge));
    let by_left: BTreeMap<&Step, &Value> = left.iter().map(|(step, item)| (step, *item)).collect();
    let by_right: BTreeMap<&Step, &Value> =
        right.iter().map(|(step, item)| (step, *item)).collect();
    let mut shared = right.iter().map(|(step, _)| step).filter(|step| by_left.contains_key(step));
    let mut next_shared = shared.next();
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((step, _)), Some((other, _))) = (left.get(l), right.get(r)) {
            if step == other {
                done.insert(step);
                let pair = (by_left.get(step).copied(), by_right.get(step).copied());
                out.extend(both(pair.0, pair.1, of));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if by_right.contains_key(step) && next_shared.is_some_and(|next| next != step) {
                l += 1;
                continue;
            }
        }
        if let Some((step, item)) = left.get(l) {
            if !by_right.contains_key(step) {
                out.extend(both(Some(item), None, of));
                l += 1;
                continue;
            } else if done.contains(step) {
                l += 1;
            }
        }
        if let Some((step, item)) = right.get(r) {
            done.insert(step);
            out.extend(both(by_left.get(step).copied(), Some(item), of));
            r += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    out
}

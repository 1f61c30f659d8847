//! Strategic merge patch: a merge patch whose keyed lists merge by the first of their keys.

use crate::schema::{Merge, Shape, Type};
use serde_json::{Map, Value};

/// Applies a strategic merge patch; directives understood: `$patch`, `$retainKeys`,
/// `$setElementOrder`, `$deleteFromPrimitiveList`.
pub(crate) fn strategic(target: &Value, patch: &Value, schema: &Type) -> Value {
    let Some(changes) = patch.as_object() else { return patch.clone() };
    if changes.get("$patch").is_some_and(|directive| directive == "replace") {
        return without_directives(changes);
    }
    let mut out: Map<String, Value> = target.as_object().cloned().unwrap_or_default();
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        out.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, value) in changes {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(items) = out.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        } else if name.starts_with('$') {
        } else if value.is_null() || value["$patch"] == "delete" {
            out.shift_remove(name);
        } else {
            let before = out.get(name).cloned().unwrap_or(Value::Null);
            out.insert(name.clone(), field(&before, name, value, schema));
        }
    }
    Value::Object(out)
}

fn without_directives(map: &Map<String, Value>) -> Value {
    let kept = map.iter().filter(|(name, _)| !name.starts_with('$'));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn field(before: &Value, name: &str, patch: &Value, schema: &Type) -> Value {
    let parent = Value::Object(Map::new());
    let of = match schema.shape(&parent) {
        Shape::Map { fields, others } => Type::entry(fields, others, name).map(|(of, _)| of),
        Shape::Leaf | Shape::List { .. } => None,
    };
    let free = Type::Free;
    let of = of.unwrap_or(&free);
    if patch.is_object() {
        return strategic(before, patch, of);
    }
    let (Some(changes), Shape::List { of, merge }) = (patch.as_array(), of.shape(patch)) else {
        return patch.clone();
    };
    let items = before.as_array().cloned().unwrap_or_default();
    match merge {
        Merge::Keys(keys) => match keys.first() {
            Some(key) => keyed(&items, changes, &key.name, of),
            None => patch.clone(),
        },
        Merge::Set => {
            let left = items.iter().filter(|item| !changes.contains(item)).cloned().collect();
            let order = |item: &Value| items.iter().position(|known| known == item);
            Value::Array(interleave(left, changes.clone(), order))
        }
        Merge::Atomic => patch.clone(),
    }
}

fn keyed(items: &[Value], changes: &[Value], key: &str, of: &Type) -> Value {
    let directed = |change: &Value, directive: &str| change["$patch"] == directive;
    if changes.iter().any(|change| directed(change, "replace")) {
        let kept = changes.iter().filter(|change| !directed(change, "replace"));
        return Value::Array(kept.cloned().collect());
    }
    let named = |change: &Value| items.iter().find(|item| item[key] == change[key]);
    let right: Vec<Value> = changes
        .iter()
        .filter(|change| !directed(change, "delete"))
        .map(|change| strategic(named(change).unwrap_or(&Value::Null), change, of))
        .collect();
    let untouched = |item: &&Value| !changes.iter().any(|change| change[key] == item[key]);
    let left = items.iter().filter(untouched).cloned().collect();
    let order = |item: &Value| items.iter().position(|known| known[key] == item[key]);
    Value::Array(interleave(left, right, order))
}

/// What the patch leaves alone, put among what it names: before the first item it stood before.
fn interleave(
    left: Vec<Value>,
    right: Vec<Value>,
    order: impl Fn(&Value) -> Option<usize>,
) -> Vec<Value> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let mut out = Vec::new();
    loop {
        let first = match (left.peek(), right.peek()) {
            (None, None) => return out,
            (Some(l), Some(r)) => match (order(l), order(r)) {
                (Some(l), Some(r)) => l < r,
                _ => false,
            },
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        out.extend(if first { left.next() } else { right.next() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containers_merge_by_name_and_a_directive_removes_one() {
        let pod = json!({"spec": {"containers": [
            {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"},
        ]}});
        let patch = json!({"spec": {"containers": [
            {"name": "a", "image": "a:2"}, {"name": "b", "$patch": "delete"}, {"name": "c"},
        ]}});
        let out = strategic(&pod, &patch, &Type::named("core.v1.Pod"));
        let wanted = json!([{"name": "a", "image": "a:2"}, {"name": "c"}]);
        assert_eq!(out["spec"]["containers"], wanted);
    }
}

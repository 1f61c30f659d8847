//! Whether two values that are taken whole are the same to the API server.

use serde_json::{Map, Value};

use crate::schema::{Node, same_quantity};

/// Whether applying `desired` over `live` changes nothing here.
pub(super) fn same(desired: &Value, live: &Value, node: &Node<'_>) -> bool {
    match (desired, live) {
        (Value::Object(a), Value::Object(b)) => same_map(a, b, node),
        (Value::Array(a), Value::Array(b)) => {
            let item = node.item();
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, &item))
        }
        _ if desired == live => true,
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => true,
        _ if node.is_quantity() => same_quantity(desired, live),
        _ => node.drops(desired) && (node.drops(live) || node.chooses()),
    }
}

fn same_map(desired: &Map<String, Value>, live: &Map<String, Value>, node: &Node<'_>) -> bool {
    let wanted = desired.iter().all(|(name, value)| {
        let below = node.field(name);
        match live.get(name) {
            Some(live) => same(value, live, &below),
            None => below.drops(value) || below.is_default(value) || hollow(value, &below),
        }
    });
    let extra =
        live.iter().filter(|(name, _)| !desired.contains_key(*name)).all(|(name, value)| {
            let below = node.field(name);
            below.is_default(value) || below.drops(value) || filled(value, &below)
        });
    wanted && extra
}

/// Nothing but what the server drops.
pub(super) fn hollow(value: &Value, node: &Node<'_>) -> bool {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().all(|(name, below)| hollow(below, &node.field(name)))
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => node.drops(value),
    }
}

/// Nothing but what the server fills in.
fn filled(value: &Value, node: &Node<'_>) -> bool {
    let Value::Object(map) = value else { return false };
    !map.is_empty()
        && map.iter().all(|(name, below)| {
            let at = node.field(name);
            at.is_default(below) || filled(below, &at)
        })
}

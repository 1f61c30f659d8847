//! The one way to write an object as bytes: JSON with sorted keys and no white space.
//!
//! Equal objects give equal bytes, whatever their file looked like, so that a digest means content. A
//! whole number is written without a fraction (`1.0` and `1e0` are `1`), as the API server would.

use serde_json::{Number, Value as Json};

use crate::yaml::{Entry, Node, Value};

/// Whole numbers up to here are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Canonical bytes of a node.
pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    // A JSON value always serialises: keys are text, numbers are finite.
    json(node).to_string().into_bytes()
}

/// A node as JSON, with sorted keys.
pub(crate) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(number) => Json::Number(canonical(number)),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            Json::Object(sorted.into_iter().map(|e| (e.key.clone(), json(&e.value))).collect())
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
fn canonical(number: &Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

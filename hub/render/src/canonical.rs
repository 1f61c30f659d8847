//! The one way to write an object as bytes: JSON with sorted keys and no white space.
//!
//! Equal objects give equal bytes, whatever their file looked like, so that a digest means content. A
//! whole number is written without a fraction (`1.0` and `1e0` are `1`), as the API server would.

use serde_json::{Number, Value as Json};

use crate::yaml::{Entry, Node, Value};

/// Whole numbers up to here are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Canonical bytes of a node: those of [`json`], written without making it first.
pub(crate) fn bytes(node: &Node) -> Vec<u8> {
    let mut out = Vec::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut Vec<u8>) {
    match &node.value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(canonical(number).to_string().as_bytes()),
        Value::Text(text) => quoted(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            out.push(b'{');
            for (place, entry) in sorted.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                quoted(&entry.key, out);
                out.push(b':');
                write(&entry.value, out);
            }
            out.push(b'}');
        }
    }
}

/// A JSON text. Nearly every one has nothing that JSON escapes.
fn quoted(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(Json::from(text).to_string().as_bytes());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn what_is_written_is_what_json_would_be() {
        let text = "b: [1, 1.0, 1e3, 1.5, -7, 0644, 18446744073709551615, true, false, null, {}, []]\n\
                    a: {z: \"quo\\\"te \\\\ \\t \\n \\u0001 \\x7f é\\u2028\", \"k\\\"ey\\n\": x, \"\": ''}\n";
        let nodes = yaml::documents("a.yaml", text.as_bytes()).unwrap();
        assert_eq!(nodes.len(), 1);
        let written = String::from_utf8(bytes(&nodes[0])).unwrap();
        assert_eq!(written, json(&nodes[0]).to_string());
        assert!(written.starts_with(r#"{"a":{"":"","k\"ey\n":"x","z":"quo\"te"#), "{written}");
        // With or without places it is the same.
        let bare = yaml::unplaced("a.yaml", text.as_bytes()).unwrap();
        assert_eq!(bytes(&bare[0]), bytes(&nodes[0]));
    }
}

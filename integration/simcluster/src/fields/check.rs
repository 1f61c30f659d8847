//! Does a value fit its type? The texts are those of the server's typed patch errors.

use super::{Step, show, step_of};
use crate::schema::{Inside, Merge, Type};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything wrong with a value, in order: `(path, text)`.
pub(crate) fn check(value: &Value, schema: &Type) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(value, schema, &mut Vec::new(), &mut found);
    found
}

type Found = Vec<(String, String)>;

fn walk(value: &Value, schema: &Type, path: &mut Vec<Step>, found: &mut Found) {
    if value.is_null() {
        return;
    }
    let mut expect = |fits: bool, wanted: &str| {
        if !fits {
            found.push((show(path), format!("expected {wanted}")));
        }
        fits
    };
    match schema.inside() {
        Inside::Free => {}
        Inside::Text => {
            expect(value.is_string(), &format!("string, got &value{{Value:{value}}}"));
        }
        Inside::Number => {
            expect(value.is_number(), &format!("numeric (int or float), got {}", go_type(value)));
        }
        Inside::Bool => {
            expect(value.is_boolean(), &format!("boolean, got &{{{value}}}"));
        }
        Inside::Quantity | Inside::Scalar => {
            expect(
                !value.is_object() && !value.is_array(),
                &format!("any scalar, got &{{{value}}}"),
            );
        }
        Inside::List { of, merge } => {
            if expect(value.is_array(), &format!("list, got &{{{value}}}")) {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                list(items, of, merge, path, found);
            }
        }
        Inside::Map { fields, others } => {
            if expect(value.is_object(), &format!("map, got &{{{value}}}")) {
                map(value, fields, others, path, found);
            }
        }
    }
}

/// What the server's language calls the type of a value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn map(
    value: &Value,
    fields: &BTreeMap<String, Type>,
    others: Option<&Type>,
    path: &mut Vec<Step>,
    found: &mut Found,
) {
    for (name, value) in value.as_object().into_iter().flatten() {
        path.push(Step::field(name));
        match Type::entry(fields, others, name) {
            Some((of, _)) => walk(value, of, path, found),
            None => found.push((show(path), "field not declared in schema".to_owned())),
        }
        path.pop();
    }
}

fn list(items: &[Value], of: &Type, merge: &Merge, path: &mut Vec<Step>, found: &mut Found) {
    let mut seen = BTreeSet::new();
    let mut doubled = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let step = match (merge, step_of(item, merge)) {
            (Merge::Atomic, _) => Step::Index(index),
            (_, Some(step)) => step,
            (Merge::Keys(keys), None) => {
                let names: Vec<String> =
                    keys.iter().map(|key| format!("\"{}\"", key.name)).collect();
                let text = format!(
                    "element {index}: associative list with keys has an element that omits all key \
                     fields [{}] (and doesn't have default values for any key fields)",
                    names.join(" ")
                );
                found.push((show(path), text));
                return;
            }
            (Merge::Set, None) => continue,
        };
        if !seen.insert(step.clone()) && doubled.insert(step.clone()) {
            found.push((show(path), format!("duplicate entries for key {step}")));
        }
        path.push(step);
        walk(item, of, path, found);
        path.pop();
    }
}

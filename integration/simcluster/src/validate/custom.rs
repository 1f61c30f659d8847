//! Custom objects against the schema in their definition: types, required fields, enums, bounds.

use crate::{schema::below, status::Cause};
use serde_json::{Value, json};

/// What an object breaks of its schema: types, required fields, enums, bounds.
pub(crate) fn violations(value: &Value, schema: &Value, path: &str, found: &mut Vec<Cause>) {
    if let Some(text) = wrong_type(value, schema, path) {
        found.push(Cause::type_invalid(path, &json!(type_name(value)), &text));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        found.push(Cause::unsupported(path, value, &allowed));
    }
    bounds(value, schema, path, found);
    let join =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(map) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if !map.contains_key(name) {
                    found.push(Cause::required(&join(name), ""));
                }
            }
            for (name, value) in map {
                let below = below(schema, name);
                if below.is_object() {
                    violations(value, below, &join(name), found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                violations(item, &schema["items"], &format!("{path}[{index}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn bounds(value: &Value, schema: &Value, path: &str, found: &mut Vec<Cause>) {
    if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
        && number < least
    {
        let text = format!("{path} in body should be greater than or equal to {least}");
        found.push(Cause::invalid(path, value, &text));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), schema["maximum"].as_f64())
        && number > most
    {
        let text = format!("{path} in body should be less than or equal to {most}");
        found.push(Cause::invalid(path, value, &text));
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(value: &Value, schema: &Value, path: &str) -> Option<String> {
    let wanted = schema["type"].as_str()?;
    let got = type_name(value);
    let fits = wanted == got
        || (wanted == "number" && got == "integer")
        || (value.is_null() && schema["nullable"] == true);
    (!fits).then(|| format!("{path} in body must be of type {wanted}: \"{got}\""))
}

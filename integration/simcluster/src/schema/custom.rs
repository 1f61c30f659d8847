//! Custom kinds: a definition's `openAPIV3Schema` as a type, and its defaults.

use super::{Key, Merge, Type};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The type of objects that a version of a definition describes.
pub(crate) fn type_of(schema: &Value) -> Type {
    let mut fields = properties(schema);
    fields.insert("apiVersion".to_owned(), Type::Text);
    fields.insert("kind".to_owned(), Type::Text);
    fields.insert("metadata".to_owned(), Type::named("meta.v1.ObjectMeta"));
    Type::Map { fields: Arc::new(fields), others: others(schema), atomic: false }
}

fn properties(schema: &Value) -> BTreeMap<String, Type> {
    let listed = schema["properties"].as_object();
    listed.into_iter().flatten().map(|(name, schema)| (name.clone(), any(schema))).collect()
}

fn others(schema: &Value) -> Option<Arc<Type>> {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return Some(Arc::new(Type::Free));
    }
    match &schema["additionalProperties"] {
        Value::Object(_) => Some(Arc::new(any(&schema["additionalProperties"]))),
        Value::Bool(true) => Some(Arc::new(Type::Free)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

fn any(schema: &Value) -> Type {
    if schema["x-kubernetes-int-or-string"] == true {
        return Type::Scalar;
    }
    match schema["type"].as_str() {
        Some("string") => Type::Text,
        Some("integer" | "number") => Type::Number,
        Some("boolean") => Type::Bool,
        Some("array") => list(schema),
        Some("object") => {
            let mut fields = properties(schema);
            let others = others(schema);
            if schema["x-kubernetes-embedded-resource"] == true {
                fields.insert("apiVersion".to_owned(), Type::Text);
                fields.insert("kind".to_owned(), Type::Text);
                fields.insert("metadata".to_owned(), Type::Free);
            }
            let atomic = schema["x-kubernetes-map-type"] == "atomic";
            Type::Map { fields: Arc::new(fields), others, atomic }
        }
        _ => Type::Free,
    }
}

fn list(schema: &Value) -> Type {
    let items = &schema["items"];
    let merge = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Merge::Set,
        Some("map") => {
            let names = schema["x-kubernetes-list-map-keys"].as_array();
            let keys = names.into_iter().flatten().filter_map(Value::as_str).map(|name| {
                let default = items["properties"][name].get("default").cloned();
                Key { name: name.to_owned(), default }
            });
            Merge::Keys(keys.collect())
        }
        _ => Merge::Atomic,
    };
    Type::List { of: Arc::new(any(items)), merge }
}

/// The schema of a map's entry.
pub(crate) fn below<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let declared = &schema["properties"][name];
    if declared.is_null() { &schema["additionalProperties"] } else { declared }
}

/// Drops nulls from declared fields that may not be null; elsewhere a null is a value.
pub(crate) fn drop_forbidden_nulls(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            let declared = &schema["properties"];
            map.retain(|name, value| {
                let forbidden = declared[name].is_object() && declared[name]["nullable"] != true;
                !value.is_null() || (!forbidden && name != "metadata" && name != "status")
            });
            for (name, value) in map {
                drop_forbidden_nulls(value, below(schema, name));
            }
        }
        Value::Array(items) => {
            for item in items {
                drop_forbidden_nulls(item, &schema["items"]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills in the schema's defaults.
pub(crate) fn fill_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let (None, Some(default)) = (map.get(name), schema.get("default")) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(value) = map.get_mut(name) {
                    fill_defaults(value, schema);
                }
            }
            let additional = &schema["additionalProperties"];
            if additional.is_object() {
                map.values_mut().for_each(|value| fill_defaults(value, additional));
            }
        }
        Value::Array(items) => {
            for item in items {
                fill_defaults(item, &schema["items"]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

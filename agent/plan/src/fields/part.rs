//! One step of the path to a field.

use std::fmt;

use serde_json::{Map, Value};

/// One step of a path. Keys and values of list items are kept as canonical JSON, so that they can be
/// compared and ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `f:name`: a field of a map.
    Field(String),
    /// `k:{"name":"web"}`: the item of a list that has these key fields.
    Key(String),
    /// `v:"x"`: the item of a set.
    Item(String),
    /// `i:3`: the item at a place.
    At(usize),
}

impl Part {
    /// Reads a member's name in `fieldsV1`; `None` when it is none.
    pub fn parse(text: &str) -> Option<Part> {
        let (tag, rest) = text.split_once(':')?;
        let json = || serde_json::from_str::<Value>(rest).ok();
        match tag {
            "f" => Some(Part::Field(rest.to_owned())),
            "k" => Some(Part::Key(canonical(&json()?))),
            "v" => Some(Part::Item(canonical(&json()?))),
            "i" => rest.parse().ok().map(Part::At),
            _ => None,
        }
    }

    /// The part for an item with these key fields.
    pub fn key(fields: &Map<String, Value>) -> Part {
        Part::Key(canonical(&Value::Object(fields.clone())))
    }

    /// The part for an item of a set.
    pub fn item(value: &Value) -> Part {
        Part::Item(canonical(value))
    }

    /// The key fields of [`Part::Key`].
    pub fn key_fields(&self) -> Option<Map<String, Value>> {
        let Part::Key(text) = self else { return None };
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Some(map),
            _ => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Field(name) => write!(f, "f:{name}"),
            Part::Key(json) => write!(f, "k:{json}"),
            Part::Item(json) => write!(f, "v:{json}"),
            Part::At(at) => write!(f, "i:{at}"),
        }
    }
}

/// JSON with the keys of maps in order.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let member =
                |key: &&String| format!("{}:{}", Value::from(key.as_str()), canonical(&map[*key]));
            format!("{{{}}}", keys.iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

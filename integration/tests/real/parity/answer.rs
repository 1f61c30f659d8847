//! What a server answered, and its form without what differs between any two clusters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One answer, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) kind: String,
    pub(crate) warnings: Vec<String>,
    /// A JSON string when the answer was no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// A field of the body by JSON pointer; null when absent.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.body.pointer(pointer).cloned().unwrap_or_default()
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn version(&self) -> String {
        self.text("/metadata/resourceVersion")
    }

    pub(crate) fn uid(&self) -> String {
        self.text("/metadata/uid")
    }

    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{:#}", self.body);
        self
    }

    /// As recorded: code, content type, warnings and the body, or only the named parts of it.
    pub(crate) fn whole(&self, parts: &[&str]) -> Value {
        let body = if parts.is_empty() || self.code >= 300 {
            self.body.clone()
        } else {
            parts
                .iter()
                .map(|part| ((*part).to_owned(), self.at(part)))
                .collect::<Map<_, _>>()
                .into()
        };
        json!({"code": self.code, "type": self.kind, "warnings": self.warnings, "body": body})
    }
}

/// Replaces uids, versions and times by names in the order of appearance, so that equal ones stay equal.
#[derive(Debug, Default)]
pub(crate) struct Names {
    uids: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn normal(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => items.iter().map(|item| self.normal(item)).collect(),
            Value::String(text) => self.text(text).into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>) -> Value {
        // Where a list or a bookmark stands depends on what else the server does.
        let is_moving =
            fields.contains_key("items") || fields.get("type") == Some(&json!("BOOKMARK"));
        let mut normal = Map::new();
        for (key, value) in fields {
            let value = match (key.as_str(), value) {
                ("metadata", Value::Object(_)) if is_moving => self.moving(value),
                ("object", Value::Object(_)) if is_moving => {
                    let mut object = value.clone();
                    object["metadata"] = self.moving(&value["metadata"]);
                    self.normal(&object)
                }
                ("causes", Value::Array(causes)) => self.causes(causes),
                ("resourceVersion", Value::String(version)) => self.version(version).into(),
                ("continue", Value::String(token)) if !token.is_empty() => "token".into(),
                ("managedFields", Value::Array(entries)) => self.managed(entries),
                (key, Value::String(_)) if is_time(key) => "time".into(),
                (_, value) => self.normal(value),
            };
            normal.insert(key.clone(), value);
        }
        Value::Object(normal)
    }

    fn moving(&mut self, metadata: &Value) -> Value {
        let mut metadata = metadata.clone();
        if metadata.get("resourceVersion").is_some() {
            metadata["resourceVersion"] = Value::Null;
        }
        self.normal(&metadata)
    }

    /// Servers order entries by time, which has a resolution of a second: chance.
    fn managed(&mut self, entries: &[Value]) -> Value {
        let mut entries: Vec<_> = entries.iter().map(|entry| self.normal(entry)).collect();
        entries.sort_by_key(|entry| {
            ["manager", "operation", "subresource"].map(|key| entry[key].to_string())
        });
        entries.into()
    }

    /// The order of managers in a conflict is chance.
    fn causes(&mut self, causes: &[Value]) -> Value {
        let mut causes: Vec<_> = causes.iter().map(|cause| self.normal(cause)).collect();
        if causes.iter().all(|cause| cause["reason"] == "FieldManagerConflict") {
            causes.sort_by_key(Value::to_string);
        }
        causes.into()
    }

    fn version(&mut self, version: &str) -> String {
        let next = format!("version-{}", self.versions.len() + 1);
        self.versions.entry(version.to_owned()).or_insert(next).clone()
    }

    fn text(&mut self, text: &str) -> String {
        let mut normal = String::new();
        let mut rest = text;
        while let Some(at) = (0..rest.len()).find(|at| is_uid(rest.as_bytes(), *at)) {
            normal.push_str(&rest[..at]);
            let next = format!("uid-{}", self.uids.len() + 1);
            normal.push_str(self.uids.entry(rest[at..at + UID].to_owned()).or_insert(next));
            rest = &rest[at + UID..];
        }
        normal.push_str(rest);
        let counts =
            ["too old resource version", "in the precondition", "Too large resource version"];
        if counts.iter().any(|text| normal.contains(text)) {
            normal = without_numbers(&normal);
        }
        without_internals(&normal).to_owned()
    }
}

const UID: usize = 36;

fn is_uid(text: &[u8], at: usize) -> bool {
    text.get(at..at + UID).is_some_and(|part| {
        part.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

fn is_time(key: &str) -> bool {
    key == "time" || key.ends_with("Time") || key.ends_with("Timestamp") || key.ends_with("At")
}

/// Where a message goes on with how the server lays out a value in its memory, or with words of the library that it was
/// written with: no promise to anybody, and nothing that an agent looks at.
const INTERNALS: &[&str] = &[
    ": expected string, got ",
    ": expected map, got ",
    ": expected numeric (int or float), got ",
    "json: cannot unmarshal ",
    "Invalid value: {\"Volumes\":",
    "continue key is not valid",
    "\n@@ ",
];

/// Longer than any value that is quoted for a person to read.
const LONG_VALUE: usize = 200;

fn without_internals(text: &str) -> &str {
    let value = "Invalid value: {";
    let long = text.find(value).filter(|at| text.len() - at > LONG_VALUE);
    let ends = INTERNALS.iter().filter_map(|start| text.find(start)).chain(long);
    &text[..ends.min().unwrap_or(text.len())]
}

/// `too old resource version: 1 (234)` counts the writes of the whole server.
fn without_numbers(text: &str) -> String {
    let mut normal = String::new();
    for part in text.chars() {
        if !part.is_ascii_digit() {
            normal.push(part);
        } else if !normal.ends_with('N') {
            normal.push('N');
        }
    }
    normal
}

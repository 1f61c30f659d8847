//! The marks that say "this object is of that App".

use model::{AppName, ObjectKey};
use serde_json::{Map, Value, json};

/// Field manager and marks of one App. One manager per App makes the API server itself refuse a
/// second App's claim, on every race, without a lock of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    app: AppName,
    manager: String,
}

impl Ownership {
    /// Label that every applied object carries; its value is the App's name. Watches select by it.
    pub const LABEL: &'static str = "tidegate.dev/app";
    /// Annotation with the tracking id: an operator that copies our labels to a child copies this too,
    /// and then it does not name the child.
    pub const ANNOTATION: &'static str = "tidegate.dev/id";
    /// What all our field managers begin with.
    pub const MANAGER_PREFIX: &'static str = "tidegate-agent/";

    /// The marks of `app`.
    pub fn of(app: &AppName) -> Ownership {
        // at most 15 + 63 of the 128 bytes that a field manager may have
        Ownership { app: app.clone(), manager: format!("{}{app}", Self::MANAGER_PREFIX) }
    }

    /// The App.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// The field manager to apply with.
    pub fn manager(&self) -> &str {
        &self.manager
    }

    /// Value of [`Ownership::LABEL`].
    pub fn label(&self) -> &str {
        self.app.as_str()
    }

    /// Puts label and tracking id on the body to apply.
    pub fn stamp(&self, object: &mut Value, key: &ObjectKey) {
        set(object, "labels", Self::LABEL, self.label());
        set(object, "annotations", Self::ANNOTATION, &key.id());
    }

    /// JSON patch that takes our marks and our field ownership off a live object and leaves its data.
    /// It holds only for the version that was read. Empty when there is nothing of ours.
    pub fn detach_patch(&self, live: &Value) -> Vec<Value> {
        let mut ops = Vec::new();
        for (map, name) in [("labels", Self::LABEL), ("annotations", Self::ANNOTATION)] {
            if live.get("metadata").and_then(|m| m.get(map)).is_some_and(|m| m.get(name).is_some())
            {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                ops.push(json!({"op": "remove", "path": format!("/metadata/{map}/{escaped}")}));
            }
        }
        let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours =
            |entry: &&Value| entry.get("manager").and_then(Value::as_str) == Some(self.manager());
        if let Some(entries) = entries.filter(|entries| entries.iter().any(|e| ours(&e))) {
            let mut rest: Vec<Value> = entries.iter().filter(|e| !ours(e)).cloned().collect();
            if rest.is_empty() {
                // An empty list would be taken for "unchanged"; one empty entry clears it.
                rest.push(json!({}));
            }
            ops.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": rest}));
        }
        let version = live.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        if let Some(version) = version.filter(|_| !ops.is_empty()) {
            let lock =
                json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version});
            ops.insert(0, lock);
        }
        ops
    }
}

/// `object.metadata.<map>.<name> = value`, making what is missing.
fn set(object: &mut Value, map: &str, name: &str, value: &str) {
    let mut at = object;
    for part in ["metadata", map] {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(fields) = at {
        fields.insert(name.to_owned(), Value::String(value.to_owned()));
    }
}

//! The marks that say "this object is of that App".

use model::{AppName, ObjectKey};
use serde_json::{Map, Value};

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

//! The patches other than apply: JSON merge patch, JSON patch, strategic merge patch.

mod strategic;

mod json_patch;

pub(crate) use json_patch::json_patch;
pub(crate) use strategic::strategic;

use serde_json::{Map, Value};

/// RFC 7386.
pub(crate) fn merge_patch(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else { return patch.clone() };
    let mut out: Map<String, Value> = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            out.shift_remove(name);
        } else {
            let before = out.get(name).cloned().unwrap_or(Value::Null);
            out.insert(name.clone(), merge_patch(&before, value));
        }
    }
    Value::Object(out)
}

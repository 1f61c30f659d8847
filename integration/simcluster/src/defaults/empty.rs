//! Empty lists and maps are not written: to the server's types they are the same as absent ones.

use crate::schema::{Inside, Type};
use serde_json::Value;

/// Drops empty lists and free maps; an empty structure, such as `emptyDir: {}`, says something.
pub(super) fn leave_out(value: &mut Value, schema: &Type) {
    match schema.inside() {
        Inside::List { of, .. } => {
            value.as_array_mut().into_iter().flatten().for_each(|item| leave_out(item, of));
        }
        Inside::Map { fields, others } => {
            let Some(map) = value.as_object_mut() else { return };
            map.retain(|name, value| {
                let Some((of, declared)) = Type::entry(fields, others, name) else { return true };
                leave_out(value, of);
                !declared || !is_empty(name, value, of)
            });
        }
        Inside::Text
        | Inside::Number
        | Inside::Bool
        | Inside::Quantity
        | Inside::Scalar
        | Inside::Free => {}
    }
}

/// Fields that the server's types leave out when they are zero, false or the empty text; of the
/// others most are pointers, for which zero says something.
const LEFT_OUT: [&str; 19] = [
    "description",
    "globalDefault",
    "healthCheckNodePort",
    "hostIP",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "paused",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "subPath",
    "tty",
    "unschedulable",
    "value",
];

fn is_empty(name: &str, value: &Value, schema: &Type) -> bool {
    match (schema.inside(), value) {
        (Inside::Text, Value::String(text)) => text.is_empty() && LEFT_OUT.contains(&name),
        (Inside::Bool, Value::Bool(value)) => !value && LEFT_OUT.contains(&name),
        (Inside::Number, Value::Number(number)) => {
            number.as_i64() == Some(0) && LEFT_OUT.contains(&name) && name != "value"
        }
        (Inside::List { .. }, Value::Array(items)) => items.is_empty(),
        (Inside::Map { others: Some(_), .. }, Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

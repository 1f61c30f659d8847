//! RFC 6902: add, remove, replace, move, copy, test.

use crate::status::Status;
use serde_json::{Value, json};

/// The server says no more than this, whatever was wrong.
fn refuse() -> Status {
    let text = "the server rejected our request due to an error in our request";
    Status { details: Some(Box::new(json!({}))), ..Status::new(422, "Invalid", text) }
}

/// Applies the operations in order; any failure fails the whole patch.
pub(crate) fn json_patch(target: &Value, list: &Value) -> Result<Value, Status> {
    let operations =
        list.as_array().ok_or_else(|| Status::bad_request("a JSON patch is a list"))?;
    let mut out = target.clone();
    for operation in operations {
        let path = operation["path"].as_str().unwrap_or_default();
        let from = operation["from"].as_str().unwrap_or_default();
        let value = operation.get("value").cloned().unwrap_or(Value::Null);
        match operation["op"].as_str().unwrap_or_default() {
            "add" => add(&mut out, path, value)?,
            "remove" => {
                remove(&mut out, path)?;
            }
            "replace" => {
                if out.pointer(path).is_some() {
                    remove(&mut out, path)?;
                }
                add(&mut out, path, value)?;
            }
            "test" => {
                let found = out.pointer(path).unwrap_or(&Value::Null);
                if *found != value {
                    return Err(refuse());
                }
            }
            "move" => {
                let value = remove(&mut out, from)?;
                add(&mut out, path, value)?;
            }
            "copy" => {
                let value = out.pointer(from).cloned().ok_or_else(refuse)?;
                add(&mut out, path, value)?;
            }
            other => return Err(Status::bad_request(format!("Unexpected kind: {other}"))),
        }
    }
    Ok(out)
}

fn split(path: &str) -> (&str, String) {
    let (parent, last) = path.rsplit_once('/').unwrap_or_default();
    (parent, last.replace("~1", "/").replace("~0", "~"))
}

fn add(out: &mut Value, path: &str, value: Value) -> Result<(), Status> {
    if path.is_empty() {
        *out = value;
        return Ok(());
    }
    let (parent, last) = split(path);
    match out.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) if last == "-" => {
            items.push(value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let index = last.parse().ok().filter(|index| *index <= items.len());
            items.insert(index.ok_or_else(refuse)?, value);
            Ok(())
        }
        _ => Err(refuse()),
    }
}

fn remove(out: &mut Value, path: &str) -> Result<Value, Status> {
    let (parent, last) = split(path);
    let removed = match out.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(&last),
        Some(Value::Array(items)) => {
            let index = last.parse().ok().filter(|index| *index < items.len());
            index.map(|index: usize| items.remove(index))
        }
        _ => None,
    };
    removed.ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_operation_does_what_the_rfc_says() {
        let target = json!({"a": {"b~c": [1, 2]}, "d/e": 3});
        let patch = json!([
            {"op": "test", "path": "/a/b~0c/0", "value": 1},
            {"op": "add", "path": "/a/b~0c/1", "value": 9},
            {"op": "add", "path": "/a/b~0c/-", "value": 10},
            {"op": "remove", "path": "/d~1e"},
            {"op": "copy", "from": "/a/b~0c", "path": "/f"},
            {"op": "move", "from": "/f/0", "path": "/g"},
            {"op": "replace", "path": "/g", "value": "x"},
        ]);
        let out = json_patch(&target, &patch).unwrap();
        assert_eq!(out, json!({"a": {"b~c": [1, 9, 2, 10]}, "f": [9, 2, 10], "g": "x"}));
        let failing = json!([{"op": "test", "path": "/g", "value": 1}]);
        assert_eq!(json_patch(&target, &failing).unwrap_err().code, 422);
        let nowhere = json!([{"op": "remove", "path": "/x/y"}]);
        assert_eq!(json_patch(&target, &nowhere).unwrap_err().code, 422);
    }
}

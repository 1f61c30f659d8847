//! Three-way merge for kinds whose API server cannot apply: what was wanted before, what is there, what is wanted now.
//!
//! What was wanted before stands on the object itself, as JSON pointers without values. Without a schema a list is one
//! value. Fields of others stay, and who owns what is not known here: that is what server-side apply is for.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::ownership::Ownership;

/// Annotation with the fields that we set: a JSON list of pointers.
const FIELDS: &str = "tidegate.dev/fields";
/// What identifies an object, and what its server fills in.
const NOT_OURS: [&str; 10] = [
    "/apiVersion",
    "/kind",
    "/status",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/managedFields",
];

/// What to write so that `live` becomes `body`; equal to `live` when nothing is to be written. `wanted` is the body
/// before fields were left to others: those are neither written nor taken away.
pub fn three_way(live: &Value, body: &Value, wanted: &Value, ownership: &Ownership) -> Value {
    let now = fields(body);
    let left = fields(wanted);
    let mut merged = live.clone();
    for pointer in
        before(live, ownership).iter().filter(|p| !now.contains(*p) && !left.contains(*p))
    {
        // A value that became a map, or the other way round, is replaced below.
        let within = |other: &String| {
            other.strip_prefix(pointer.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if !now.iter().any(within) {
            remove(&mut merged, pointer);
        }
    }
    let mut laid = body.clone();
    for name in ["uid", "resourceVersion", "managedFields"] {
        laid.get_mut("metadata").and_then(Value::as_object_mut).map(|meta| meta.remove(name));
    }
    let pointers: Vec<&String> = now.iter().collect();
    let path = laid.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(meta) = path {
        let notes = meta.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(notes) = notes.as_object_mut() {
            notes.insert(FIELDS.to_owned(), json!(json!(pointers).to_string()));
        }
    }
    lay(&mut merged, &laid);
    merged
}

/// The fields that we set the last time; nothing on the word of an object that is not marked as ours.
fn before(live: &Value, ownership: &Ownership) -> BTreeSet<String> {
    let meta = live.get("metadata");
    let text = |map: &str, name: &str| meta?.get(map)?.get(name)?.as_str();
    if text("labels", Ownership::LABEL) != Some(ownership.label()) {
        return BTreeSet::new();
    }
    let noted = text("annotations", FIELDS).and_then(|text| serde_json::from_str(text).ok());
    let noted: BTreeSet<String> = noted.unwrap_or_default();
    noted.into_iter().filter(|pointer| may_be_ours(pointer)).collect()
}

fn may_be_ours(pointer: &str) -> bool {
    let inside = |name: &&str| {
        pointer.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    pointer.starts_with('/') && !NOT_OURS.iter().any(inside)
}

/// Pointers of all values that a body sets: lists whole, maps field by field.
fn fields(body: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(body, "", &mut found);
    found.retain(|pointer| may_be_ours(pointer));
    found
}

fn walk(value: &Value, base: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(inner, &format!("{base}/{name}"), found);
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::String(_)
        | Value::Number(_)
        | Value::Bool(_)
        | Value::Null => drop(found.insert(base.to_owned())),
    }
}

/// Takes a field away, and the maps that are empty without it.
fn remove(object: &mut Value, pointer: &str) {
    let mut at = pointer;
    while let Some((parent, name)) =
        at.rsplit_once('/').filter(|(parent, _)| !parent.is_empty() || at == pointer)
    {
        let name = name.replace("~1", "/").replace("~0", "~");
        let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
        map.remove(&name);
        if !map.is_empty() || parent == "/metadata" {
            return;
        }
        at = parent;
    }
}

/// Lays one value over another: maps field by field, all else whole, and nothing where it says the same.
fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                match under.get_mut(name) {
                    Some(inner) => lay(inner, value),
                    None => drop(under.insert(name.clone(), value.clone())),
                }
            }
        }
        (under, over) if !covers(under, over) => *under = over.clone(),
        _ => {}
    }
}

/// Whether `live` says all that `wanted` says; a server adds defaults also within lists.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| live.get(name).is_some_and(|l| covers(l, value)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| covers(l, w))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use model::AppName;

    use super::*;

    fn ownership() -> Ownership {
        Ownership::of(&AppName::parse("web").expect("a name"))
    }

    fn body(spec: &Value) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a", "uid": "u",
            "labels": {"tidegate.dev/app": "web"}}, "spec": spec})
    }

    /// What is live after a body was written, and something else by others.
    fn after(spec: &Value, others: &Value) -> Value {
        let empty = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}});
        let mut live = three_way(&empty, &body(spec), &body(spec), &ownership());
        lay(&mut live, others);
        live
    }

    fn merged(live: &Value, spec: &Value) -> Value {
        three_way(live, &body(spec), &body(spec), &ownership())
    }

    #[test]
    fn what_we_dropped_goes_and_what_others_set_stays() {
        let others =
            json!({"spec": {"theirs": 1, "deep": {"theirs": 2}}, "status": {"ready": true}});
        let live = after(
            &json!({"ours": 1, "gone": 2, "deep": {"gone": 3}, "only": {"gone": 4}}),
            &others,
        );
        let now = merged(&live, &json!({"ours": 5, "new": 6}));
        assert_eq!(now["spec"], json!({"ours": 5, "new": 6, "theirs": 1, "deep": {"theirs": 2}}));
        assert_eq!(now["status"], json!({"ready": true}));
        assert_eq!(now["metadata"]["resourceVersion"], json!("7"));
    }

    #[test]
    fn nothing_is_written_when_everything_is_there_with_defaults_of_the_server() {
        let spec = json!({"ports": [{"port": 80}], "name": "x"});
        let live = after(&spec, &json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}));
        assert_eq!(merged(&live, &spec), live);
        let more = json!({"ports": [{"port": 80}, {"port": 81}], "name": "x"});
        assert_eq!(merged(&live, &more)["spec"]["ports"], more["ports"]);
    }

    #[test]
    fn a_field_that_is_left_to_others_is_neither_written_nor_taken_away() {
        let live = after(&json!({"replicas": 3, "name": "x"}), &json!({"spec": {"replicas": 9}}));
        let (shaped, wanted) =
            (body(&json!({"name": "x"})), body(&json!({"replicas": 3, "name": "x"})));
        let now = three_way(&live, &shaped, &wanted, &ownership());
        assert_eq!(now["spec"], json!({"replicas": 9, "name": "x"}));
    }

    #[test]
    fn an_object_of_others_and_a_list_that_was_meddled_with_lose_nothing() {
        let mut live = after(&json!({"name": "x", "more": 1}), &json!({}));
        live["metadata"]["annotations"][FIELDS] =
            json!("[\"/metadata/name\", \"/spec/none\", \"nonsense\", \"/status\"]");
        live["status"] = json!({"ready": true});
        let now = merged(&live, &json!({"name": "x"}));
        assert_eq!((&now["metadata"]["name"], &now["status"]), (&json!("a"), &live["status"]));
        let mut foreign = after(&json!({"name": "x", "more": 1}), &json!({}));
        foreign["metadata"]["labels"]["tidegate.dev/app"] = json!("other");
        assert_eq!(merged(&foreign, &json!({"name": "x"}))["spec"]["more"], json!(1));
    }

    #[test]
    fn a_value_may_become_a_map_and_the_other_way_round() {
        let live = after(&json!({"a": 1, "b": {"c": 2}}), &json!({}));
        let now = merged(&live, &json!({"a": {"d": 3}, "b": 4}));
        assert_eq!(now["spec"], json!({"a": {"d": 3}, "b": 4}));
    }
}

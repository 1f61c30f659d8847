//! The common end of every change: what may change, what the server adds, and is it a change at all.

use super::{Done, Write, admit::complete};
use crate::{
    defaults::{self, drop_nulls},
    fields,
    kinds::Kind,
    managed,
    state::{Place, State},
    status::{Cause, Status},
    validate,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A change on its way.
pub(super) struct Change {
    pub(super) live: Value,
    pub(super) new: Value,
    /// Are the owners of fields settled already (by an apply)?
    pub(super) applied: bool,
    pub(super) warnings: Vec<String>,
}

pub(super) fn finish(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    change: Change,
    write: &Write,
) -> Result<Done, Status> {
    let Change { live, mut new, applied, warnings } = change;
    complete(kind, &mut new);
    keep_what_is_not_theirs(kind, &live, &mut new, &write.subresource);
    check_metadata(kind, &live, &new, place)?;
    keep_identity(&live, &mut new);
    if !applied {
        let (now, api_version) = (state.clock.stamp(), kind.api_version());
        let writer = write.writer(kind, &api_version, &now);
        managed::record(&live, &mut new, &writer, &kind.schema);
    }
    defaults::on_update(kind, &live, &mut new);
    if write.subresource != "status" {
        validate::change(kind, &live, &new)?;
    }
    count(kind, &live, &mut new);
    let unchanged = fields::same(&managed::timeless(&live), &managed::timeless(&new));
    if unchanged {
        return Ok(Done { object: Arc::new(live), created: false, warnings });
    }
    if write.dry_run {
        return Ok(Done { object: Arc::new(new), created: false, warnings });
    }
    let object = if is_released(&new) {
        state.take(kind, place, &new);
        Arc::new(new)
    } else {
        state.put(kind, new)
    };
    Ok(Done { object, created: false, warnings })
}

/// Being deleted, nothing holds it and no grace is left.
fn is_released(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let held = metadata["finalizers"].as_array().is_some_and(|list| !list.is_empty())
        || object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let grace = metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
    metadata["deletionTimestamp"].is_string() && !held && grace == 0
}

/// The status belongs to `/status`, all else to the object itself.
fn keep_what_is_not_theirs(kind: &Kind, live: &Value, new: &mut Value, subresource: &str) {
    if subresource != "status" {
        if kind.status {
            take_over(live, new, "status");
        }
        return;
    }
    let names: Vec<String> = [live, new]
        .iter()
        .filter_map(|object| object.as_object())
        .flat_map(|map| map.keys().cloned())
        .filter(|name| name != "status" && name != "metadata")
        .collect();
    for name in names {
        take_over(live, new, &name);
    }
    // Of the metadata custom kinds keep all, built-in ones little.
    match kind.kind.as_str() {
        _ if kind.custom.is_some() => {
            let entries = new["metadata"]["managedFields"].take();
            new["metadata"] = live["metadata"].clone();
            new["metadata"]["managedFields"] = entries;
            drop_nulls(&mut new["metadata"]);
        }
        "Deployment" => take_over(&live["metadata"], &mut new["metadata"], "labels"),
        "Pod" => take_over(&live["metadata"], &mut new["metadata"], "ownerReferences"),
        _ => {}
    }
}

/// The field as it was.
fn take_over(live: &Value, new: &mut Value, field: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match live.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.shift_remove(field),
    };
}

fn check_metadata(kind: &Kind, live: &Value, new: &Value, place: &Place) -> Result<(), Status> {
    let uid = &new["metadata"]["uid"];
    if uid.is_string() && *uid != "" && *uid != live["metadata"]["uid"] {
        let cause = Cause::invalid("metadata.uid", uid, "field is immutable");
        return Err(Status::invalid(kind, &place.1, &[cause]));
    }
    if live["metadata"]["deletionTimestamp"].is_string() {
        let list = |object: &Value| -> Vec<Value> {
            object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default()
        };
        let before = list(live);
        let added: Vec<String> = list(new)
            .iter()
            .filter(|name| !before.contains(name))
            .map(|name| format!("\"{}\"", name.as_str().unwrap_or_default()))
            .collect();
        if !added.is_empty() {
            let text = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            let cause = Cause::forbidden("metadata.finalizers", &text);
            return Err(Status::invalid(kind, &place.1, &[cause]));
        }
    }
    Ok(())
}

/// What only the server writes comes from the live object.
fn keep_identity(live: &Value, new: &mut Value) {
    const KEPT: [&str; 9] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "generateName",
    ];
    if !new["metadata"].is_object() {
        new["metadata"] = json!({});
    }
    let Some(metadata) = new["metadata"].as_object_mut() else { return };
    for field in KEPT {
        match live["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.shift_remove(field),
        };
    }
}

/// The generation counts changes of what was asked for: neither metadata nor status.
fn count(kind: &Kind, live: &Value, new: &mut Value) {
    if !kind.counts {
        return;
    }
    let asked = |object: &Value| -> Value {
        let mut asked = object.clone();
        if let Some(map) = asked.as_object_mut() {
            map.shift_remove("metadata");
            if kind.status {
                map.shift_remove("status");
            }
        }
        asked
    };
    if !fields::same(&asked(live), &asked(new)) {
        let generation = live["metadata"]["generation"].as_u64().unwrap_or(0);
        new["metadata"]["generation"] = json!(generation + 1);
    }
}

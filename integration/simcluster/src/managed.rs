//! `metadata.managedFields`: who set which field, and what an apply or an update makes of it.

use crate::{
    clock,
    fields::{Set, compare, merge, remove, same, set_of, show},
    schema::Type,
    status::Status,
};
use serde_json::{Value, json};

/// Who writes, in which way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: &'a str,
    /// The server's time, RFC 3339 in whole seconds.
    pub(crate) now: &'a str,
    /// Does the kind keep its status apart?
    pub(crate) has_status: bool,
    pub(crate) custom: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    time: String,
    subresource: String,
    fields: Set,
}

impl Entry {
    fn new(writer: &Writer<'_>, operation: &str, fields: Set) -> Entry {
        Entry {
            manager: writer.manager.to_owned(),
            operation: operation.to_owned(),
            api_version: writer.api_version.to_owned(),
            time: writer.now.to_owned(),
            subresource: writer.subresource.to_owned(),
            fields,
        }
    }

    fn is_of(&self, writer: &Writer<'_>, operation: &str) -> bool {
        self.manager == writer.manager
            && self.operation == operation
            && self.subresource == writer.subresource
            && (operation == "Apply" || self.api_version == writer.api_version)
    }

    /// As conflict texts name a manager.
    fn shown(&self) -> String {
        let mut text = format!("\"{}\"", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        if self.operation == "Update" {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn entries_of(object: &Value) -> Vec<Entry> {
    let listed = object["metadata"]["managedFields"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    listed
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"].is_string() || entry["fieldsV1"].is_object())
        .map(|entry| Entry {
            manager: text(&entry["manager"]),
            operation: text(&entry["operation"]),
            api_version: text(&entry["apiVersion"]),
            time: text(&entry["time"]),
            subresource: text(&entry["subresource"]),
            fields: Set::from_value(&entry["fieldsV1"]),
        })
        .collect()
}

fn store(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |e: &Entry| {
            (e.operation.clone(), clock::parse(&e.time), e.manager.clone(), e.api_version.clone())
        };
        key(a).cmp(&key(b)).then_with(|| a.subresource.cmp(&b.subresource))
    });
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    metadata.shift_remove("managedFields");
    if entries.is_empty() {
        return;
    }
    let list = entries.into_iter().map(|entry| {
        let mut value = json!({
            "manager": entry.manager,
            "operation": entry.operation,
            "apiVersion": entry.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": entry.fields.to_value(),
        });
        if !entry.subresource.is_empty() {
            value["subresource"] = json!(entry.subresource);
        }
        if entry.time.is_empty() {
            value.as_object_mut().and_then(|value| value.shift_remove("time"));
        }
        value
    });
    metadata.insert("managedFields".to_owned(), list.collect());
}

fn without_entries(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    object
}

/// Fields that the server keeps for itself; nobody owns them.
const NOBODYS: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// What this writer may own at all: not the status through the object, only it through `status`.
fn ownable(mut set: Set, writer: &Writer<'_>) -> Set {
    for path in NOBODYS {
        set.without(path);
    }
    match writer.subresource {
        "status" => {
            set.keep_top(|name| name == "status" || (name == "metadata" && !writer.custom));
        }
        _ if writer.has_status => set.without_tree(&["status"]),
        _ => {}
    }
    set
}

/// What a new object is compared with: for built-in kinds the server's empty structures are there
/// from the start, so that nobody owns `spec.template` as such.
pub(crate) fn nothing(custom: bool) -> Value {
    if custom {
        return json!({"metadata": {}});
    }
    let template = json!({"metadata": {}, "spec": {"containers": []}});
    let spec = json!({
        "containers": [], "template": template, "strategy": {}, "updateStrategy": {},
        "jobTemplate": {"metadata": {}, "spec": {"template": template}}, "scaleTargetRef": {},
        "podSelector": {},
    });
    json!({"metadata": {}, "spec": spec, "status": {}, "rules": null})
}

/// `managedFields: [{}]` asks to forget all managers.
fn is_reset(object: &Value) -> bool {
    object["metadata"]["managedFields"].as_array().is_some_and(|list| *list == [json!({})])
}

/// Records in `new` what an update (or, with an empty `live`, a create) changed.
pub(crate) fn record(live: &Value, new: &mut Value, writer: &Writer<'_>, schema: &Type) {
    let creates = live["metadata"]["uid"].is_null();
    let asked = entries_of(new);
    let mut entries = match () {
        () if is_reset(new) => Vec::new(),
        () if asked.is_empty() || !writer.subresource.is_empty() => entries_of(live),
        () => asked,
    };
    let (live, bare) = (without_entries(live), without_entries(new));
    *new = bare;
    if entries.is_empty() && !creates {
        return;
    }
    let changes = compare(&live, new, schema);
    let mine = ownable(changes.set, writer);
    let removed = ownable(changes.removed, writer);
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&mine).difference(&removed);
    }
    // A scale of zero is left out of what was written, so nobody owns it.
    let nothing_written = writer.subresource == "scale" && asks_for_none(new);
    if !mine.is_empty() && !nothing_written {
        match entries.iter_mut().find(|entry| entry.is_of(writer, "Update")) {
            Some(entry) => {
                entry.fields = entry.fields.union(&mine);
                writer.now.clone_into(&mut entry.time);
            }
            // The server forgets when a field was taken through `scale`.
            None if writer.subresource == "scale" => {
                entries.push(Entry::new(&Writer { now: "", ..*writer }, "Update", mine));
            }
            None => entries.push(Entry::new(writer, "Update", mine)),
        }
    }
    store(new, entries);
}

fn asks_for_none(object: &Value) -> bool {
    object["spec"]["replicas"].as_i64().unwrap_or(0) == 0
}

/// Server-side apply: `config` over `live`, fields no longer applied removed, owners settled.
pub(crate) fn apply(
    live: &Value,
    config: &Value,
    writer: &Writer<'_>,
    schema: &Type,
    force: bool,
) -> Result<Value, Status> {
    let mut entries = entries_of(live);
    let live_bare = without_entries(live);
    if entries.is_empty() && !live["metadata"]["uid"].is_null() {
        let before = Writer { manager: "before-first-apply", subresource: "", ..*writer };
        let empty = nothing(writer.custom);
        let fields = ownable(compare(&empty, &live_bare, schema).set, &before);
        entries.push(Entry::new(&before, "Update", fields));
    }
    let merged = merge(&live_bare, config, schema);
    let applied = ownable(set_of(config, schema), writer);
    let last = entries.iter().position(|entry| entry.is_of(writer, "Apply"));
    let (last, last_time) = last
        .map(|index| entries.remove(index))
        .map_or_else(Default::default, |entry| (entry.fields, entry.time));
    let all = entries.iter().fold(set_of(config, schema), |all, entry| all.union(&entry.fields));
    let mut new = pruned(&merged, &last, &all, schema);
    let difference = compare(&live_bare, &new, schema);
    let (changed, removed) = (ownable(difference.set, writer), ownable(difference.removed, writer));
    let conflicts: Vec<(usize, Set)> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (index, entry.fields.intersection(&changed)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(refuse(&entries, &conflicts));
    }
    for (index, set) in &conflicts {
        entries[*index].fields = entries[*index].fields.difference(set);
    }
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&removed);
    }
    // An apply that changes no value leaves the time alone; a first one has none then.
    let now = if same(&live_bare, &new) { &last_time } else { writer.now };
    entries.push(Entry::new(&Writer { now, ..*writer }, "Apply", applied));
    store(&mut new, entries);
    Ok(new)
}

/// Removes what this manager applied last time, unless someone (itself included) still owns it.
fn pruned(merged: &Value, last: &Set, owned: &Set, schema: &Type) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let named = |set: &Set| set.with_named(schema);
    let cut = remove(merged, &named(last), schema);
    let everything = set_of(merged, schema);
    let keep = named(&set_of(&cut, schema)).union(&named(owned));
    let cut = remove(merged, &named(&everything).difference(&keep), schema);
    // Only what this manager had applied may go: items nobody owns stay.
    let kept = named(&set_of(&cut, schema));
    let gone = named(&everything).difference(&kept).intersection(&named(last));
    remove(merged, &gone, schema)
}

fn refuse(entries: &[Entry], conflicts: &[(usize, Set)]) -> Status {
    let mut found: Vec<(String, String)> = Vec::new();
    for (index, set) in conflicts {
        let shown = entries[*index].shown();
        found.extend(set.paths().iter().map(|path| (shown.clone(), show(path))));
    }
    found.sort();
    let text = match found.as_slice() {
        [(manager, path)] => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        }
        many => {
            let mut lines = Vec::new();
            let mut current = "";
            for (manager, path) in many {
                if manager != current {
                    lines.push(format!("conflicts with {manager}:"));
                    current = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let causes: Vec<(String, String)> = found
        .into_iter()
        .map(|(manager, path)| (format!("conflict with {manager}"), path))
        .collect();
    Status::apply_conflict(text, &causes)
}

/// The object without the times of its entries: two writes that differ only there are the same.
pub(crate) fn timeless(object: &Value) -> Value {
    let mut object = object.clone();
    let listed = object["metadata"].get_mut("managedFields").and_then(Value::as_array_mut);
    for entry in listed.into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.shift_remove("time");
        }
    }
    object
}

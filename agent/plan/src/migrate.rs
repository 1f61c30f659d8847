//! Changes of the owner of fields: from client-side apply, from another delivery tool, from another
//! App. All are one JSON patch under the version that was read, so that no other write slips between.
//!
//! An object that client-side apply made keeps every field that a later release drops, because the old
//! manager still owns it. Hence its fields are moved to us, once, before the first apply.

use model::AppName;
use serde_json::{Map, Value, json};

use crate::conflict::{Owner, owner_of};
use crate::fields::FieldSet;
use crate::ownership::Ownership;

/// What client-side apply leaves behind.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Managers of client-side apply, and of writes before managed fields were kept.
const CLIENT_SIDE: &[&str] = &["kubectl", "before-first-apply"];

/// Whose fields become ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrate {
    /// Managers by name, beside those of client-side apply.
    pub managers: Vec<String>,
    /// Also those of other delivery tools: only when the author asks to adopt from them.
    pub delivery_tools: bool,
}

/// Whether the manager of one entry is moved to us.
pub(crate) fn moves(entry: &Value, ours: &str, migrate: &Migrate) -> bool {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let manager = text("manager");
    if manager == ours || !text("subresource").is_empty() {
        return false;
    }
    let client = CLIENT_SIDE.contains(&manager) || manager.starts_with("kubectl-client-side-apply");
    let by_hand = manager.starts_with("kubectl-") && !manager.starts_with("kubectl-rollout");
    let update = text("operation") == "Update";
    let tool = migrate.delivery_tools && owner_of(manager) == Owner::DeliveryTool;
    let named = migrate.managers.iter().any(|m| m == manager);
    (update && (client || by_hand)) || tool || named
}

/// Whether an object of ours still has fields with a manager that [`migrate_patch`] would move.
pub fn migrates(live: &Value, ownership: &Ownership, migrate: &Migrate) -> bool {
    entries(live).iter().any(|entry| moves(entry, ownership.manager(), migrate))
}

/// JSON patch that moves the fields of client-side apply (and of whom `migrate` names) to our manager,
/// and removes the copy of the object that client-side apply left. `None` when there is nothing to
/// move. On 409 read again and make it anew.
pub fn migrate_patch(live: &Value, ownership: &Ownership, migrate: &Migrate) -> Option<Vec<Value>> {
    if !migrates(live, ownership, migrate) {
        return None;
    }
    let mut rest = Vec::new();
    let mut fields = FieldSet::new();
    let mut template: Option<Value> = None;
    for entry in entries(live) {
        let ours = is_ours(entry, ownership.manager());
        if ours || moves(entry, ownership.manager(), migrate) {
            fields = fields.union(&FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null)));
            if ours || template.is_none() {
                template = Some(entry.clone());
            }
        } else {
            rest.push(entry.clone());
        }
    }
    // The copy goes with this very patch; owning it would only bring a leaf that is not there.
    fields.remove(&crate::path::parts(&["metadata", "annotations", LAST_APPLIED]));
    rest.push(entry_of(template?, ownership.manager(), &fields));
    let mut patch = vec![lock(live)?];
    if annotation(live, LAST_APPLIED) {
        let pointer = format!("/metadata/annotations/{}", escaped(LAST_APPLIED));
        patch.push(json!({"op": "remove", "path": pointer}));
    }
    patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": rest}));
    Some(patch)
}

/// JSON patch that hands an object of App `from` over to ours: the label, and the fields with their
/// manager. The object keeps its uid, and neither App's deletion nor conflict sees it in between.
/// `None` when it is not `from`'s.
pub fn transfer_patch(live: &Value, ownership: &Ownership, from: &AppName) -> Option<Vec<Value>> {
    let label = live.pointer("/metadata/labels")?.get(Ownership::LABEL)?.as_str()?;
    if label != from.as_str() {
        return None;
    }
    let theirs = Ownership::of(from);
    let migrate = Migrate { managers: vec![theirs.manager().to_owned()], delivery_tools: false };
    let pointer = format!("/metadata/labels/{}", escaped(Ownership::LABEL));
    let relabel = json!({"op": "replace", "path": pointer, "value": ownership.label()});
    let mut patch = match migrate_patch(live, ownership, &migrate) {
        Some(patch) => patch,
        None => vec![lock(live)?],
    };
    patch.insert(1, relabel);
    Some(patch)
}

/// JSON patch for an object whose definition dropped the version that our fields are kept in: the
/// answer to "field not declared in schema", to be tried once.
pub fn rewrite_version_patch(
    live: &Value,
    ownership: &Ownership,
    api_version: &str,
) -> Option<Vec<Value>> {
    let mut changed = false;
    let mut all = entries(live).to_vec();
    for entry in all.iter_mut().filter(|entry| is_ours(entry, ownership.manager())) {
        if entry.get("apiVersion").and_then(Value::as_str) != Some(api_version) {
            entry["apiVersion"] = json!(api_version);
            changed = true;
        }
    }
    let replace = json!({"op": "replace", "path": "/metadata/managedFields", "value": all});
    if changed { Some(vec![lock(live)?, replace]) } else { None }
}

fn entries(live: &Value) -> &[Value] {
    live.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_ours(entry: &Value, manager: &str) -> bool {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    text("manager") == manager && text("operation") == "Apply" && text("subresource").is_empty()
}

fn entry_of(template: Value, manager: &str, fields: &FieldSet) -> Value {
    let Value::Object(mut entry) = template else { return Value::Object(Map::new()) };
    entry.insert("manager".to_owned(), json!(manager));
    entry.insert("operation".to_owned(), json!("Apply"));
    entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
    entry.insert("fieldsV1".to_owned(), fields.to_value());
    Value::Object(entry)
}

/// The patch holds for the version that was read, and no other.
fn lock(live: &Value) -> Option<Value> {
    let version = live.pointer("/metadata/resourceVersion")?.as_str()?;
    Some(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}))
}

fn annotation(live: &Value, name: &str) -> bool {
    live.pointer("/metadata/annotations").is_some_and(|all| all.get(name).is_some())
}

/// A name within a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

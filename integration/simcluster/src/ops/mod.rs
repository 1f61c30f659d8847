//! The verbs on a cluster's state: what every write goes through, whoever sends it.
//!
//! Knows nothing of HTTP. People at the side door, the controllers and the API all call these.

mod admit;
mod delete;
mod finish;
mod scale;

pub(crate) use delete::{DeleteOptions, Propagation, delete, drop_finalizer, release};
pub(crate) use scale::{of_object as scale_of, onto_object as with_scale};

use crate::{
    fields,
    kinds::Kind,
    managed,
    state::{Place, State},
    status::{Cause, Status},
    validate::{self, Validation},
};
use admit::{admit_create, check_body};
use finish::{Change, finish};
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest name of a field manager, in characters.
const MANAGER_LIMIT: usize = 128;

/// How a write is meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Write {
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) subresource: String,
    pub(crate) validation: Validation,
    pub(crate) force: bool,
}

impl Write {
    /// A write by this manager through this subresource (empty for the object itself).
    pub(crate) fn by(manager: &str, subresource: &str) -> Write {
        let (manager, subresource) = (manager.to_owned(), subresource.to_owned());
        Write { manager, subresource, ..Write::default() }
    }

    fn writer<'a>(
        &'a self,
        kind: &Kind,
        api_version: &'a str,
        now: &'a str,
    ) -> managed::Writer<'a> {
        managed::Writer {
            manager: &self.manager,
            api_version,
            subresource: &self.subresource,
            now,
            has_status: kind.status,
        }
    }
}

/// What a write led to.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) object: Arc<Value>,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

/// The object with the apiVersion of the version it is read in.
pub(crate) fn in_version(object: &Value, kind: &Kind) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(kind.api_version());
    object
}

fn live(state: &State, kind: &Kind, place: &Place) -> Result<Value, Status> {
    let found = state.get(kind, place);
    found.map(|o| in_version(&o, kind)).ok_or_else(|| Status::not_found(kind, &place.1))
}

/// Creates an object (POST).
pub(crate) fn create(
    state: &mut State,
    kind: &Kind,
    namespace: &str,
    mut object: Value,
    write: &Write,
) -> Result<Done, Status> {
    check_body(kind, &object)?;
    let warnings = validate::unknown_fields(kind, &mut object, write.validation)?;
    if object["metadata"]["name"].is_null()
        && let Some(prefix) = object["metadata"]["generateName"].as_str()
    {
        let name = format!("{prefix}{}", state.suffix(5));
        object["metadata"]["name"] = json!(name);
    }
    let mut object = admit_create(state, kind, namespace, object)?;
    let (now, api_version) = (state.clock.stamp(), kind.api_version());
    let empty = json!({"metadata": {}});
    managed::record(&empty, &mut object, &write.writer(kind, &api_version, &now), &kind.schema);
    let object = match write.dry_run {
        true => Arc::new(object),
        false => state.put(kind, object),
    };
    Ok(Done { object, created: true, warnings })
}

/// Replaces an object (PUT), or the part of it that a subresource names.
pub(crate) fn update(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    mut object: Value,
    write: &Write,
) -> Result<Done, Status> {
    check_body(kind, &object)?;
    let live = live(state, kind, place)?;
    let warnings = validate::unknown_fields(kind, &mut object, write.validation)?;
    if kind.custom.is_some()
        && object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty)
    {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(Status::invalid(kind, &place.1, &[cause]));
    }
    same_identity(kind, &live, &object, place)?;
    let change = Change { live, new: object, applied: false, warnings };
    finish(state, kind, place, change, write)
}

/// Changes an object by a function of its present state (the patches other than apply).
pub(crate) fn modify(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    write: &Write,
    edit: impl FnOnce(&Value) -> Result<Value, Status>,
) -> Result<Done, Status> {
    let live = live(state, kind, place)?;
    let mut new = edit(&live)?;
    check_body(kind, &new)?;
    let warnings = validate::unknown_fields(kind, &mut new, write.validation)?;
    same_identity(kind, &live, &new, place)?;
    let change = Change { live, new, applied: false, warnings };
    finish(state, kind, place, change, write)
}

/// Server-side apply.
pub(crate) fn apply(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    mut config: Value,
    write: &Write,
) -> Result<Done, Status> {
    check_manager(write)?;
    check_type(kind, &config)?;
    check_body(kind, &config)?;
    if config["metadata"].get("managedFields").is_some_and(|value| !value.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let found = state.get(kind, place).map(|object| in_version(&object, kind));
    let namespace = config["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let metadata = config["metadata"].as_object_mut();
    if let Some(metadata) = metadata {
        metadata.entry("name").or_insert_with(|| json!(place.1));
        if kind.namespaced {
            metadata.entry("namespace").or_insert_with(|| json!(place.0));
        }
    }
    same_name(&config, place)?;
    typed(kind, &config, &namespace, place)?;
    base64(kind, &config, &namespace, place)?;
    let (now, api_version) = (state.clock.stamp(), kind.api_version());
    let writer = write.writer(kind, &api_version, &now);
    let Some(live) = found else {
        return apply_new(state, kind, place, &config, write);
    };
    same_identity(kind, &live, &config, place)?;
    let new = managed::apply(&live, &config, &writer, &kind.schema, write.force)?;
    let change = Change { live, new, applied: true, warnings: Vec::new() };
    finish(state, kind, place, change, write)
}

fn apply_new(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    config: &Value,
    write: &Write,
) -> Result<Done, Status> {
    if let Some(uid) = config["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
        let text = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict(kind, &place.1, &text));
    }
    if !write.subresource.is_empty() {
        return Err(Status::not_found(kind, &place.1));
    }
    let (now, api_version) = (state.clock.stamp(), kind.api_version());
    let writer = write.writer(kind, &api_version, &now);
    let empty = json!({"metadata": {}});
    let merged = managed::apply(&empty, config, &writer, &kind.schema, write.force)?;
    let entries = merged["metadata"]["managedFields"].clone();
    let mut object = admit_create(state, kind, &place.0, merged)?;
    object["metadata"]["managedFields"] = entries;
    let object = match write.dry_run {
        true => Arc::new(object),
        false => state.put(kind, object),
    };
    Ok(Done { object, created: true, warnings: Vec::new() })
}

fn check_manager(write: &Write) -> Result<(), Status> {
    let refuse = |cause| Err(Status::invalid_options("PatchOptions", &cause));
    if write.manager.is_empty() {
        return refuse(Cause::required("fieldManager", "is required for apply patch"));
    }
    if write.manager.chars().count() > MANAGER_LIMIT {
        return refuse(Cause::too_long("fieldManager", MANAGER_LIMIT));
    }
    Ok(())
}

/// A body that does not fit its type is a plain 500 on apply, as on a real server. The text names the namespace only if the body does.
fn typed(kind: &Kind, config: &Value, namespace: &str, place: &Place) -> Result<(), Status> {
    let found = fields::check(config, &kind.schema);
    let list = match found.as_slice() {
        [] => return Ok(()),
        [(path, text)] => format!("{path}: {text}"),
        many => {
            let lines: Vec<String> =
                many.iter().map(|(path, text)| format!("\n  {path}: {text}")).collect();
            format!("errors:{}", lines.concat())
        }
    };
    Err(Status::plain(format!(
        "failed to create typed patch object ({namespace}/{}; {}/{}, Kind={}): {list}",
        place.1, kind.group, kind.version, kind.kind
    )))
}

/// The name, namespace, uid and version in a body must be those of the object.
fn same_identity(kind: &Kind, live: &Value, new: &Value, place: &Place) -> Result<(), Status> {
    same_name(new, place)?;
    let metadata = &new["metadata"];
    let text = |name: &str| metadata[name].as_str().filter(|text| !text.is_empty());
    if let Some(namespace) = text("namespace").filter(|ns| kind.namespaced && *ns != place.0) {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the URL ({})",
            place.0
        )));
    }
    let version = text("resourceVersion");
    if version.is_some_and(|version| live["metadata"]["resourceVersion"] != version) {
        return Err(Status::stale(kind, &place.1));
    }
    Ok(())
}

fn same_name(object: &Value, place: &Place) -> Result<(), Status> {
    let name = object["metadata"]["name"].as_str().filter(|name| !name.is_empty());
    match name.filter(|name| *name != place.1) {
        None => Ok(()),
        Some(name) => Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            place.1
        ))),
    }
}

/// An apply is refused by its type before anything else about it is looked at.
fn check_type(kind: &Kind, config: &Value) -> Result<(), Status> {
    let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty());
    match (text("apiVersion"), text("kind")) {
        (Some(version), Some(name)) if version != kind.api_version() || name != kind.kind => {
            let version = if version.contains('/') { version } else { &format!("/{version}") };
            Err(Status::bad_request(format!("invalid object type: {version}, Kind={name}")))
        }
        _ => Ok(()),
    }
}

/// An apply of bytes that are none fails where the server turns its body into a typed object.
fn base64(kind: &Kind, config: &Value, namespace: &str, place: &Place) -> Result<(), Status> {
    let field = match kind.kind.as_str() {
        "Secret" if kind.group.is_empty() => "data",
        "ConfigMap" if kind.group.is_empty() => "binaryData",
        _ => return Ok(()),
    };
    let texts = config[field].as_object().into_iter().flatten();
    let wrong = texts.filter_map(|(_, value)| value.as_str()).find_map(wrong_base64);
    let Some(at) = wrong else { return Ok(()) };
    let of = format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind);
    Err(Status::plain(format!(
        "failed to convert new object ({namespace}/{}; {of}) to proper version: unable to convert \
         unstructured object to {of}: error decoding from json: illegal base64 data at input byte {at}",
        place.1
    )))
}

/// Where a text stops being base64.
fn wrong_base64(text: &str) -> Option<usize> {
    use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
    match STANDARD.decode(text) {
        Ok(_) => None,
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => Some(at),
        Err(DecodeError::InvalidLength(at)) => Some(at),
        Err(DecodeError::InvalidPadding) => Some(text.len()),
    }
}

//! The verbs on a cluster's state: what every write goes through, whoever sends it.
//!
//! Knows nothing of HTTP. People at the side door, the controllers and the API all call these.

mod delete;

mod finish;

mod admit;

mod scale;

pub(crate) use delete::{CLEANUP, DeleteOptions, Propagation, delete, drop_finalizer, release};
pub(crate) use scale::{of_object as scale_of, onto_object as with_scale};

use crate::{
    fields,
    kinds::Kind,
    managed,
    state::{Place, State},
    status::{Cause, Status},
    validate::{self, Validation},
};
use admit::{admit_create, check_body, complete};
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
            custom: kind.custom.is_some(),
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
    if object["metadata"].get("resourceVersion").is_some_and(|version| *version != "") {
        return Err(Status::plain("resourceVersion should not be set on objects to be created"));
    }
    if object["metadata"]["name"].is_null()
        && let Some(prefix) = object["metadata"]["generateName"].as_str()
    {
        let name = format!("{prefix}{}", state.suffix(5));
        object["metadata"]["name"] = json!(name);
    }
    complete(kind, &mut object);
    let (now, api_version) = (state.clock.stamp(), kind.api_version());
    let writer = write.writer(kind, &api_version, &now);
    managed::record(&managed::nothing(kind.custom.is_some()), &mut object, &writer, &kind.schema);
    let object = admit_create(state, kind, namespace, object)?;
    let object = if write.dry_run { Arc::new(object) } else { state.put(kind, object) };
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
    if state.get(kind, place).is_none() && may_create(kind) && write.subresource.is_empty() {
        same_place(kind, &object, place)?;
        return create(state, kind, &place.0, object, write);
    }
    let live = live(state, kind, place)?;
    let warnings = validate::unknown_fields(kind, &mut object, write.validation)?;
    if kind.custom.is_some()
        && object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty)
    {
        let text = "must be specified for an update";
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), text);
        // Here alone the server names the kind by its resource.
        let kind = Kind { kind: kind.plural.clone(), ..kind.clone() };
        return Err(Status::invalid(&kind, &place.1, &[cause]));
    }
    same_identity(kind, &live, &object, place)?;
    let change = Change { live, new: object, applied: false, warnings };
    finish(state, kind, place, change, write)
}

/// Some kinds are created by a PUT to a name that is free.
fn may_create(kind: &Kind) -> bool {
    kind.group == "rbac.authorization.k8s.io" || CREATED_BY_PUT.contains(&&*kind.kind)
}

const CREATED_BY_PUT: [&str; 5] = ["Service", "Endpoints", "LimitRange", "Event", "Lease"];

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
    check_body(kind, &config)?;
    if config["metadata"].get("managedFields").is_some_and(|value| !value.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    typed(kind, &config)?;
    same_place(kind, &config, place)?;
    let found = state.get(kind, place).map(|object| in_version(&object, kind));
    let metadata = config["metadata"].as_object_mut();
    if let Some(metadata) = metadata {
        metadata.entry("name").or_insert_with(|| json!(place.1));
        if kind.namespaced {
            metadata.entry("namespace").or_insert_with(|| json!(place.0));
        }
    }
    let (now, api_version) = (state.clock.stamp(), kind.api_version());
    let writer = write.writer(kind, &api_version, &now);
    let Some(live) = found else {
        return apply_new(state, kind, place, &config, write);
    };
    same_identity(kind, &live, &config, place)?;
    let new = managed::apply(&live, &config, &writer, &kind.schema, write.force)?;
    decodable(kind, &new)?;
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
    let mut merged = managed::apply(&empty, config, &writer, &kind.schema, write.force)?;
    decodable(kind, &merged)?;
    complete(kind, &mut merged);
    let object = admit_create(state, kind, &place.0, merged)?;
    let object = if write.dry_run { Arc::new(object) } else { state.put(kind, object) };
    Ok(Done { object, created: true, warnings: Vec::new() })
}

fn check_manager(write: &Write) -> Result<(), Status> {
    let refuse = |cause: Cause| Err(Status::options("PatchOptions", &cause));
    if write.manager.is_empty() {
        return refuse(Cause::required("fieldManager", "is required for apply patch"));
    }
    if write.manager.chars().count() > MANAGER_LIMIT {
        return refuse(Cause::too_long("fieldManager", MANAGER_LIMIT));
    }
    Ok(())
}

/// Bytes are base64; on apply a text that is not is a plain 500, as on a real server.
fn decodable(kind: &Kind, object: &Value) -> Result<(), Status> {
    let field = match kind.kind.as_str() {
        "Secret" if kind.group.is_empty() => "data",
        "ConfigMap" if kind.group.is_empty() => "binaryData",
        _ => return Ok(()),
    };
    let texts = object[field].as_object().into_iter().flat_map(|map| map.values());
    let Some(at) = texts.filter_map(Value::as_str).find_map(wrong_base64) else { return Ok(()) };
    let of = format!("/v1, Kind={}", kind.kind);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::plain(format!(
        "failed to convert new object (/{name}; {of}) to proper version: unable to convert \
         unstructured object to {of}: error decoding from json: illegal base64 data at input byte {at}"
    )))
}

/// Where a text stops being base64.
fn wrong_base64(text: &str) -> Option<usize> {
    use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
    match STANDARD.decode(text).err()? {
        DecodeError::InvalidByte(at, _)
        | DecodeError::InvalidLastSymbol(at, _)
        | DecodeError::InvalidLength(at) => Some(at),
        DecodeError::InvalidPadding => Some(text.len()),
    }
}

/// A body that does not fit its type is a plain 500 on apply, as on a real server.
fn typed(kind: &Kind, config: &Value) -> Result<(), Status> {
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
    let metadata = &config["metadata"];
    Err(Status::plain(format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {list}",
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default(),
        kind.group,
        kind.version,
        kind.kind
    )))
}

/// The name and the namespace in a body, if any, must be those of the path.
fn same_place(kind: &Kind, new: &Value, place: &Place) -> Result<(), Status> {
    let text = |name: &str| new["metadata"][name].as_str().filter(|text| !text.is_empty());
    if text("namespace").is_some_and(|namespace| kind.namespaced && namespace != place.0) {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    match text("name").filter(|name| *name != place.1) {
        None => Ok(()),
        Some(name) => Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            place.1
        ))),
    }
}

/// Also the version in a body, if any, must be the one that is stored.
fn same_identity(kind: &Kind, live: &Value, new: &Value, place: &Place) -> Result<(), Status> {
    same_place(kind, new, place)?;
    let version = new["metadata"]["resourceVersion"].as_str().filter(|text| !text.is_empty());
    if version.is_some_and(|version| live["metadata"]["resourceVersion"] != version) {
        return Err(Status::stale(kind, &place.1));
    }
    Ok(())
}

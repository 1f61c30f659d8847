//! What a new object goes through before it is stored.

use crate::{
    defaults,
    kinds::Kind,
    schema::{drop_forbidden_nulls, fill_defaults},
    state::State,
    status::Status,
    validate,
};
use serde_json::{Value, json};

/// The body must be an object of the kind that the path names.
pub(super) fn check_body(kind: &Kind, object: &Value) -> Result<(), Status> {
    if !object.is_object() {
        return Err(Status::bad_request("the request body is not an object"));
    }
    let (api_version, name) = (&object["apiVersion"], &object["kind"]);
    if name.as_str().is_none_or(str::is_empty) {
        return Err(Status::bad_request("Object 'Kind' is missing in the request body"));
    }
    if *name != json!(kind.kind) || *api_version != json!(kind.api_version()) {
        let version = api_version.as_str().unwrap_or_default();
        let slash = if version.contains('/') { "" } else { "/" };
        return Err(Status::bad_request(format!(
            "invalid object type: {slash}{version}, Kind={}",
            name.as_str().unwrap_or_default(),
        )));
    }
    Ok(())
}

/// Fills in what a body leaves out, before it is known who owns what.
pub(super) fn complete(kind: &Kind, object: &mut Value) {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &kind.custom {
        Some(schema) => {
            defaults::clean_metadata(&mut object["metadata"]);
            drop_forbidden_nulls(object, schema);
            fill_defaults(object, schema);
        }
        None => defaults::fill(kind, object),
    }
}

/// Checks the namespace, adds what the server decides, validates, and refuses a second one.
pub(super) fn admit_create(
    state: &mut State,
    kind: &Kind,
    namespace: &str,
    mut object: Value,
) -> Result<Value, Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    place_in(kind, namespace, &mut object)?;
    admission(state, kind, namespace, &name)?;
    let (uid, now) = (state.uid(), state.clock.stamp());
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "resourceVersion",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
        ] {
            metadata.shift_remove(field);
        }
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(now));
        if kind.counts {
            metadata.insert("generation".to_owned(), json!(1));
        }
    }
    if kind.status && !kind.is("", "Node") {
        object.as_object_mut().and_then(|map| map.shift_remove("status"));
    }
    defaults::on_create(state, kind, &mut object);
    validate::create(kind, &object)?;
    let place = crate::state::place_of(kind, &object);
    if let Some(other) = state.get(kind, &place) {
        let mut status = Status::already_exists(kind, &name);
        if other["metadata"]["deletionTimestamp"].is_string() {
            status.message = format!("object is being deleted: {}", status.message);
        }
        return Err(status);
    }
    Ok(object)
}

fn place_in(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Status> {
    let Some(metadata) = object["metadata"].as_object_mut() else { return Ok(()) };
    if !kind.namespaced {
        metadata.shift_remove("namespace");
        return Ok(());
    }
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    if given != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata.insert("namespace".to_owned(), json!(namespace));
    Ok(())
}

/// Namespaces and definitions that go away take nothing new.
fn admission(state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), Status> {
    if kind.namespaced {
        let spaces = state.kind_named("", "Namespace");
        let place = (String::new(), namespace.to_owned());
        let Some(space) = spaces.and_then(|spaces| state.get(&spaces, &place)) else {
            return Err(Status::no_namespace(namespace));
        };
        if !space["metadata"]["deletionTimestamp"].is_null() {
            return Err(Status::namespace_terminating(kind, name, namespace));
        }
    }
    if kind.custom.is_some() {
        let place = (String::new(), kind.resource());
        let definitions = state.kind_named("apiextensions.k8s.io", "CustomResourceDefinition");
        let definition = definitions.and_then(|definitions| state.get(&definitions, &place));
        if definition.is_some_and(|d| !d["metadata"]["deletionTimestamp"].is_null()) {
            let text = "create not allowed while custom resource definition is terminating";
            return Err(Status::forbidden(kind, name, text));
        }
    }
    validate::quota(state, kind, namespace, name)
}

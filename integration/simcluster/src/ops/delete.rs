//! Deleting: preconditions, finalizers, grace, and what happens to dependants.

use super::{Write, in_version, modify};
use crate::{
    kinds::Kind,
    state::{Place, State, version_of},
    status::{Cause, Status},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The manager's name under which the garbage collector writes.
const COLLECTOR: &str = "kube-controller-manager";

/// Kinds whose last state is the answer to a DELETE.
const SHOWN: [&str; 6] = [
    "Pod",
    "Service",
    "ServiceAccount",
    "ResourceQuota",
    "PersistentVolumeClaim",
    "PersistentVolume",
];

/// With this finalizer a definition waits for its instances to go.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What becomes of the objects that this one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) grace: Option<u64>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From a DELETE's body; the query's values are laid over it by the caller.
    pub(crate) fn of_body(body: &Value) -> Result<DeleteOptions, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut options = DeleteOptions {
            propagation: None,
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
            grace: body["gracePeriodSeconds"].as_u64(),
            dry_run: body["dryRun"].as_array().is_some_and(|list| !list.is_empty()),
        };
        options.set_propagation(body["propagationPolicy"].as_str())?;
        if body["orphanDependents"] == true {
            options.propagation = Some(Propagation::Orphan);
        }
        Ok(options)
    }

    pub(crate) fn set_propagation(&mut self, policy: Option<&str>) -> Result<(), Status> {
        self.propagation = match policy {
            None => return Ok(()),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let allowed = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::unsupported("propagationPolicy", &json!(other), &allowed);
                return Err(Status::options("DeleteOptions", &cause));
            }
        };
        Ok(())
    }
}

/// What a deletion led to.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    pub(crate) object: Arc<Value>,
    /// Is the answer a success without the object? Otherwise the object is on its way, or its kind
    /// is one that is always shown.
    pub(crate) gone: bool,
}

/// Deletes an object, or starts to.
pub(crate) fn delete(
    state: &mut State,
    kind: &Kind,
    place: &Place,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    let Some(live) = state.get(kind, place) else {
        return Err(Status::not_found(kind, &place.1));
    };
    let live = in_version(&live, kind);
    preconditions(kind, &live, place, options)?;
    if kind.is("", "Namespace") && ["default", "kube-system", "kube-public"].contains(&&*place.1) {
        return Err(Status::forbidden(kind, &place.1, "this namespace may not be deleted"));
    }
    let mut object = live.clone();
    finalizers(kind, &mut object, options.propagation);
    if kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        end_definition(state, &mut object);
    }
    let held = object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let lingers = kind.is("", "Namespace") && object["spec"]["finalizers"][0].is_string();
    let grace = grace_of(kind, &object, options);
    // Namespaces and definitions have a deletion of their own, with neither grace nor generation.
    let by_itself = lingers || kind.is("apiextensions.k8s.io", "CustomResourceDefinition");
    if live["metadata"]["deletionTimestamp"].is_null() {
        object["metadata"]["deletionTimestamp"] = json!(deadline(state, grace));
        if !by_itself {
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if kind.counts && !by_itself && (held || grace > 0) {
            let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
    } else if options.grace == Some(0) {
        object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    }
    if lingers {
        object["status"]["phase"] = json!("Terminating");
    }
    let left = object["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
    let waits = held || lingers || left > 0;
    let shows = kind.group.is_empty() && SHOWN.contains(&&*kind.kind);
    let done = |object| Ok(Deleted { object, gone: !waits && !shows });
    match (options.dry_run, waits) {
        (true, _) => done(Arc::new(object)),
        (false, true) if object == live => done(Arc::new(live)),
        (false, true) => done(state.put(kind, object)),
        (false, false) => {
            // Only a pod is marked before it goes.
            let last = if kind.is("", "Pod") { object } else { live };
            state.take(kind, place, &last);
            done(Arc::new(last))
        }
    }
}

fn end_definition(state: &State, object: &mut Value) {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    match object["metadata"]["finalizers"].as_array_mut() {
        Some(list) => list.push(json!(CLEANUP)),
        None => object["metadata"]["finalizers"] = json!([CLEANUP]),
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": state.clock.stamp(),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will \
                    begin soon",
    });
    match object["status"]["conditions"].as_array_mut() {
        Some(list) => list.push(condition),
        None => object["status"]["conditions"] = json!([condition]),
    }
}

fn deadline(state: &State, grace: u64) -> String {
    let after = std::time::Duration::from_secs(grace);
    let time = state.clock.now();
    crate::clock::seconds(time.checked_add(after).unwrap_or(time))
}

/// Only a pod that runs somewhere is given time to stop.
fn grace_of(kind: &Kind, object: &Value, options: &DeleteOptions) -> u64 {
    if !kind.is("", "Pod") || object["spec"]["nodeName"].is_null() {
        return 0;
    }
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    if phase == "Succeeded" || phase == "Failed" {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_u64();
    options.grace.or(own).unwrap_or(30)
}

fn preconditions(
    kind: &Kind,
    live: &Value,
    place: &Place,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let (uid, version) = (&live["metadata"]["uid"], &live["metadata"]["resourceVersion"]);
    let refuse = |text: String| {
        let resource = match kind.group.as_str() {
            "" => kind.kind.clone(),
            group => format!("{}.{group}", kind.kind),
        };
        let name = &place.1;
        let text = format!("Operation cannot be fulfilled on {resource} \"{name}\": {text}");
        let mut status = Status::new(409, "Conflict", text);
        let mut details = json!({"name": name});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        details["kind"] = json!(kind.kind);
        status.details = Some(Box::new(details));
        Err(status)
    };
    if let Some(wanted) = options.uid.as_ref().filter(|wanted| *uid != json!(wanted)) {
        return refuse(format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({}). The \
             object might have been deleted and then recreated",
            uid.as_str().unwrap_or_default()
        ));
    }
    if let Some(wanted) = options.version.as_ref().filter(|wanted| *version != json!(wanted)) {
        return refuse(format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion \
             in record ({}). The object might have been modified",
            version_of(live)
        ));
    }
    Ok(())
}

/// The dependants' fate is kept as a finalizer until the garbage collector has seen to it.
fn finalizers(kind: &Kind, object: &mut Value, propagation: Option<Propagation>) {
    let orphans =
        (kind.is("batch", "Job") || kind.is("", "ReplicationController")) && propagation.is_none();
    let wanted = match propagation {
        Some(Propagation::Foreground) => Some("foregroundDeletion"),
        Some(Propagation::Orphan) => Some("orphan"),
        None if orphans => Some("orphan"),
        _ => None,
    };
    let list = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let mut list: Vec<Value> = match propagation {
        Some(_) => {
            let fate = |name: &Value| *name == "foregroundDeletion" || *name == "orphan";
            list.into_iter().filter(|name| !fate(name)).collect()
        }
        None => list,
    };
    if let Some(name) = wanted.filter(|name| !list.iter().any(|known| known == name)) {
        list.push(json!(name));
    }
    if list.is_empty() {
        object["metadata"].as_object_mut().and_then(|map| map.shift_remove("finalizers"));
    } else {
        object["metadata"]["finalizers"] = Value::Array(list);
    }
}

/// Takes one finalizer off; the object goes when it was the last.
pub(crate) fn drop_finalizer(state: &mut State, kind: &Kind, place: &Place, name: &str) {
    let write = Write::by(COLLECTOR, "");
    // The object may be gone already, which is what was wanted.
    let _gone_is_fine = modify(state, kind, place, &write, |live| {
        let mut object = live.clone();
        if let Some(list) = object["metadata"]["finalizers"].as_array_mut() {
            list.retain(|known| known != name);
        }
        Ok(object)
    });
}

/// Ends an object that was waiting for its grace or its namespace's content.
pub(crate) fn release(state: &mut State, kind: &Kind, place: &Place) {
    let Some(live) = state.get(kind, place) else { return };
    let mut object = (*live).clone();
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    object["spec"].as_object_mut().and_then(|spec| spec.shift_remove("finalizers"));
    let held = object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    if held {
        if object != *live {
            state.put(kind, object);
        }
    } else {
        state.take(kind, place, &object);
    }
}

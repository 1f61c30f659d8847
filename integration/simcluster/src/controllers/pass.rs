//! One look at the state: what controllers read and the few ways in which they write.

use crate::{
    clock,
    fields::same,
    kinds::Kind,
    ops::{self, DeleteOptions, Done, Write},
    state::{Place, State, place_of},
    status::Status,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

pub(super) const CONTROLLER: &str = "kube-controller-manager";
pub(super) const KUBELET: &str = "kubelet";

pub(super) struct Pass<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Instant,
    due: Option<Instant>,
    /// When a thing was first seen: times in objects have only whole seconds.
    since: &'a mut BTreeMap<String, Instant>,
    fresh: BTreeMap<String, Instant>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(state: &'a mut State, since: &'a mut BTreeMap<String, Instant>) -> Pass<'a> {
        Pass { state, now: Instant::now(), due: None, since, fresh: BTreeMap::new() }
    }

    /// Ends the pass: what was not asked about is forgotten; returns when to look again.
    pub(super) fn finish(self) -> Option<Instant> {
        *self.since = self.fresh;
        self.due
    }

    /// How long this has been so; asked in every pass for as long as it is so.
    pub(super) fn age(&mut self, what: &str) -> Duration {
        let since = *self.since.get(what).unwrap_or(&self.now);
        self.fresh.insert(what.to_owned(), since);
        self.now.saturating_duration_since(since)
    }

    /// Looks again after this long, if nothing happens before.
    pub(super) fn again_in(&mut self, wait: Duration) {
        let at = self.now + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn kind(&self, group: &str, kind: &str) -> Option<Arc<Kind>> {
        self.state.kind_named(group, kind)
    }

    /// Writes an object's status, if that changes anything.
    pub(super) fn status(&mut self, kind: &Kind, object: &Value, by: &str, status: Value) {
        // By far the most passes find nothing to say; what was seen stale is seen again.
        if !same(&object["status"], &status) {
            self.edit(kind, object, &Write::by(by, "status"), |object| object["status"] = status);
        }
    }

    /// Changes an object; a conflict or a missing object is seen again in the next pass.
    pub(super) fn edit(
        &mut self,
        kind: &Kind,
        object: &Value,
        write: &Write,
        edit: impl FnOnce(&mut Value),
    ) {
        let place = place_of(kind, object);
        let _seen_again_next_pass = ops::modify(self.state, kind, &place, write, |live| {
            let mut object = live.clone();
            edit(&mut object);
            Ok(object)
        });
    }

    pub(super) fn create(&mut self, kind: &Kind, object: Value) -> Result<Done, Status> {
        let namespace = place_of(kind, &object).0;
        ops::create(self.state, kind, &namespace, object, &Write::by(CONTROLLER, ""))
    }

    pub(super) fn delete(&mut self, kind: &Kind, place: &Place) {
        let _gone_is_fine = ops::delete(self.state, kind, place, &DeleteOptions::default());
    }

    /// The objects of a kind that this one controls, by name.
    pub(super) fn owned(&self, group: &str, kind: &str, owner: &Value) -> Vec<Arc<Value>> {
        let uid = &owner["metadata"]["uid"];
        let mut all = self.state.all(group, kind);
        all.retain(|object| controller(object).is_some_and(|owner| owner["uid"] == *uid));
        all
    }
}

/// The owner that controls an object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().find(|owner| owner["controller"] == true)
}

/// The reference with which a child names its controller.
pub(super) fn owner_reference(kind: &Kind, owner: &Value) -> Value {
    json!([{
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// A count field of a status, left out when it is zero, as the server leaves it out.
pub(super) fn count(status: &mut Value, field: &str, value: i64) {
    if value != 0 {
        status[field] = json!(value);
    }
}

/// A pod that still counts: neither ended nor on its way out.
pub(super) fn is_active(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    !is_deleting(pod) && phase != "Failed" && phase != "Succeeded"
}

pub(super) fn condition<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == name)
}

pub(super) fn is_true(object: &Value, name: &str) -> bool {
    condition(object, name).is_some_and(|condition| condition["status"] == "True")
}

/// Has the pod been ready for so many seconds?
pub(super) fn is_available(pass: &mut Pass<'_>, pod: &Value, min_ready: i64) -> bool {
    if !is_true(pod, "Ready") {
        return false;
    }
    let wait = Duration::from_secs(u64::try_from(min_ready).unwrap_or(0));
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let age = pass.age(&format!("ready/{uid}"));
    if age < wait {
        pass.again_in(wait.saturating_sub(age));
    }
    age >= wait
}

/// Sets a condition in a list; its transition time moves only with its status.
pub(super) fn set_condition(
    conditions: &mut Vec<Value>,
    now: &str,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
) {
    let status = if status { "True" } else { "False" };
    let old = conditions.iter().find(|condition| condition["type"] == kind);
    let since = match old {
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        _ => json!(now),
    };
    let mut new = json!({"type": kind, "status": status, "lastTransitionTime": since});
    if !reason.is_empty() {
        new["reason"] = json!(reason);
    }
    if !message.is_empty() {
        new["message"] = json!(message);
    }
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

pub(super) fn conditions(object: &Value) -> Vec<Value> {
    object["status"]["conditions"].as_array().cloned().unwrap_or_default()
}

/// A short name for a pod template, the same for the same template.
pub(super) fn hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut sum = template.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut out = String::new();
    for _ in 0..10 {
        let index = usize::try_from(sum % 27).unwrap_or(0);
        out.push(char::from(LETTERS[index]));
        sum /= 27;
    }
    out
}

/// Seconds since a time in an object.
pub(super) fn seconds_since(pass: &Pass<'_>, time: &Value) -> i64 {
    pass.state.clock.now().as_second() - clock::parse(time.as_str().unwrap_or_default())
}

/// `25%` of a whole, or a plain number.
pub(super) fn portion(value: &Value, whole: i64, up: bool) -> i64 {
    let Some(text) = value.as_str().and_then(|text| text.strip_suffix('%')) else {
        return number(value);
    };
    let hundredths = text.parse::<i64>().unwrap_or(0) * whole;
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

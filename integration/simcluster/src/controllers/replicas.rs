//! Replica sets and replication controllers: so many pods, no more, no fewer.

use super::pass::{
    CONTROLLER, Pass, conditions, count, is_active, is_available, is_deleting, is_true, name,
    number, owner_reference, set_condition,
};
use crate::{kinds::Kind, state::place_of};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn step(pass: &mut Pass<'_>) {
    for (group, kind) in [("apps", "ReplicaSet"), ("", "ReplicationController")] {
        let (Some(kind), Some(pods)) = (pass.kind(group, kind), pass.kind("", "Pod")) else {
            return;
        };
        for set in pass.state.all(group, &kind.kind) {
            if !is_deleting(&set) {
                one(pass, &kind, &pods, &set);
            }
        }
    }
}

/// A pod from a template, owned by its maker.
pub(super) fn pod_of(kind: &Kind, owner: &Value, pod_name: &str) -> Value {
    let template = &owner["spec"]["template"];
    let mut metadata = json!({
        "name": pod_name,
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": owner_reference(kind, owner),
    });
    for field in ["labels", "annotations"] {
        if template["metadata"][field].is_object() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn one(pass: &mut Pass<'_>, kind: &Kind, pods: &Kind, set: &Value) {
    let mut owned = pass.owned("", "Pod", set);
    let leaving = owned.iter().filter(|pod| is_deleting(pod)).count();
    owned.retain(|pod| is_active(pod));
    let wanted = number(&set["spec"]["replicas"]);
    let have = i64::try_from(owned.len()).unwrap_or(i64::MAX);
    let mut failure = None;
    for _ in have..wanted {
        let suffix = pass.state.suffix(5);
        let pod = pod_of(kind, set, &format!("{}-{suffix}", name(set)));
        match pass.create(pods, pod) {
            Ok(done) => owned.push(done.object),
            Err(error) => {
                failure = Some(error.message);
                pass.again_in(std::time::Duration::from_secs(1));
                break;
            }
        }
    }
    if have > wanted {
        let surplus = usize::try_from(have - wanted).unwrap_or(0);
        owned.sort_by_key(|pod| (is_true(pod, "Ready"), name(pod).to_owned()));
        for pod in owned.drain(..surplus) {
            pass.delete(pods, &place_of(pods, &pod));
        }
    }
    status(pass, kind, set, &owned, (leaving, failure));
}

fn status(
    pass: &mut Pass<'_>,
    kind: &Kind,
    set: &Value,
    pods: &[Arc<Value>],
    (leaving, failure): (usize, Option<String>),
) {
    let min_ready = number(&set["spec"]["minReadySeconds"]);
    let all = i64::try_from(pods.len()).unwrap_or(0);
    let mut ready = 0;
    let mut available = 0;
    for pod in pods {
        ready += i64::from(is_true(pod, "Ready"));
        available += i64::from(is_available(pass, pod, min_ready));
    }
    let mut status = json!({
        "replicas": all,
        "observedGeneration": set["metadata"]["generation"],
    });
    status["terminatingReplicas"] = json!(leaving);
    count(&mut status, "fullyLabeledReplicas", all);
    count(&mut status, "readyReplicas", ready);
    count(&mut status, "availableReplicas", available);
    let mut list = conditions(set);
    match failure {
        Some(text) => {
            let now = pass.state.clock.stamp();
            set_condition(&mut list, &now, "ReplicaFailure", true, "FailedCreate", &text);
        }
        None => list.retain(|condition| condition["type"] != "ReplicaFailure"),
    }
    if !list.is_empty() {
        status["conditions"] = Value::Array(list);
    }
    pass.status(kind, set, CONTROLLER, status);
}

//! Daemon sets: one pod on every node that fits.

use super::{
    pass::{
        CONTROLLER, Pass, count, hash, is_active, is_available, is_deleting, is_true, name, number,
        portion,
    },
    replicas::pod_of,
};
use crate::{kinds::Kind, state::place_of};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const REVISION: &str = "controller-revision-hash";

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(kind), Some(pods)) = (pass.kind("apps", "DaemonSet"), pass.kind("", "Pod")) else {
        return;
    };
    for set in pass.state.all("apps", "DaemonSet") {
        if !is_deleting(&set) {
            one(pass, &kind, &pods, &set);
        }
    }
}

fn nodes_for(pass: &Pass<'_>, set: &Value) -> Vec<String> {
    let wanted = set["spec"]["template"]["spec"]["nodeSelector"].as_object();
    let fits = |node: &&Arc<Value>| {
        let labels = &node["metadata"]["labels"];
        wanted.into_iter().flatten().all(|(label, value)| labels.get(label) == Some(value))
    };
    pass.state.all("", "Node").iter().filter(fits).map(|node| name(node).to_owned()).collect()
}

fn one(pass: &mut Pass<'_>, kind: &Kind, pods: &Kind, set: &Value) {
    let revision = hash(&set["spec"]["template"]);
    let nodes = nodes_for(pass, set);
    let owned = pass.owned("", "Pod", set);
    let on_node: BTreeMap<String, Arc<Value>> = owned
        .iter()
        .filter(|pod| is_active(pod))
        .map(|pod| (pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(), pod.clone()))
        .collect();
    for node in nodes.iter().filter(|node| !on_node.contains_key(*node)) {
        let suffix = pass.state.suffix(5);
        let mut pod = pod_of(kind, set, &format!("{}-{suffix}", name(set)));
        pod["metadata"]["labels"][REVISION] = json!(revision);
        pod["spec"]["nodeName"] = json!(node);
        let _tried_again_next_pass = pass.create(pods, pod);
    }
    for pod in &owned {
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if !is_deleting(pod) && (!is_active(pod) || !nodes.iter().any(|known| known == node)) {
            pass.delete(pods, &place_of(pods, pod));
        }
    }
    replace(pass, pods, set, &on_node, &revision);
    status(pass, kind, set, (&nodes, &on_node), &revision);
}

/// Replaces pods of an old template, as many at a time as may be unavailable; broken ones first.
fn replace(
    pass: &mut Pass<'_>,
    pods: &Kind,
    set: &Value,
    on_node: &BTreeMap<String, Arc<Value>>,
    revision: &str,
) {
    let strategy = &set["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return;
    }
    let all = i64::try_from(on_node.len()).unwrap_or(0);
    let most = portion(&strategy["rollingUpdate"]["maxUnavailable"], all, true).max(1);
    let unready = on_node.values().filter(|pod| !is_true(pod, "Ready")).count();
    let mut room = most - i64::try_from(unready).unwrap_or(0);
    let old = on_node.values().filter(|pod| pod["metadata"]["labels"][REVISION] != revision);
    for pod in old {
        let broken = !is_true(pod, "Ready");
        if broken || room > 0 {
            pass.delete(pods, &place_of(pods, pod));
            room -= i64::from(!broken);
        }
    }
}

fn status(
    pass: &mut Pass<'_>,
    kind: &Kind,
    set: &Value,
    (nodes, on_node): (&[String], &BTreeMap<String, Arc<Value>>),
    revision: &str,
) {
    let min_ready = number(&set["spec"]["minReadySeconds"]);
    let (mut scheduled, mut ready, mut available, mut updated) = (0, 0, 0, 0);
    for pod in nodes.iter().filter_map(|node| on_node.get(node)) {
        scheduled += 1;
        ready += i64::from(is_true(pod, "Ready"));
        available += i64::from(is_available(pass, pod, min_ready));
        updated += i64::from(pod["metadata"]["labels"][REVISION] == revision);
    }
    let desired = i64::try_from(nodes.len()).unwrap_or(0);
    let mut status = json!({
        "currentNumberScheduled": scheduled,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": set["metadata"]["generation"],
    });
    count(&mut status, "updatedNumberScheduled", updated);
    count(&mut status, "numberAvailable", available);
    count(&mut status, "numberUnavailable", desired - available);
    pass.status(kind, set, CONTROLLER, status);
}

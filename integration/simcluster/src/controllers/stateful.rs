//! Stateful sets: pods with ordinals, made and replaced one by one, each with its claims.

use super::{
    pass::{
        CONTROLLER, Pass, conditions, count, hash, is_available, is_deleting, is_true, name, number,
    },
    replicas::pod_of,
};
use crate::{kinds::Kind, state::place_of};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const REVISION: &str = "controller-revision-hash";

type Pods = BTreeMap<i64, Arc<Value>>;

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(kind), Some(pods)) = (pass.kind("apps", "StatefulSet"), pass.kind("", "Pod")) else {
        return;
    };
    for set in pass.state.all("apps", "StatefulSet") {
        if !is_deleting(&set) {
            adopt(pass, &kind, &pods, &set);
            let revision = format!("{}-{}", name(&set), hash(&set["spec"]["template"]));
            arrange(pass, &kind, &pods, &set, &revision);
            status(pass, &kind, &set, &revision);
        }
    }
}

/// Takes over pods of its name that nobody owns: those of a set that went without them.
fn adopt(pass: &mut Pass<'_>, kind: &Kind, pods: &Kind, set: &Value) {
    let Some(labels) = set["spec"]["selector"]["matchLabels"].as_object() else { return };
    let prefix = format!("{}-", name(set));
    let free = |pod: &Value| {
        let ordinal = name(pod).strip_prefix(&prefix).is_some_and(|n| n.parse::<u32>().is_ok());
        let metadata = &pod["metadata"];
        ordinal
            && !is_deleting(pod)
            && metadata["namespace"] == set["metadata"]["namespace"]
            && metadata["ownerReferences"][0].is_null()
            && labels.iter().all(|(label, value)| metadata["labels"][label] == *value)
    };
    for pod in pass.state.all("", "Pod").into_iter().filter(|pod| free(pod)) {
        let owner = pod_of(kind, set, name(&pod))["metadata"]["ownerReferences"].clone();
        let write = crate::ops::Write::by(CONTROLLER, "");
        pass.edit(pods, &pod, &write, |pod| pod["metadata"]["ownerReferences"] = owner);
    }
}

fn by_ordinal(pass: &Pass<'_>, set: &Value) -> Pods {
    let owned = pass.owned("", "Pod", set);
    let ordinal = |pod: &Value| name(pod).rsplit_once('-').and_then(|(_, n)| n.parse().ok());
    owned.into_iter().filter_map(|pod| Some((ordinal(&pod)?, pod))).collect()
}

/// Takes the one next step (or all steps at once, when the set is parallel).
fn arrange(pass: &mut Pass<'_>, kind: &Kind, pods: &Kind, set: &Value, revision: &str) {
    let spec = &set["spec"];
    let first = number(&spec["ordinals"]["start"]);
    let wanted = first..first + number(&spec["replicas"]);
    let ordered = spec["podManagementPolicy"] != "Parallel";
    let existing = by_ordinal(pass, set);
    for ordinal in wanted.clone() {
        let settled = match existing.get(&ordinal) {
            None => {
                create(pass, kind, pods, set, (ordinal, revision));
                false
            }
            Some(pod) => is_true(pod, "Ready") && !is_deleting(pod),
        };
        if ordered && !settled {
            return;
        }
    }
    for (_, pod) in existing.iter().rev().filter(|(ordinal, _)| !wanted.contains(ordinal)) {
        if !is_deleting(pod) {
            pass.delete(pods, &place_of(pods, pod));
        }
        if ordered {
            return;
        }
    }
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return;
    }
    let partition = first + number(&spec["updateStrategy"]["rollingUpdate"]["partition"]);
    for (_, pod) in existing.range(partition..).rev() {
        if is_deleting(pod) {
            return;
        }
        if pod["metadata"]["labels"][REVISION] != revision {
            return pass.delete(pods, &place_of(pods, pod));
        }
        if !is_true(pod, "Ready") {
            return;
        }
    }
}

fn create(
    pass: &mut Pass<'_>,
    kind: &Kind,
    pods: &Kind,
    set: &Value,
    (ordinal, revision): (i64, &str),
) {
    let pod_name = format!("{}-{ordinal}", name(set));
    let mut pod = pod_of(kind, set, &pod_name);
    let labels = &mut pod["metadata"]["labels"];
    labels[REVISION] = json!(revision);
    labels["statefulset.kubernetes.io/pod-name"] = json!(pod_name);
    labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
    pod["spec"]["hostname"] = json!(pod_name);
    if set["spec"]["serviceName"].is_string() {
        pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    }
    for template in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let volume = name(template);
        let claim = format!("{volume}-{pod_name}");
        claim_of(pass, set, template, &claim);
        let source = json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}});
        match pod["spec"]["volumes"].as_array_mut() {
            Some(list) => list.push(source),
            None => pod["spec"]["volumes"] = json!([source]),
        }
    }
    let _tried_again_next_pass = pass.create(pods, pod);
}

fn claim_of(pass: &mut Pass<'_>, set: &Value, template: &Value, claim: &str) {
    let Some(claims) = pass.kind("", "PersistentVolumeClaim") else { return };
    let namespace = set["metadata"]["namespace"].clone();
    let place = (namespace.as_str().unwrap_or_default().to_owned(), claim.to_owned());
    if pass.state.get(&claims, &place).is_some() {
        return;
    }
    let labels = &set["spec"]["selector"]["matchLabels"];
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "namespace": namespace, "labels": labels},
        "spec": template["spec"],
    });
    let _tried_again_next_pass = pass.create(&claims, object);
}

fn status(pass: &mut Pass<'_>, kind: &Kind, set: &Value, revision: &str) {
    let min_ready = number(&set["spec"]["minReadySeconds"]);
    let wanted = number(&set["spec"]["replicas"]);
    let pods = by_ordinal(pass, set);
    let current = set["status"]["currentRevision"].as_str().unwrap_or(revision).to_owned();
    let (mut ready, mut available, mut updated, mut old) = (0, 0, 0, 0);
    for pod in pods.values().filter(|pod| !is_deleting(pod)) {
        let of = &pod["metadata"]["labels"][REVISION];
        ready += i64::from(is_true(pod, "Ready"));
        available += i64::from(is_available(pass, pod, min_ready));
        updated += i64::from(of == revision);
        old += i64::from(*of == *current);
    }
    let complete = updated == wanted && ready == wanted;
    let (current, old) = if complete { (revision, updated) } else { (&*current, old) };
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": i64::try_from(pods.len()).unwrap_or(0),
        "availableReplicas": available,
        "collisionCount": 0,
        "currentRevision": current,
        "updateRevision": revision,
    });
    count(&mut status, "readyReplicas", ready);
    count(&mut status, "currentReplicas", old);
    count(&mut status, "updatedReplicas", updated);
    let list = conditions(set);
    if !list.is_empty() {
        status["conditions"] = Value::Array(list);
    }
    pass.status(kind, set, CONTROLLER, status);
}

//! Deployments: replica sets by template, rolled by surge and unavailability, and the status.

use super::pass::{
    CONTROLLER, Pass, conditions, count, hash, is_deleting, name, number, owner_reference, portion,
    seconds_since, set_condition,
};
use crate::{kinds::Kind, ops::Write};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(deployments), Some(sets)) =
        (pass.kind("apps", "Deployment"), pass.kind("apps", "ReplicaSet"))
    else {
        return;
    };
    for deployment in pass.state.all("apps", "Deployment") {
        if !is_deleting(&deployment) {
            one(pass, &deployments, &sets, &deployment);
        }
    }
}

/// A deployment's replica sets: the one of its present template, and the others.
struct Sets {
    new: Option<Arc<Value>>,
    old: Vec<Arc<Value>>,
}

impl Sets {
    fn sum(&self, of: impl Fn(&Value) -> i64) -> i64 {
        self.new.iter().chain(&self.old).map(|set| of(set)).sum()
    }
}

fn replicas(set: &Value) -> i64 {
    number(&set["spec"]["replicas"])
}

fn available(set: &Value) -> i64 {
    number(&set["status"]["availableReplicas"])
}

fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.shift_remove(HASH);
    }
    template
}

fn one(pass: &mut Pass<'_>, kind: &Kind, set_kind: &Kind, deployment: &Value) {
    let owned = pass.owned("apps", "ReplicaSet", deployment);
    let (new, old): (Vec<_>, Vec<_>) = owned
        .into_iter()
        .partition(|set| crate::fields::same(&template_of(set), &deployment["spec"]["template"]));
    let mut sets = Sets { new: new.into_iter().next(), old };
    let paused = deployment["spec"]["paused"] == true;
    let mut created = false;
    if sets.new.is_none() && !paused {
        sets.new = create(pass, kind, set_kind, deployment, &sets);
        created = true;
    }
    if !created {
        if deployment["spec"]["strategy"]["type"] == "Recreate" {
            recreate(pass, set_kind, deployment, &sets);
        } else {
            roll(pass, set_kind, deployment, &sets, paused);
        }
    }
    status(pass, kind, deployment, &sets, created);
}

fn create(
    pass: &mut Pass<'_>,
    kind: &Kind,
    set_kind: &Kind,
    deployment: &Value,
    sets: &Sets,
) -> Option<Arc<Value>> {
    let mut template = deployment["spec"]["template"].clone();
    let hash = hash(&template);
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let last = sets.old.iter().map(|set| revision(set)).max().unwrap_or(0);
    let wanted = number(&deployment["spec"]["replicas"]);
    let total = sets.sum(replicas);
    let count = match deployment["spec"]["strategy"]["type"] == "Recreate" {
        true if total > 0 => 0,
        true => wanted,
        false => (wanted + surge(deployment) - total).clamp(0, wanted),
    };
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {
                REVISION: (last + 1).to_string(),
                "deployment.kubernetes.io/desired-replicas": wanted.to_string(),
                "deployment.kubernetes.io/max-replicas": (wanted + surge(deployment)).to_string(),
            },
            "ownerReferences": owner_reference(kind, deployment),
        },
        "spec": {"replicas": count, "selector": selector, "template": template,
                 "minReadySeconds": deployment["spec"]["minReadySeconds"]},
    });
    pass.create(set_kind, set).ok().map(|done| done.object)
}

fn revision(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"][REVISION].as_str().unwrap_or_default();
    text.parse().unwrap_or(0)
}

fn surge(deployment: &Value) -> i64 {
    let (wanted, strategy) =
        (number(&deployment["spec"]["replicas"]), &deployment["spec"]["strategy"]);
    portion(&strategy["rollingUpdate"]["maxSurge"], wanted, true)
}

fn unavailable(deployment: &Value) -> i64 {
    let spec = &deployment["spec"];
    if spec["strategy"]["type"] == "Recreate" {
        return 0;
    }
    let wanted = number(&spec["replicas"]);
    let most = portion(&spec["strategy"]["rollingUpdate"]["maxUnavailable"], wanted, false);
    if most == 0 && surge(deployment) == 0 { 1 } else { most.min(wanted) }
}

fn scale(pass: &mut Pass<'_>, kind: &Kind, set: &Value, to: i64) {
    if replicas(set) != to {
        pass.edit(kind, set, &Write::by(CONTROLLER, ""), |set| set["spec"]["replicas"] = json!(to));
    }
}

fn recreate(pass: &mut Pass<'_>, kind: &Kind, deployment: &Value, sets: &Sets) {
    for set in &sets.old {
        scale(pass, kind, set, 0);
    }
    let pods = sets.old.iter().map(|set| pass.owned("", "Pod", set).len()).sum::<usize>();
    if let Some(new) = sets.new.as_ref().filter(|_| pods == 0) {
        scale(pass, kind, new, number(&deployment["spec"]["replicas"]));
    }
}

fn roll(pass: &mut Pass<'_>, kind: &Kind, deployment: &Value, sets: &Sets, paused: bool) {
    let wanted = number(&deployment["spec"]["replicas"]);
    let Some(new) = &sets.new else { return };
    let total = sets.sum(replicas);
    if replicas(new) > wanted {
        return scale(pass, kind, new, wanted);
    }
    let room = (wanted + surge(deployment) - total).min(wanted - replicas(new));
    let old_total: i64 = sets.old.iter().map(|set| replicas(set)).sum();
    if room > 0 && !(paused && old_total > 0) {
        return scale(pass, kind, new, replicas(new) + room);
    }
    if paused || old_total == 0 {
        return;
    }
    let least = wanted - unavailable(deployment);
    let new_unavailable = replicas(new) - available(new);
    let mut may_go = total - least - new_unavailable;
    for set in &sets.old {
        let unhealthy = (replicas(set) - available(set)).clamp(0, may_go.max(0));
        if unhealthy > 0 {
            scale(pass, kind, set, replicas(set) - unhealthy);
            may_go -= unhealthy;
        }
    }
    let mut spare = sets.sum(available) - least;
    for set in &sets.old {
        let down = available(set).min(spare).min(may_go).max(0);
        if down > 0 {
            scale(pass, kind, set, replicas(set) - down);
            spare -= down;
            may_go -= down;
        }
    }
}

fn status(pass: &mut Pass<'_>, kind: &Kind, deployment: &Value, sets: &Sets, created: bool) {
    let wanted = number(&deployment["spec"]["replicas"]);
    let of_status = |field: &'static str| sets.sum(|set| number(&set["status"][field]));
    let total = of_status("replicas");
    let updated = sets.new.as_ref().map_or(0, |set| number(&set["status"]["replicas"]));
    let (ready, available) = (of_status("readyReplicas"), of_status("availableReplicas"));
    let mut status = json!({"observedGeneration": deployment["metadata"]["generation"]});
    count(&mut status, "replicas", total);
    count(&mut status, "updatedReplicas", updated);
    count(&mut status, "readyReplicas", ready);
    count(&mut status, "availableReplicas", available);
    let leaving = sets.new.iter().chain(&sets.old).map(|set| terminating(pass, set)).sum::<usize>();
    status["terminatingReplicas"] = json!(leaving);
    count(&mut status, "unavailableReplicas", (wanted.max(total) - available).max(0));
    let now = pass.state.clock.stamp();
    let mut list = conditions(deployment);
    let enough = available >= wanted - unavailable(deployment);
    let (reason, message) = if enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_updated(&mut list, &now, "Available", enough, reason, message, false);
    let complete = updated == wanted && total == wanted && available == wanted;
    progress(pass, deployment, sets, &status, &mut list, (complete, created));
    failure(sets, &mut list, &now);
    status["conditions"] = Value::Array(list);
    let revision = sets.new.as_ref().map_or(0, |set| revision(set));
    let told = self::revision(deployment);
    let news = revision > 0 && told != revision;
    if !news && crate::fields::same(&deployment["status"], &status) {
        return;
    }
    pass.edit(kind, deployment, &Write::by(CONTROLLER, "status"), |object| {
        object["status"] = status;
        if revision > 0 {
            object["metadata"]["annotations"][REVISION] = json!(revision.to_string());
        }
    });
}

fn terminating(pass: &Pass<'_>, set: &Value) -> usize {
    pass.owned("", "Pod", set).iter().filter(|pod| is_deleting(pod)).count()
}

/// Deployment conditions also tell when they were last looked at and found news.
fn set_updated(
    list: &mut Vec<Value>,
    now: &str,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    news: bool,
) {
    let old = list.iter().find(|condition| condition["type"] == kind).cloned();
    set_condition(list, now, kind, status, reason, message);
    let Some(new) = list.iter_mut().find(|condition| condition["type"] == kind) else { return };
    let same = |old: &Value| old["status"] == new["status"] && old["reason"] == new["reason"];
    new["lastUpdateTime"] = match old {
        Some(old) if same(&old) && !news => old["lastUpdateTime"].clone(),
        _ => json!(now),
    };
}

fn progress(
    pass: &mut Pass<'_>,
    deployment: &Value,
    sets: &Sets,
    status: &Value,
    list: &mut Vec<Value>,
    (complete, created): (bool, bool),
) {
    let now = pass.state.clock.stamp();
    let set = sets.new.as_ref().map(|set| name(set)).unwrap_or_default();
    let old = list.iter().find(|condition| condition["type"] == "Progressing").cloned();
    let before = &deployment["status"];
    let news = ["updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|field| number(&status[*field]) > number(&before[*field]))
        || number(&status["replicas"]) < number(&before["replicas"]);
    if complete {
        let text = format!("ReplicaSet \"{set}\" has successfully progressed.");
        return set_updated(
            list,
            &now,
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &text,
            false,
        );
    }
    if created {
        let text = format!("Created new replica set \"{set}\"");
        return set_updated(list, &now, "Progressing", true, "NewReplicaSetCreated", &text, true);
    }
    let finished = old.as_ref().is_some_and(|old| old["reason"] == "NewReplicaSetAvailable");
    let observed = before["observedGeneration"] == deployment["metadata"]["generation"];
    if news || old.is_none() || (finished && !observed) {
        let text = format!("ReplicaSet \"{set}\" is progressing.");
        return set_updated(list, &now, "Progressing", true, "ReplicaSetUpdated", &text, true);
    }
    let Some(old) = old.filter(|old| old["status"] == "True" && !finished) else { return };
    let deadline = number(&deployment["spec"]["progressDeadlineSeconds"]);
    let passed = seconds_since(pass, &old["lastUpdateTime"]);
    if passed >= deadline {
        let text = format!("ReplicaSet \"{set}\" has timed out progressing.");
        set_updated(list, &now, "Progressing", false, "ProgressDeadlineExceeded", &text, true);
    } else {
        pass.again_in(Duration::from_secs(u64::try_from(deadline - passed).unwrap_or(1)));
    }
}

/// A replica set that cannot create pods makes its deployment say so.
fn failure(sets: &Sets, list: &mut Vec<Value>, now: &str) {
    let failing =
        sets.new.as_ref().and_then(|set| super::pass::condition(set, "ReplicaFailure").cloned());
    match failing {
        Some(condition) => {
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            set_updated(
                list,
                now,
                "ReplicaFailure",
                true,
                &text("reason"),
                &text("message"),
                false,
            );
        }
        None => list.retain(|condition| condition["type"] != "ReplicaFailure"),
    }
}

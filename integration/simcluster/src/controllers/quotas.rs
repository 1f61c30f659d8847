//! Counts what quotas count, into their status.

use super::pass::{CONTROLLER, Pass};
use serde_json::{Map, Value, json};

pub(super) fn step(pass: &mut Pass<'_>) {
    let Some(kind) = pass.kind("", "ResourceQuota") else { return };
    for quota in pass.state.all("", "ResourceQuota") {
        let namespace = quota["metadata"]["namespace"].clone();
        let Some(hard) = quota["spec"]["hard"].as_object() else { continue };
        let mut used = Map::new();
        for resource in hard.keys() {
            used.insert(resource.clone(), json!(count(pass, resource, &namespace).to_string()));
        }
        pass.status(&kind, &quota, CONTROLLER, json!({"hard": hard, "used": used}));
    }
}

/// Objects of the kind that `pods` or `count/deployments.apps` names; nothing else is counted here.
fn count(pass: &Pass<'_>, resource: &str, namespace: &Value) -> usize {
    let wanted = resource.strip_prefix("count/").unwrap_or(resource);
    let Some(kind) = pass.state.kinds().iter().find(|kind| kind.resource() == wanted).cloned()
    else {
        return 0;
    };
    let ended = |object: &Value| {
        object["status"]["phase"] == "Succeeded" || object["status"]["phase"] == "Failed"
    };
    let objects = pass.state.all(&kind.group, &kind.kind);
    objects.iter().filter(|o| o["metadata"]["namespace"] == *namespace && !ended(o)).count()
}

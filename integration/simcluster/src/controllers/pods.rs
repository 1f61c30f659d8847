//! The scheduler and the kubelets. What becomes of a pod is written in its images:
//! `:broken` cannot be pulled, `:crash` exits with 1 (in a Job: fails), `:oom` is killed for
//! memory, `:notready` runs and never becomes ready; everything else works.

use super::pass::{KUBELET, Pass, conditions, is_deleting, is_true, name, set_condition};
use crate::{
    kinds::Kind,
    ops::{self, Write},
    state::place_of,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn step(pass: &mut Pass<'_>) {
    let Some(kind) = pass.kind("", "Pod") else { return };
    for pod in pass.state.all("", "Pod") {
        if is_deleting(&pod) {
            ops::release(pass.state, &kind, &place_of(&kind, &pod));
        } else if pod["spec"]["nodeName"].is_null() {
            schedule(pass, &kind, &pod);
        } else {
            run(pass, &kind, &pod);
        }
    }
}

fn schedule(pass: &mut Pass<'_>, kind: &Kind, pod: &Value) {
    let nodes = pass.state.all("", "Node");
    let fits = |node: &&Arc<Value>| {
        let wanted = pod["spec"]["nodeSelector"].as_object();
        let labels = &node["metadata"]["labels"];
        node["spec"]["unschedulable"] != true
            && is_true(node, "Ready")
            && wanted.into_iter().flatten().all(|(label, value)| labels.get(label) == Some(value))
    };
    let fitting: Vec<&Arc<Value>> = nodes.iter().filter(fits).collect();
    let now = pass.state.clock.stamp();
    let mut list = conditions(pod);
    if fitting.is_empty() {
        let text = format!(
            "0/{} nodes are available: {} node(s) didn't match Pod's node affinity/selector.",
            nodes.len(),
            nodes.len()
        );
        set_condition(&mut list, &now, "PodScheduled", false, "Unschedulable", &text);
        let mut status = pod["status"].clone();
        status["conditions"] = Value::Array(list);
        return pass.status(kind, pod, "kube-scheduler", status);
    }
    let limit = u64::try_from(fitting.len()).unwrap_or(1);
    let index = usize::try_from(pass.state.number(limit)).unwrap_or(0);
    let node = name(fitting[index]).to_owned();
    pass.edit(kind, pod, &Write::by("kube-scheduler", ""), |pod| {
        pod["spec"]["nodeName"] = json!(node);
    });
    set_condition(&mut list, &now, "PodScheduled", true, "", "");
    let mut status = pod["status"].clone();
    status["conditions"] = Value::Array(list);
    pass.status(kind, pod, KUBELET, status);
}

/// How a container's image makes it behave.
fn tag(container: &Value) -> &str {
    let image = container["image"].as_str().unwrap_or_default();
    image.rsplit('/').next().and_then(|name| name.rsplit_once(':')).map_or("", |(_, tag)| tag)
}

fn run(pass: &mut Pass<'_>, kind: &Kind, pod: &Value) {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if phase == "Succeeded" || phase == "Failed" {
        return;
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let age = pass.age(&format!("pod/{uid}"));
    let ready_after = pass.state.options.ready_after;
    let ends = pod["spec"]["restartPolicy"] != "Always";
    if age < ready_after {
        return pass.again_in(ready_after.saturating_sub(age));
    }
    let tags: Vec<&str> =
        pod["spec"]["containers"].as_array().into_iter().flatten().map(tag).collect();
    let broken = tags.contains(&"broken");
    if !ends || broken {
        return running(pass, kind, pod);
    }
    if age < ready_after * 2 {
        pass.again_in((ready_after * 2).saturating_sub(age));
        return running(pass, kind, pod);
    }
    let failed = tags.iter().any(|tag| ["crash", "oom", "fail"].contains(tag));
    ended(pass, kind, pod, failed);
}

fn running(pass: &mut Pass<'_>, kind: &Kind, pod: &Value) {
    let now = pass.state.clock.stamp();
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let old = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    let mut phase = "Running";
    let mut statuses = Vec::new();
    for container in &containers {
        let started = old
            .iter()
            .find(|old| old["name"] == container["name"])
            .and_then(|old| old["state"]["running"]["startedAt"].as_str())
            .unwrap_or(&now);
        let behaviour = tag(container);
        if behaviour == "broken" {
            phase = "Pending";
        }
        statuses.push(container_status(container, behaviour, started));
    }
    write(pass, kind, pod, phase, statuses, true);
}

fn container_status(container: &Value, behaviour: &str, started: &str) -> Value {
    let (name, image) = (&container["name"], &container["image"]);
    let base = |ready: bool, restarts: u32, state: Value, last: Value| {
        json!({
            "name": name, "image": image, "imageID": format!("sim://{}", image.as_str().unwrap_or_default()),
            "ready": ready, "started": ready, "restartCount": restarts, "state": state,
            "lastState": last,
        })
    };
    let crashed = |reason: &str, code: i32| {
        let text = format!(
            "back-off 5m0s restarting failed container={}",
            name.as_str().unwrap_or_default()
        );
        base(
            false,
            3,
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": text}}),
            json!({"terminated": {"exitCode": code, "reason": reason}}),
        )
    };
    match behaviour {
        "broken" => {
            let image = image.as_str().unwrap_or_default();
            let text = format!(
                "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = NotFound \
                 desc = failed to pull and unpack image \"{image}\": not found"
            );
            let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": text}});
            let mut status = base(false, 0, state, json!({}));
            status["imageID"] = json!("");
            status
        }
        "crash" => crashed("Error", 1),
        "oom" => crashed("OOMKilled", 137),
        "notready" => base(false, 0, json!({"running": {"startedAt": started}}), json!({})),
        _ => base(true, 0, json!({"running": {"startedAt": started}}), json!({})),
    }
}

fn ended(pass: &mut Pass<'_>, kind: &Kind, pod: &Value, failed: bool) {
    let now = pass.state.clock.stamp();
    let (code, reason) = if failed { (1, "Error") } else { (0, "Completed") };
    let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let statuses: Vec<Value> = containers
        .iter()
        .map(|container| {
            let state = json!({"terminated": {
                "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now,
            }});
            json!({
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": false, "started": false, "restartCount": 0, "lastState": {}, "state": state,
            })
        })
        .collect();
    let phase = if failed { "Failed" } else { "Succeeded" };
    write(pass, kind, pod, phase, statuses, false);
}

fn write(
    pass: &mut Pass<'_>,
    kind: &Kind,
    pod: &Value,
    phase: &str,
    statuses: Vec<Value>,
    lives: bool,
) {
    let now = pass.state.clock.stamp();
    let unready: Vec<&str> = statuses
        .iter()
        .filter(|status| status["ready"] != true)
        .filter_map(|status| status["name"].as_str())
        .collect();
    let ready = unready.is_empty();
    let (reason, text) = match (ready, lives, phase) {
        (true, ..) => ("", String::new()),
        (_, false, "Succeeded") => ("PodCompleted", String::new()),
        (_, false, _) => ("PodFailed", String::new()),
        _ => (
            "ContainersNotReady",
            format!("containers with unready status: [{}]", unready.join(" ")),
        ),
    };
    let mut list = conditions(pod);
    set_condition(&mut list, &now, "Initialized", true, "", "");
    set_condition(&mut list, &now, "Ready", ready, reason, &text);
    set_condition(&mut list, &now, "ContainersReady", ready, reason, &text);
    let mut status = pod["status"].clone();
    status["phase"] = json!(phase);
    status["observedGeneration"] = pod["metadata"]["generation"].clone();
    status["conditions"] = Value::Array(list);
    if status["startTime"].is_null() {
        status["startTime"] = json!(now);
    }
    if status["podIP"].is_null() && phase == "Running" {
        let address = format!("10.244.{}.{}", pass.state.number(250), pass.state.number(250) + 1);
        status["podIPs"] = json!([{"ip": address}]);
        status["podIP"] = json!(address);
    }
    status["containerStatuses"] = Value::Array(statuses);
    pass.status(kind, pod, KUBELET, status);
}

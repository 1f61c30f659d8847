//! Defaults of pods and pod templates.

use super::{default, each};
use serde_json::{Value, json};

pub(super) fn template(template: &mut Value) {
    default(template, "metadata", json!({}));
    spec(&mut template["spec"]);
}

pub(super) fn spec(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", json!("default-scheduler"));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        default(spec, "serviceAccount", account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        default(spec, "serviceAccountName", account);
    }
    for list in ["containers", "initContainers"] {
        for container in each(spec.get_mut(list).unwrap_or(&mut Value::Null)) {
            self::container(container);
        }
    }
    for volume in each(spec.get_mut("volumes").unwrap_or(&mut Value::Null)) {
        self::volume(volume);
    }
    for constraint in each(spec.get_mut("topologySpreadConstraints").unwrap_or(&mut Value::Null)) {
        default(constraint, "whenUnsatisfiable", json!("DoNotSchedule"));
    }
}

/// What admission adds to a pod; nobody owns it.
pub(super) fn admitted(spec: &mut Value) {
    default(spec, "serviceAccountName", json!("default"));
    default(spec, "serviceAccount", json!("default"));
    default(spec, "priority", json!(0));
    default(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    let until = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let always = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
    default(spec, "tolerations", json!([]));
    if let Some(list) = spec["tolerations"].as_array_mut() {
        for key in always {
            if !list.iter().any(|toleration| toleration["key"] == key) {
                list.push(until(key));
            }
        }
    }
}

/// In a pod (not in a template) what is limited is also requested.
pub(super) fn requests(spec: &mut Value) {
    for container in each(spec.get_mut("containers").unwrap_or(&mut Value::Null)) {
        let Some(limits) = container["resources"].get("limits").cloned() else { continue };
        for (name, value) in limits.as_object().into_iter().flatten() {
            default(&mut container["resources"], "requests", json!({}));
            default(&mut container["resources"]["requests"], name, value.clone());
        }
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    let pull = if latest { "Always" } else { "IfNotPresent" };
    default(container, "resources", json!({}));
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "imagePullPolicy", json!(pull));
    for port in each(container.get_mut("ports").unwrap_or(&mut Value::Null)) {
        default(port, "protocol", json!("TCP"));
    }
    for env in each(container.get_mut("env").unwrap_or(&mut Value::Null)) {
        if let Some(field) = env["valueFrom"].get_mut("fieldRef") {
            default(field, "apiVersion", json!("v1"));
        }
        if env.get("valueFrom").is_some_and(Value::is_null) {
            env.as_object_mut().and_then(|env| env.shift_remove("valueFrom"));
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(name) else { continue };
        default(probe, "timeoutSeconds", json!(1));
        default(probe, "periodSeconds", json!(10));
        default(probe, "successThreshold", json!(1));
        default(probe, "failureThreshold", json!(3));
        if let Some(get) = probe.get_mut("httpGet") {
            default(get, "path", json!("/"));
            default(get, "scheme", json!("HTTP"));
        }
    }
}

fn volume(volume: &mut Value) {
    /// 0644 in decimal, the mode of files from config maps and secrets.
    const MODE: u32 = 420;
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source) {
            default(source, "defaultMode", json!(MODE));
        }
    }
    let only_a_name = volume.as_object().is_some_and(|volume| volume.len() == 1);
    if only_a_name {
        default(volume, "emptyDir", json!({}));
    }
    if let Some(host) = volume.get_mut("hostPath") {
        default(host, "type", json!(""));
    }
}

//! Why a workload does not get on, from the pods it made: seconds after the fact, not at the end of
//! its progress deadline.

use std::time::Duration;

use jiff::Timestamp;
use model::Reason;
use serde_json::Value;

use crate::redact::clip;

/// Restarts after which a crashing container counts as crashing, not as starting badly.
const CRASHES_MIN: i64 = 3;
/// How long a pod may wait for a node: an autoscaler needs that long.
const SCHEDULE_GRACE: Duration = Duration::from_mins(1);
/// How long a `ConfigMap` or `Secret` may be missing: another controller may be about to make it.
const CONFIG_GRACE: Duration = Duration::from_mins(1);

/// What holds the pods of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The class.
    pub reason: Reason,
    /// For people: pod, container, and what the kubelet or scheduler said; at most 256 bytes.
    pub message: String,
    /// Pods in this state.
    pub affected: u32,
    /// Pods looked at.
    pub total: u32,
    /// Whether it is a fault, or just not ready yet.
    pub broken: bool,
    /// Whether waiting will not help.
    pub terminal: bool,
}

/// What is wrong with one pod.
struct Trouble {
    reason: Reason,
    message: String,
    broken: bool,
    terminal: bool,
}

impl Trouble {
    fn new(reason: Reason, message: String) -> Trouble {
        Trouble { reason, message, broken: true, terminal: false }
    }

    /// Greater is worse.
    fn weight(&self) -> (bool, bool, usize) {
        let order = [
            Reason::Unschedulable,
            Reason::CrashLoop,
            Reason::ImagePullBackOff,
            Reason::ContainerConfigError,
        ];
        let class = order.iter().position(|reason| *reason == self.reason).map_or(0, |at| at + 1);
        (self.terminal, self.broken, class)
    }
}

/// The worst that is wrong with `pods` (at most some 50, listed by the workload's selector). Pods that
/// are finished or on their way out do not count.
pub fn pods_verdict(pods: &[Value], now: Timestamp) -> Option<Stuck> {
    pods_verdict_at(pods, Some(now))
}

/// [`pods_verdict`]; without a time nothing has lasted long.
pub(crate) fn pods_verdict_at(pods: &[Value], now: Option<Timestamp>) -> Option<Stuck> {
    let counted: Vec<&Value> = pods.iter().filter(|pod| counts(pod)).collect();
    let found: Vec<(&Value, Trouble)> =
        counted.iter().filter_map(|pod| Some((*pod, trouble(pod, now)?))).collect();
    let (pod, worst) = found.iter().max_by_key(|(_, trouble)| trouble.weight())?;
    let affected = found.iter().filter(|(_, t)| t.reason == worst.reason).count();
    Some(Stuck {
        reason: worst.reason,
        message: clip(&format!("pod {}: {}", text(pod, "/metadata/name"), worst.message)),
        affected: u32::try_from(affected).unwrap_or(u32::MAX),
        total: u32::try_from(counted.len()).unwrap_or(u32::MAX),
        broken: worst.broken,
        terminal: worst.terminal,
    })
}

/// [`pods_verdict`] for the pods of one workload after `manager` applied it. Pods of the release before
/// may be broken, and be the very reason for this one: they are no evidence against it.
pub fn workload_verdict(
    workload: &Value,
    pods: &[Value],
    manager: &str,
    now: Timestamp,
) -> Option<Stuck> {
    if all_updated(workload) {
        return pods_verdict(pods, now);
    }
    let applied = applied_at(workload, manager);
    let revision = text(workload, "/status/updateRevision");
    let is_new = |pod: &&Value| {
        let of = text(pod, "/metadata/labels/controller-revision-hash");
        if !revision.is_empty() && !of.is_empty() {
            return of == revision;
        }
        let made = text(pod, "/metadata/creationTimestamp").parse::<Timestamp>().ok();
        applied.zip(made).is_none_or(|(applied, made)| made >= applied)
    };
    let new: Vec<Value> = pods.iter().filter(is_new).cloned().collect();
    pods_verdict(&new, now)
}

/// Whether the controller says that no pod of an older template is left.
fn all_updated(workload: &Value) -> bool {
    let count = |name: &str| workload.pointer(name).and_then(Value::as_i64).unwrap_or(0);
    let observed = count("/status/observedGeneration") >= count("/metadata/generation");
    let (updated, all) = if text(workload, "/kind") == "DaemonSet" {
        (count("/status/updatedNumberScheduled"), count("/status/desiredNumberScheduled"))
    } else {
        (count("/status/updatedReplicas"), count("/status/replicas"))
    };
    observed && all > 0 && updated >= all
}

/// When `manager` last applied, by the API server's clock.
fn applied_at(workload: &Value, manager: &str) -> Option<Timestamp> {
    let entries = workload.pointer("/metadata/managedFields")?.as_array()?;
    let ours = entries
        .iter()
        .filter(|entry| text(entry, "/manager") == manager && text(entry, "/operation") == "Apply");
    ours.filter_map(|entry| text(entry, "/time").parse().ok()).max()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn counts(pod: &Value) -> bool {
    text(pod, "/status/phase") != "Succeeded" && text(pod, "/metadata/deletionTimestamp").is_empty()
}

fn since(time: &str, now: Option<Timestamp>) -> Duration {
    let held = now.zip(time.parse::<Timestamp>().ok()).map(|(now, time)| now.duration_since(time));
    held.and_then(|held| Duration::try_from(held).ok()).unwrap_or(Duration::ZERO)
}

fn trouble(pod: &Value, now: Option<Timestamp>) -> Option<Trouble> {
    if text(pod, "/status/phase") == "Failed" {
        let why = format!("{} {}", text(pod, "/status/reason"), text(pod, "/status/message"));
        return Some(Trouble::new(Reason::Degraded, format!("failed: {}", why.trim())));
    }
    let containers = ["initContainerStatuses", "containerStatuses"];
    let statuses = containers.iter().filter_map(|list| pod.pointer(&format!("/status/{list}")));
    let worst = statuses
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|status| container(pod, status, now))
        .max_by_key(Trouble::weight);
    worst.or_else(|| unschedulable(pod, now)).or_else(|| not_ready(pod))
}

/// What holds one container.
fn container(pod: &Value, status: &Value, now: Option<Timestamp>) -> Option<Trouble> {
    let name = text(status, "/name");
    let waiting = text(status, "/state/waiting/reason");
    let message = text(status, "/state/waiting/message");
    let say = || match message {
        "" => format!("container {name}: {waiting}"),
        message => format!("container {name}: {waiting}: {message}"),
    };
    let restarts = status.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
    match waiting {
        "ImagePullBackOff"
        | "ErrImagePull"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "SignatureValidationFailed"
        | "RegistryUnavailable" => {
            let mut trouble = Trouble::new(Reason::ImagePullBackOff, say());
            trouble.terminal = waiting == "InvalidImageName" || hopeless_image(message);
            Some(trouble)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let mut trouble = Trouble::new(Reason::ContainerConfigError, say());
            let age = since(text(pod, "/metadata/creationTimestamp"), now);
            trouble.terminal = waiting == "CreateContainerConfigError" && age > CONFIG_GRACE;
            Some(trouble)
        }
        // Without a time one look has to do, and back-off means that it crashed.
        "CrashLoopBackOff" if restarts >= CRASHES_MIN || now.is_none() => {
            let last = "/lastState/terminated";
            let code = status.pointer(&format!("{last}/exitCode")).and_then(Value::as_i64);
            let why = text(status, &format!("{last}/reason"));
            let code = code.map_or(String::new(), |code| format!(", exit code {code}"));
            let message =
                format!("container {name}: crashed {restarts} times{code} {why}").trim().to_owned();
            let mut trouble = Trouble::new(Reason::CrashLoop, message);
            trouble.terminal = why == "OOMKilled";
            Some(trouble)
        }
        // Hooks that failed, sandboxes that cannot be made, users that may not run: the kubelet's words.
        _ if waiting.ends_with("Error") => Some(Trouble::new(Reason::ContainerConfigError, say())),
        _ => None,
    }
}

/// A registry that says no will say no again; one that is slow or busy may not.
fn hopeless_image(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let passing = ["toomanyrequests", "too many requests", "timeout", "connection refused"];
    let no = ["not found", "manifest unknown", "unauthorized", "denied", "does not exist"];
    no.iter().any(|word| message.contains(word))
        && !passing.iter().any(|word| message.contains(word))
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    let list = pod.pointer("/status/conditions")?.as_array()?;
    list.iter().find(|c| text(c, "/type") == kind && text(c, "/status") == "False")
}

fn unschedulable(pod: &Value, now: Option<Timestamp>) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled")?;
    (text(scheduled, "/reason") == "Unschedulable").then_some(())?;
    let held = since(text(scheduled, "/lastTransitionTime"), now);
    let mut trouble = Trouble::new(Reason::Unschedulable, text(scheduled, "/message").to_owned());
    trouble.broken = held > SCHEDULE_GRACE;
    Some(trouble)
}

/// Runs, and its readiness probe says no.
fn not_ready(pod: &Value) -> Option<Trouble> {
    let ready = condition(pod, "Ready")?;
    let mut trouble = Trouble::new(Reason::Progressing, text(ready, "/message").to_owned());
    trouble.broken = false;
    Some(trouble)
}

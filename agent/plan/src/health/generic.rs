//! Custom resources without a rule of their own: what most controllers mean by their status.

use std::time::Duration;

use model::{Health, Reason};

use super::Verdict;
use super::view::{Condition, View};

/// How long a condition may be false, or a status absent, before it counts.
const GRACE: Duration = Duration::from_mins(1);

/// Conditions that are true when all is well.
const GOOD: &[&str] = &[
    "Ready",
    "Available",
    "Healthy",
    "Succeeded",
    "Synced",
    "Established",
    "Programmed",
    "Accepted",
];
/// Conditions that are true when something is broken.
const BAD: &[&str] = &["Stalled", "Failed", "Degraded"];
/// Parts of a reason that say that waiting is not the cure.
const BAD_WORDS: &[&str] = &["fail", "error", "invalid", "denied", "notfound", "timeout"];

/// Words of `status.phase`, `status.state` and `status.health`, in lower case.
const PHASES: &[(Health, &[&str])] = &[
    (
        Health::Healthy,
        &[
            "active",
            "available",
            "bound",
            "complete",
            "completed",
            "deployed",
            "established",
            "green",
            "healthy",
            "ok",
            "online",
            "ready",
            "running",
            "succeeded",
            "synced",
            "up",
            "valid",
        ],
    ),
    (Health::Suspended, &["hibernated", "paused", "stopped", "suspended"]),
    (
        Health::Progressing,
        &[
            "creating",
            "deleting",
            "deploying",
            "initializing",
            "installing",
            "pending",
            "progressing",
            "provisioning",
            "queued",
            "reconciling",
            "scaling",
            "starting",
            "terminating",
            "updating",
            "upgrading",
            "waiting",
        ],
    ),
    (
        Health::Degraded,
        &[
            "crashloopbackoff",
            "degraded",
            "down",
            "error",
            "failed",
            "failure",
            "faulted",
            "invalid",
            "lost",
            "red",
            "rejected",
            "unhealthy",
        ],
    ),
];

/// The generic rule.
pub(super) fn rule(view: View<'_>) -> Verdict {
    let judged = by_conditions(view).or_else(|| by_phase(view));
    let suspended =
        view.flag("/spec/suspend") || view.flag("/spec/suspended") || view.flag("/spec/paused");
    match judged {
        Some(verdict) if verdict.health > Health::Progressing => verdict,
        _ if suspended => Verdict::suspended("suspended by its spec"),
        Some(verdict) => verdict,
        None => without_words(view),
    }
}

/// The worst of all conditions that are understood.
fn by_conditions(view: View<'_>) -> Option<Verdict> {
    view.conditions().filter_map(|c| by_condition(view, c)).max_by_key(|verdict| verdict.health)
}

fn by_condition(view: View<'_>, condition: Condition<'_>) -> Option<Verdict> {
    let kind = condition.kind();
    let good = GOOD.contains(&kind);
    let known = good || BAD.contains(&kind) || kind == "Reconciling";
    if !known {
        return None;
    }
    if condition.is_stale(view.generation()) {
        let message = format!("{kind} is about an older generation");
        return Some(Verdict::new(Health::Progressing, Reason::NotObservedYet, message));
    }
    Some(match (good, condition.is_true(), condition.is_false()) {
        (true, true, _) => Verdict::healthy(),
        (true, _, true) if bad_word(condition.reason()) => Verdict::degraded(condition.say()),
        (true, _, true) => {
            Verdict::after_grace(view.since(condition.since()), GRACE, condition.say())
        }
        (true, _, false) => Verdict::progressing(condition.say()),
        (false, true, _) if kind == "Reconciling" => Verdict::progressing(condition.say()),
        (false, true, _) => Verdict::degraded(condition.say()),
        // The absence of a fault is no proof of health.
        (false, false, _) => return None,
    })
}

fn bad_word(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    BAD_WORDS.iter().any(|word| reason.contains(word))
}

/// One word that sums it up.
fn by_phase(view: View<'_>) -> Option<Verdict> {
    let places = ["/status/phase", "/status/state", "/status/health", "/status/health/status"];
    let word = places.iter().map(|place| view.text(place)).find(|word| !word.is_empty())?;
    let lower = word.to_ascii_lowercase();
    let known = PHASES.iter().find(|(_, words)| words.contains(&lower.as_str()));
    let say = || match view.text("/status/message") {
        "" => format!("phase {word}"),
        message => format!("phase {word}: {message}"),
    };
    Some(match known.map(|(health, _)| *health) {
        Some(Health::Healthy) => Verdict::healthy(),
        Some(Health::Suspended) => Verdict::suspended(say()),
        Some(Health::Degraded) => Verdict::degraded(say()),
        Some(Health::Progressing | Health::Missing | Health::Unknown) => {
            Verdict::progressing(say())
        }
        None => {
            let message = format!("phase {word} is not among the words that are understood");
            Verdict::new(Health::Unknown, Reason::HealthUnknown, message)
        }
    })
}

/// No condition and no phase.
fn without_words(view: View<'_>) -> Verdict {
    if view.filled("/status") {
        return Verdict::healthy().note("its status does not say how well it is");
    }
    if view.context.has_status == Some(false)
        || (view.context.has_status.is_none() && built_in(view))
    {
        return Verdict::healthy();
    }
    let left = view.age().and_then(|age| GRACE.checked_sub(age)).filter(|left| !left.is_zero());
    match left {
        Some(left) => Verdict::progressing("no status published yet").again_in(left),
        None if view.timeless() => Verdict::progressing("no status published yet"),
        None => Verdict::healthy().note("no status published"),
    }
}

/// Kubernetes' own groups have no dot or end in `k8s.io`.
fn built_in(view: View<'_>) -> bool {
    let group = view.text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || group.ends_with(".k8s.io")
}

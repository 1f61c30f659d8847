//! Custom resources without a rule of their own: what most controllers mean by their status.
//!
//! Conditions are read by their names, of which the community shares some; where there are none, one word
//! sums the status up. Whatever is not understood never makes an object look better than what is.

use std::time::Duration;

use model::{Health, Reason};
use serde_json::Value;

use super::Verdict;
use super::view::{Condition, View};
use super::words;

/// How long a condition may be false, or a status absent, before it counts.
const GRACE: Duration = Duration::from_mins(1);

/// Conditions that are true when all is well, and false when not.
const GOOD: &[&str] = &[
    "Ready",
    "Available",
    "Healthy",
    "Succeeded",
    "Synced",
    "Established",
    "Programmed",
    "Accepted",
    "Admitted",
    "Reconciled",
    "ReconcileSuccess",
    "ReconcileSuccessful",
    "ReconciliationSucceeded",
    "ResolvedRefs",
    "Valid",
    "Applied",
    "Deployed",
    "Installed",
    "Provisioned",
];
/// Conditions that are true in the end, and false before.
const DONE: &[&str] =
    &["Complete", "Completed", "Finished", "Done", "Active", "Running", "Created"];
/// Conditions that are true when something is broken.
const BAD: &[&str] = &[
    "Stalled",
    "Failed",
    "Failure",
    "Failing",
    "Degraded",
    "Error",
    "ErrorOccurred",
    "HasErrors",
    "Invalid",
    "InvalidSpec",
    "ConfigurationError",
    "ReconcileError",
    "ReconcileFailed",
    "ReplicaFailure",
    "ReleaseFailed",
    "Irreconcilable",
];
/// How conditions end that are true when a part is well, and false when not.
const GOOD_ENDS: &[&str] = &[
    "Ready",
    "Available",
    "Healthy",
    "Synced",
    "Synchronized",
    "Succeeded",
    "Valid",
    "Reconciled",
    "Accepted",
    "Programmed",
    "Deployed",
    "Installed",
    "Provisioned",
    "Configured",
    "Established",
    "Initialized",
];
/// How conditions end that are true when a part is broken.
const BAD_ENDS: &[&str] = &[
    "Failed",
    "Failure",
    "Error",
    "Errors",
    "Degraded",
    "Stalled",
    "Invalid",
    "Unhealthy",
    "Unavailable",
    "Misconfigured",
];
/// Conditions that are true while something goes on.
const BUSY: &[&str] = &[
    "Reconciling",
    "Progressing",
    "Updating",
    "Upgrading",
    "RollingUpdate",
    "Creating",
    "Deploying",
    "Pending",
    "Initializing",
    "Installing",
    "NotReady",
    "Scaling",
    "Restarting",
    "Terminating",
];
/// Conditions that are true while it is held on purpose.
const HELD: &[&str] = &["Paused", "Suspended", "ReconciliationPaused", "Hibernated", "Stopped"];
/// Something did go on, and is through.
const THROUGH: &[&str] = &["NewReplicaSetAvailable", "Succeeded", "Completed", "AsExpected"];

/// The generic rule.
pub(super) fn rule(view: View<'_>) -> Verdict {
    let held = HELD.iter().find_map(|kind| view.condition(kind).filter(|c| c.is_true()));
    let flags = ["/spec/suspend", "/spec/suspended", "/spec/paused", "/spec/pause"];
    let asked = flags.iter().any(|flag| view.flag(flag));
    let judged = worst([by_conditions(view), by_word(view), by_counts(view)]);
    let judged = judged.or_else(|| by_flags(view));
    match judged {
        Some(verdict) if verdict.health > Health::Progressing && held.is_none() => verdict,
        _ if held.is_some() || asked => {
            let why = held.map_or("suspended by its spec".to_owned(), Condition::say);
            match broken(view) {
                Some(verdict) => verdict,
                None => Verdict::suspended(why),
            }
        }
        Some(verdict) => verdict,
        None => without_words(view),
    }
}

fn worst(verdicts: [Option<Verdict>; 3]) -> Option<Verdict> {
    let known = verdicts.iter().flatten().any(|v| v.health != Health::Unknown);
    // A word that nobody understands says nothing where others do.
    let counts = |v: &Verdict| v.health != Health::Unknown || !known;
    verdicts.into_iter().flatten().filter(counts).max_by_key(|v| v.health)
}

/// What says of itself that it is broken.
fn broken(view: View<'_>) -> Option<Verdict> {
    let is_bad = |c: &Condition<'_>| bad(c.kind()) && c.is_true();
    let generation = view.generation();
    let found = view.conditions().find(|c| is_bad(c) && !c.is_stale(generation));
    found.map(|c| Verdict::degraded(c.say()))
}

/// Whether a condition of this name tells of a fault when it is true.
fn bad(kind: &str) -> bool {
    // `NoErrors`, `NotDegraded`
    let denied = kind.starts_with("No");
    BAD.contains(&kind) || !denied && BAD_ENDS.iter().any(|end| kind.ends_with(end))
}

/// What speaks against a rule that calls an object healthy: words that mean the same everywhere. A rule
/// that overlooks one is wrong in the direction that hurts.
pub(super) fn contradiction(view: View<'_>) -> Option<Verdict> {
    const PLAIN: &[&str] = &["Ready", "Available", "Healthy", "Succeeded", "Synced"];
    let generation = view.generation();
    let current = |c: &Condition<'_>| !c.is_stale(generation);
    let not = view.conditions().find(|c| PLAIN.contains(&c.kind()) && c.is_false() && current(c));
    let not = not.map(|c| {
        let bad = words::bad(c.reason());
        if bad { Verdict::degraded(c.say()) } else { Verdict::progressing(c.say()) }
    });
    let word = ["/status/phase", "/status/state", "/status/health"].map(|place| view.text(place));
    let word = word.into_iter().find(|word| words::phase(word) == Some(Health::Degraded));
    let word = word.map(|word| Verdict::degraded(format!("phase {word}")));
    broken(view).or(word).or(not)
}

/// What an object says against a rule that calls it healthy without asking it: any condition or phase that
/// means broken or on its way, but for those that tell of steps.
pub(super) fn objection(view: View<'_>) -> Option<Verdict> {
    let busy = view.conditions().any(|c| BUSY.contains(&c.kind()) && c.is_true());
    let plain = view.conditions().filter(|c| !DONE.contains(&c.kind()));
    let said = plain.filter_map(|c| by_condition(view, c, busy)).chain(by_word(view));
    let speaks = |v: &Verdict| matches!(v.health, Health::Progressing | Health::Degraded);
    said.filter(speaks).max_by_key(|verdict| verdict.health)
}

/// The worst of all conditions that are understood.
fn by_conditions(view: View<'_>) -> Option<Verdict> {
    let busy = view.conditions().any(|c| BUSY.contains(&c.kind()) && c.is_true());
    let judged: Vec<(bool, Verdict)> = view
        .conditions()
        .filter_map(|c| Some((DONE.contains(&c.kind()), by_condition(view, c, busy)?)))
        .collect();
    // Where there is a condition that means readiness, those that tell of steps do not count.
    let plain = judged.iter().any(|(step, _)| !step);
    let counts =
        |(step, verdict): &(bool, Verdict)| !step || !plain || verdict.health == Health::Healthy;
    judged.into_iter().filter(counts).map(|(_, v)| v).max_by_key(|verdict| verdict.health)
}

fn by_condition(view: View<'_>, condition: Condition<'_>, busy: bool) -> Option<Verdict> {
    let kind = condition.kind();
    // Readiness of parts counts where nothing tells of the whole.
    let part = GOOD_ENDS.iter().any(|end| kind.ends_with(end))
        && !kind.starts_with("Not")
        && !bad(kind)
        && !BUSY.contains(&kind)
        && view.condition("Ready").is_none();
    let good = GOOD.contains(&kind) || part;
    let done = DONE.contains(&kind);
    if !good && !done && !bad(kind) && !BUSY.contains(&kind) {
        return None;
    }
    if condition.is_stale(view.generation()) {
        let message = format!("{kind} is about an older generation");
        return Some(Verdict::new(Health::Progressing, Reason::NotObservedYet, message));
    }
    let reason = condition.reason();
    Some(match (good || done, condition.is_true(), condition.is_false()) {
        (true, true, _) => Verdict::healthy(),
        (true, _, true) if words::held(reason) => Verdict::suspended(condition.say()),
        (true, _, true) if words::bad(reason) => Verdict::degraded(condition.say()),
        (true, _, true) if done || busy || words::busy(reason) => {
            Verdict::progressing(condition.say())
        }
        (true, _, true) => {
            Verdict::after_grace(view.since(condition.since()), GRACE, condition.say())
        }
        (true, _, false) => Verdict::progressing(condition.say()),
        (false, true, _) if BUSY.contains(&kind) && THROUGH.contains(&reason) => return None,
        (false, true, _) if BUSY.contains(&kind) => Verdict::progressing(condition.say()),
        (false, true, _) => Verdict::degraded(condition.say()),
        // The absence of a fault is no proof of health.
        (false, false, _) => return None,
    })
}

/// One word that sums it up.
fn by_word(view: View<'_>) -> Option<Verdict> {
    const PLACES: &[&str] = &[
        "/status/phase",
        "/status/state",
        "/status/health",
        "/status/health/status",
        "/status/status",
        "/status/healthStatus",
        "/status/currentState",
        "/status/currentPhase",
        "/status/state/phase",
        "/status/clusterStatus",
        "/status",
    ];
    let word = PLACES.iter().map(|place| view.text(place)).find(|word| !word.is_empty())?;
    let say = || match view.text("/status/message") {
        "" => format!("phase {word}"),
        message => format!("phase {word}: {message}"),
    };
    Some(match words::phase(word) {
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

/// Replicas that are wanted and ready.
fn by_counts(view: View<'_>) -> Option<Verdict> {
    let number = |pointer: &str| view.at(pointer).and_then(Value::as_i64);
    let wanted = number("/spec/replicas").or_else(|| number("/status/replicas"))?;
    let ready = number("/status/readyReplicas").or_else(|| number("/status/availableReplicas"))?;
    Some(if ready < wanted {
        Verdict::progressing(format!("{ready} of {wanted} replicas ready"))
    } else {
        Verdict::healthy()
    })
}

/// A plain yes or no.
fn by_flags(view: View<'_>) -> Option<Verdict> {
    let errors = ["/status/error", "/status/errorMessage", "/status/failureMessage"];
    if let Some(error) = errors.iter().map(|e| view.text(e)).find(|error| !error.is_empty()) {
        return Some(Verdict::degraded(error));
    }
    let flags = ["/status/ready", "/status/available", "/status/healthy", "/status/succeeded"];
    let flag = flags.iter().find_map(|flag| view.at(flag).and_then(Value::as_bool))?;
    Some(if flag { Verdict::healthy() } else { Verdict::progressing("not ready yet") })
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

//! What single words of a status mean: phases, states and reasons.

use model::Health;

/// Words of `status.phase` and its kin, in lower case and without anything between their letters.
const PHASES: &[(Health, &[&str])] = &[
    (
        Health::Healthy,
        &[
            "accepted",
            "active",
            "allocated",
            "applied",
            "approved",
            "available",
            "bound",
            "complete",
            "completed",
            "connected",
            "created",
            "deployed",
            "done",
            "enabled",
            "established",
            "finished",
            "green",
            "healthy",
            "initialized",
            "installed",
            "ok",
            "online",
            "open",
            "provisioned",
            "reconciled",
            "ready",
            "registered",
            "running",
            "stable",
            "steady",
            "succeeded",
            "success",
            "successful",
            "synced",
            "up",
            "updated",
            "uptodate",
            "valid",
        ],
    ),
    (Health::Suspended, &["disabled", "halted", "hibernated", "paused", "stopped", "suspended"]),
    (
        Health::Progressing,
        &[
            "inprogress",
            "inqueue",
            "new",
            "notready",
            "pending",
            "queued",
            "requested",
            "scheduled",
            "submitted",
            "yellow",
        ],
    ),
    (
        Health::Degraded,
        &[
            "aborted",
            "broken",
            "canceled",
            "cancelled",
            "conflict",
            "crashloopbackoff",
            "critical",
            "degraded",
            "denied",
            "disconnected",
            "down",
            "faulted",
            "invalid",
            "lost",
            "offline",
            "red",
            "rejected",
            "stalled",
            "unavailable",
            "unhealthy",
            "unreachable",
        ],
    ),
];

/// Parts of a reason that say that waiting is not the cure.
const BAD: &[&str] = &[
    "fail", "error", "invalid", "denied", "notfound", "timeout", "exceeded", "rejected", "conflict",
];
/// Parts of a reason that say that it is on its way.
const BUSY: &[&str] = &[
    "creating",
    "deleting",
    "dependencynotready",
    "deploying",
    "inprogress",
    "initializ",
    "installing",
    "pending",
    "progressing",
    "provisioning",
    "reconciling",
    "rolling",
    "scaling",
    "starting",
    "updating",
    "upgrading",
    "waiting",
];
/// Parts of a reason that say that it is held on purpose.
const HELD: &[&str] = &["paused", "suspended", "hibernat"];

fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn has(word: &str, parts: &[&str]) -> bool {
    let word = plain(word);
    parts.iter().any(|part| word.contains(part))
}

/// Whether a reason tells of a fault.
pub(super) fn bad(reason: &str) -> bool {
    has(reason, BAD)
}

/// Whether a reason tells of work.
pub(super) fn busy(reason: &str) -> bool {
    has(reason, BUSY)
}

/// Whether a reason tells of a pause.
pub(super) fn held(reason: &str) -> bool {
    has(reason, HELD)
}

/// What a phase means; `None` when it is none of those that are understood.
pub(super) fn phase(word: &str) -> Option<Health> {
    let word = plain(word);
    if let Some((health, _)) = PHASES.iter().find(|(_, words)| words.contains(&word.as_str())) {
        return Some(*health);
    }
    if ["fail", "error"].iter().any(|part| word.contains(part)) {
        Some(Health::Degraded)
    } else if word.ends_with("ing") || BUSY.iter().any(|part| word.contains(part)) {
        Some(Health::Progressing)
    } else {
        None
    }
}

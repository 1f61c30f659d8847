//! Before any rule: is the object on its way out, and is its status about what we applied?
//!
//! The answer to an update still carries the old status: `Available=True`, all replicas ready. Whoever
//! believes it calls a release healthy that has not begun.

use std::cmp::Ordering;
use std::time::Duration;

use model::{Health, Reason};
use serde_json::Value;

use super::Verdict;
use super::view::View;

/// How long after our write a status is not believed that does not say which generation it is about.
const SETTLE: Duration = Duration::from_secs(2);
/// How long an object may take to go.
const TERMINATING_MAX: Duration = Duration::from_mins(2);
/// Finalizers and conditions that a message names.
const NAMED_MAX: usize = 3;

/// How a kind tells which generation its status is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observes {
    /// It publishes `status.observedGeneration`, always.
    Generation,
    /// It has a status and no such field: give its controller a moment.
    Settles,
    /// A custom resource: by the field when it has one, by time when not.
    IfItSays,
    /// The rule looks at nothing that could be old.
    Nothing,
    /// There is no status to look at: metadata is enough.
    Existence,
}

/// On its way out.
pub(super) fn terminating(view: View<'_>) -> Option<Verdict> {
    let since = view.at("/metadata/deletionTimestamp").and_then(Value::as_str)?;
    let finalizers: Vec<&str> = view
        .at("/metadata/finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .take(NAMED_MAX)
        .collect();
    let mut message = "being deleted".to_owned();
    if !finalizers.is_empty() {
        message.push_str(&format!("; held by {}", finalizers.join(", ")));
    }
    let holding = |kind: &str| {
        [
            "NamespaceContentRemaining",
            "NamespaceFinalizersRemaining",
            "NamespaceDeletionDiscoveryFailure",
        ]
        .contains(&kind)
    };
    for condition in view.conditions().filter(|c| c.is_true() && holding(c.kind())).take(NAMED_MAX)
    {
        message.push_str(&format!("; {}", condition.message()));
    }
    if view.timeless() {
        return Some(Verdict::new(Health::Progressing, Reason::Terminating, message));
    }
    let late = view.since(since).and_then(|held| TERMINATING_MAX.checked_sub(held));
    Some(match late.filter(|left| !left.is_zero()) {
        Some(left) => {
            Verdict::new(Health::Progressing, Reason::Terminating, message).again_in(left)
        }
        None => Verdict::new(Health::Degraded, Reason::Terminating, message),
    })
}

/// Not observed yet.
pub(super) fn stale(view: View<'_>, how: Observes) -> Option<Verdict> {
    if let Some(verdict) = by_version(view) {
        return Some(verdict);
    }
    let generation = view.generation();
    let observed = view.at("/status/observedGeneration").and_then(Value::as_i64);
    match (how, observed) {
        (Observes::Nothing | Observes::Existence, _) => None,
        (Observes::Generation | Observes::IfItSays | Observes::Settles, Some(observed)) => {
            let seen = format!("generation {generation}, controller has seen {observed}");
            (observed < generation).then(|| said(seen))
        }
        (Observes::Generation, None) => Some(said("the controller has not looked at it yet")),
        (Observes::Settles | Observes::IfItSays, None) => settling(view),
    }
}

/// Not observed yet, for a reason.
pub(super) fn said(why: impl AsRef<str>) -> Verdict {
    Verdict::new(Health::Progressing, Reason::NotObservedYet, why)
}

/// What is known is older than our last write.
pub(super) fn by_version(view: View<'_>) -> Option<Verdict> {
    let seen = view.text("/metadata/resourceVersion");
    let behind = view.context.applied_rv.as_deref().is_some_and(|ours| older(seen, ours));
    behind.then(|| said("what is known is older than the last write"))
}

/// Written so short a time ago that its status may be the old one.
pub(super) fn settling(view: View<'_>) -> Option<Verdict> {
    let left = SETTLE.checked_sub(view.context.since_apply?).filter(|left| !left.is_zero())?;
    let message = "applied a moment ago; its status may be old";
    Some(Verdict::new(Health::Progressing, Reason::NotObservedYet, message).again_in(left))
}

/// Whether resource version `a` is older than `b`. They are decimal numbers of any length; where a
/// server uses something else, nothing is concluded.
fn older(a: &str, b: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !number(a) || !number(b) {
        return false;
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b)) == Ordering::Less
}

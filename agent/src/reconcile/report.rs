//! Step 5: from what was done and seen to what is told. No client.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Health, ObjectKey, Reason};
use plan::{Desired, Failure, FightDetector, Observation, Scrubber, Sync, Verdict};

use super::Shared;
use super::stuck::Pods;

/// Pause before something is tried again that named none.
const RETRY: Duration = Duration::from_secs(1);
/// Pause before what cannot be cured by waiting is tried again all the same.
const RETRY_TERMINAL: Duration = Duration::from_mins(10);

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Whether waiting will not help.
    pub(super) terminal: bool,
    /// Whether it only means "not yet": nothing failed.
    pub(super) patient: bool,
    /// When to try again.
    pub(super) retry: Duration,
}

impl Trouble {
    /// Waiting will not help.
    pub(super) fn terminal(reason: Reason, message: impl Into<String>) -> Trouble {
        let message = message.into();
        Trouble { reason, message, terminal: true, patient: false, retry: RETRY_TERMINAL }
    }

    /// Something is wrong that may pass.
    pub(super) fn waiting(reason: Reason, message: impl Into<String>) -> Trouble {
        let message = message.into();
        Trouble { reason, message, terminal: false, patient: false, retry: RETRY }
    }

    /// Nothing is wrong; it takes its time.
    pub(super) fn not_yet(reason: Reason, message: impl Into<String>) -> Trouble {
        Trouble { patient: true, ..Trouble::waiting(reason, message) }
    }

    pub(super) fn unreachable(fault: &crate::cluster::Error) -> Trouble {
        Trouble::waiting(Reason::ApiServerUnreachable, crate::fault::causes(fault))
    }

    pub(super) fn of(failure: &Failure) -> Trouble {
        Trouble {
            reason: failure.reason,
            message: failure.message.clone(),
            terminal: failure.terminal,
            patient: !failure.terminal && failure.reason.state() != model::State::Failed,
            retry: failure.retry.unwrap_or(if failure.terminal { RETRY_TERMINAL } else { RETRY }),
        }
    }

    /// Says about which object.
    pub(super) fn about(mut self, key: &ObjectKey) -> Trouble {
        let name = key.to_string();
        if !self.message.contains(&name) {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }
}

/// What a round came to.
#[derive(Debug, Default)]
pub(super) struct Acted {
    /// Desired objects that stand in the way.
    pub(super) troubles: BTreeMap<ObjectKey, Trouble>,
    /// What is no longer desired and not gone yet, or anything else without a desired object.
    pub(super) others: Vec<Trouble>,
    /// A newer grant cut it short.
    pub(super) preempted: bool,
    /// Objects written.
    pub(super) written: usize,
}

impl Acted {
    /// Nothing was done because of `trouble`.
    pub(super) fn nothing(trouble: Trouble) -> Acted {
        Acted { others: vec![trouble], ..Acted::default() }
    }

    fn all(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.values().chain(&self.others)
    }

    /// Whether everything is applied and removed.
    pub(super) fn is_done(&self) -> bool {
        !self.preempted && self.troubles.is_empty() && self.others.is_empty()
    }

    /// Whether something cannot be done, and waiting will not help.
    pub(super) fn has_failed(&self) -> bool {
        self.all().any(|trouble| trouble.terminal)
    }

    /// When to try again; `None`: nothing to try.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.all().map(|t| t.retry).min()
    }

    /// How far the sync is, in the words of the report.
    fn sync(&self, scrubber: &Scrubber) -> Sync {
        let worst = self.all().filter(|t| !t.patient).max_by_key(|t| t.terminal);
        match worst {
            Some(trouble) => Sync::Failed {
                reason: trouble.reason,
                message: scrubber.scrub(&trouble.message),
                terminal: trouble.terminal,
            },
            None if self.is_done() => Sync::Done,
            None => Sync::Underway,
        }
    }
}

/// What is known beside what was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) shared: &'a Shared,
    pub(super) desired: &'a Desired,
    pub(super) scrubber: &'a Scrubber,
    pub(super) fights: &'a FightDetector,
    pub(super) pods: &'a Pods,
}

/// A verdict for each desired object.
pub(super) fn verdicts(seen: Seen<'_>, acted: &Acted) -> BTreeMap<ObjectKey, Verdict> {
    let now = seen.shared.clock.elapsed();
    let of = |key: &ObjectKey| {
        let live = seen.shared.mirror.verdict(key);
        if let Some(trouble) = acted.troubles.get(key) {
            let health = match (&live, trouble.patient) {
                (_, true) => Health::Progressing,
                (None, false) if trouble.terminal => Health::Missing,
                (_, false) => Health::Degraded,
            };
            let message = seen.scrubber.scrub(&trouble.message);
            let verdict = Verdict::new(health, trouble.reason, message);
            return Verdict { terminal: trouble.terminal, ..verdict };
        }
        if let Some(fight) = seen.fights.fight(key, now) {
            let who = fight.manager.as_deref().unwrap_or("another writer");
            let message = format!("`{who}` rewrote it {} times", fight.corrections);
            return Verdict::new(Health::Degraded, Reason::Fighting, message);
        }
        let unjudged = seen.desired.get(key).is_some_and(|object| object.choices.unjudged);
        if unjudged && live.as_ref().is_some_and(|verdict| verdict.health != Health::Missing) {
            return Verdict::unjudged();
        }
        let verdict = live.unwrap_or_else(|| {
            Verdict::new(Health::Progressing, Reason::NotObservedYet, "not seen yet")
        });
        seen.pods.explain(key, verdict)
    };
    seen.desired.objects().keys().map(|key| (key.clone(), of(key))).collect()
}

/// The observation of one round.
pub(super) fn observation(
    acted: &Acted,
    scrubber: &Scrubber,
    verdicts: &BTreeMap<ObjectKey, Verdict>,
    drifted: u32,
) -> Observation {
    let all = verdicts.iter().map(|(key, verdict)| (key.clone(), verdict.clone()));
    Observation::new(acted.sync(scrubber), all, drifted)
}

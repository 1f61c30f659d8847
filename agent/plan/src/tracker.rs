//! From what was seen to what is reported: phase and durations of one App.
//!
//! Durations come from the monotonic time that the caller passes, so that neither a hub clock nor a
//! cluster clock can fake or destroy evidence. A new epoch begins at zero.

use std::time::Duration;

use model::{Epoch, Grant, Health, ObjectKey, ObjectStatus, Phase, Reason, Report};

use crate::health::Verdict;
use crate::redact::clip;

/// A flap shorter than this does not leave `Healthy`; the healthy time starts again nevertheless.
const WORSE_AFTER: Duration = Duration::from_secs(1);
/// `Degraded` becomes `Healthy` after so long without a fault.
const BETTER_AFTER: Duration = Duration::from_secs(5);
/// Unhealthy objects that a report names.
pub(crate) const UNHEALTHY_MAX: usize = 10;

/// How far a sync has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sync {
    /// Not through: something is still to be applied, waited for, or removed.
    Underway,
    /// Everything of this epoch is applied and pruned.
    Done,
    /// Something cannot be done. `terminal` when waiting will not help.
    Failed {
        /// The first cause.
        reason: Reason,
        /// For people; scrubbed.
        message: String,
        /// Whether waiting will not help.
        terminal: bool,
    },
}

/// One object as judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// As reported.
    pub status: ObjectStatus,
    /// Whether waiting will not help.
    pub terminal: bool,
}

/// All that is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The sync.
    pub sync: Sync,
    /// Objects of the grant.
    pub objects_total: u32,
    /// Those that are healthy (or suspended on purpose).
    pub objects_healthy: u32,
    /// Corrections and reported drifts since the epoch began.
    pub drifted: u32,
    /// Those that are not healthy.
    pub unhealthy: Vec<Observed>,
}

impl Observation {
    /// Counts verdicts. A plain suspension is nobody's fault and counts as healthy; the worst come first.
    pub fn new(
        sync: Sync,
        verdicts: impl IntoIterator<Item = (ObjectKey, Verdict)>,
        drifted: u32,
    ) -> Observation {
        let mut seen = Observation {
            sync,
            objects_total: 0,
            objects_healthy: 0,
            drifted,
            unhealthy: Vec::new(),
        };
        for (key, verdict) in verdicts {
            seen.objects_total = seen.objects_total.saturating_add(1);
            if verdict.is_settled() {
                seen.objects_healthy = seen.objects_healthy.saturating_add(1);
                continue;
            }
            let Verdict { health, reason, message, terminal, .. } = verdict;
            let status = ObjectStatus { key, health, reason, message };
            seen.unhealthy.push(Observed { status, terminal });
        }
        seen.unhealthy.sort_by(|a, b| {
            let worst = |o: &Observed| (o.terminal, o.status.health);
            worst(b).cmp(&worst(a)).then_with(|| a.status.key.cmp(&b.status.key))
        });
        seen
    }
}

/// What the truth is, before debouncing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Truth {
    Applying,
    Healthy,
    Degraded { reason: Reason, message: String },
    Failed { reason: Reason, message: String },
}

/// Follows one App.
#[derive(Debug, Clone)]
pub struct Tracker {
    grant: Option<Grant>,
    began: Duration,
    last: Observation,
    truth: Truth,
    /// Since when the truth is healthy without a gap, or is not healthy without a gap.
    since: Duration,
    /// Since when it is unhealthy after having been healthy, or failed.
    bad_since: Option<Duration>,
    shown: Truth,
    was_healthy: bool,
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker::new()
    }
}

impl Tracker {
    /// Holds no grant.
    pub fn new() -> Tracker {
        let nothing = Observation {
            sync: Sync::Underway,
            objects_total: 0,
            objects_healthy: 0,
            drifted: 0,
            unhealthy: Vec::new(),
        };
        Tracker {
            grant: None,
            began: Duration::ZERO,
            last: nothing,
            truth: Truth::Applying,
            since: Duration::ZERO,
            bad_since: None,
            shown: Truth::Applying,
            was_healthy: false,
        }
    }

    /// Takes a grant; another epoch than before forgets everything. Also called after an agent restart.
    pub fn begin(&mut self, grant: Grant, now: Duration) {
        if self.grant != Some(grant) {
            *self = Tracker { grant: Some(grant), began: now, since: now, ..Tracker::new() };
        }
    }

    /// Takes an observation.
    pub fn observe(&mut self, observation: Observation, now: Duration) {
        let truth = truth(&observation, self.was_healthy);
        let healthy = truth == Truth::Healthy;
        if healthy != (self.truth == Truth::Healthy) {
            self.settle(now);
            self.since = now;
        }
        let bad = match &truth {
            Truth::Healthy => false,
            Truth::Failed { .. } => true,
            Truth::Applying | Truth::Degraded { .. } => {
                self.was_healthy || self.bad_since.is_some()
            }
        };
        self.bad_since = bad.then(|| self.bad_since.unwrap_or(now));
        self.truth = truth;
        self.last = observation;
        self.settle(now);
    }

    /// Lets a debounce that has run out take effect.
    fn settle(&mut self, now: Duration) {
        let held = now.saturating_sub(self.since);
        let due = match (&self.shown, &self.truth) {
            (Truth::Healthy, Truth::Healthy)
            | (Truth::Applying, Truth::Healthy | Truth::Applying) => true,
            (Truth::Healthy | Truth::Applying, _) => held >= WORSE_AFTER,
            (Truth::Degraded { .. } | Truth::Failed { .. }, Truth::Healthy) => held >= BETTER_AFTER,
            (Truth::Degraded { .. } | Truth::Failed { .. }, _) => true,
        };
        if due {
            self.shown = self.truth.clone();
            self.was_healthy |= self.truth == Truth::Healthy;
        }
    }

    /// How long until a report could say something else by time alone.
    pub fn wake_in(&self, now: Duration) -> Option<Duration> {
        (self.shown != self.truth).then(|| {
            let debounce = match self.truth {
                Truth::Healthy => BETTER_AFTER,
                Truth::Applying | Truth::Degraded { .. } | Truth::Failed { .. } => WORSE_AFTER,
            };
            (self.since + debounce).saturating_sub(now)
        })
    }

    /// The report at `now`. `boot`, `seq` and `fence` are the shell's.
    pub fn report(&mut self, now: Duration, boot: u64, seq: u64, fence: Epoch) -> Report {
        self.settle(now);
        let held = now.saturating_sub(self.since);
        let healthy = self.truth == Truth::Healthy && self.shown == Truth::Healthy;
        let unhealthy = self.last.unhealthy.iter().take(UNHEALTHY_MAX);
        Report {
            boot,
            seq,
            epoch: self.grant.map_or(Epoch::NONE, |g| g.epoch),
            digest: self.grant.map(|g| g.digest),
            fence,
            phase: self.shown.phase(),
            healthy_for: if healthy { held } else { Duration::ZERO },
            bad_for: self.bad_since.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            applying_for: self.grant.map_or(Duration::ZERO, |_| now.saturating_sub(self.began)),
            objects_total: self.last.objects_total,
            objects_healthy: self.last.objects_healthy,
            drifted: self.last.drifted,
            unhealthy: unhealthy.map(|o| o.status.clone()).collect(),
        }
    }
}

impl Truth {
    fn phase(&self) -> Phase {
        match self.clone() {
            Truth::Applying => Phase::Applying,
            Truth::Healthy => Phase::Healthy,
            Truth::Degraded { reason, message } => Phase::Degraded { reason, message },
            Truth::Failed { reason, message } => Phase::Failed { reason, message },
        }
    }
}

/// The worst of it. Healthy only when the sync is through and every object is well.
fn truth(seen: &Observation, was_healthy: bool) -> Truth {
    let told = |o: &Observed| {
        (
            o.status.reason.unwrap_or(Reason::HealthUnknown),
            clip(&format!("{}: {}", o.status.key, o.status.message)),
        )
    };
    if let Sync::Failed { reason, message, terminal } = &seen.sync {
        let (reason, message) = (*reason, message.clone());
        return if *terminal {
            Truth::Failed { reason, message }
        } else {
            Truth::Degraded { reason, message }
        };
    }
    if let Some((reason, message)) = seen.unhealthy.iter().find(|o| o.terminal).map(told) {
        return Truth::Failed { reason, message };
    }
    let broken = |o: &&Observed| o.status.health > Health::Progressing;
    if let Some((reason, message)) = seen.unhealthy.iter().find(broken).map(told) {
        return Truth::Degraded { reason, message };
    }
    match seen.unhealthy.first().map(told) {
        Some((reason, message)) if was_healthy => Truth::Degraded { reason, message },
        Some(_) => Truth::Applying,
        None if seen.sync == Sync::Underway => Truth::Applying,
        None => Truth::Healthy,
    }
}

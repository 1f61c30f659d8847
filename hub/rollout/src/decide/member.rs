//! What the members of the active rollout proved, or failed to prove.

use model::{ClusterUid, Phase, Report};

use crate::{
    bug::Bug,
    event::{Event, MemberChange},
    evidence::{FLAP, Look},
    spec::WaveSettings,
    state::{DeferredWhy, FailureWhy, Holding, Member, MemberState, Rollout, WaveState},
};

/// Dark time is written down in steps of this share of the grace: a hub that crashes forgets at most one.
pub(crate) const DARK_STEPS: u32 = 4;

/// The next change of one member.
pub(crate) fn change(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
) -> Option<Event> {
    if member.state != MemberState::Departed && look.is_deleted(uid) {
        return Some(Event::Departed { cluster: uid.clone(), at: look.now.wall });
    }
    Case { look, rollout, uid, member }.decide()
}

/// One member under examination.
#[derive(Clone, Copy)]
struct Case<'a> {
    look: Look<'a>,
    rollout: &'a Rollout,
    uid: &'a ClusterUid,
    member: &'a Member,
}

impl Case<'_> {
    fn decide(self) -> Option<Event> {
        match &self.member.state {
            MemberState::Queued => self.queued(),
            MemberState::Updating { .. } | MemberState::Verifying => {
                self.dark().or_else(|| self.exposed())
            }
            MemberState::Recalling { inherited: false } => self.dark(),
            MemberState::Recalling { inherited: true } => self.defer(),
            MemberState::Updated => self.updated(),
            MemberState::Failed { .. } => self.failed(),
            MemberState::Deferred { .. } => self.deferred(),
            MemberState::Unchanged | MemberState::Skipped | MemberState::Departed => None,
        }
    }

    fn queued(self) -> Option<Event> {
        if self.wave() != WaveState::Open {
            return None;
        }
        let holding = self.look.app.holding(self.uid).filter(|h| h.is_settled());
        let confirmed = holding.and_then(|h| h.confirmed);
        // A second attempt of this very rollout holds the digest already, and must still prove it.
        let equal = |g: crate::state::Given| {
            g.grant.digest == self.member.target && g.rollout != self.rollout.id
        };
        if confirmed.is_some_and(equal) {
            return self.event(MemberChange::Unchanged);
        }
        self.kept().or_else(|| if self.rollout.is_rollback() { None } else { self.defer() })
    }

    /// A person keeps it away. A cordon gives way to a rollback, a pin to nothing.
    fn kept(self) -> Option<Event> {
        let cluster = self.look.cluster(self.uid)?;
        let why = if cluster.pin.is_some() {
            DeferredWhy::Pinned
        } else if cluster.cordon.is_some() && !self.rollout.is_rollback() {
            DeferredWhy::Cordoned
        } else {
            return None;
        };
        self.event(MemberChange::Deferred { why })
    }

    /// Dark before it was exposed to this release: left out, no budget.
    fn defer(self) -> Option<Event> {
        let dark = self.look.is_dark(self.uid, self.settings().offline.stale_after);
        let why = DeferredWhy::DarkBefore;
        dark.then(|| self.event(MemberChange::Deferred { why })).flatten()
    }

    fn deferred(self) -> Option<Event> {
        if self.wave() != WaveState::Open || self.kept().is_some() {
            return None;
        }
        let back = self.look.is_fresh(self.uid, self.settings().offline.stale_after);
        back.then(|| self.event(MemberChange::Requeued)).flatten()
    }

    /// Exposed and silent. A release that cuts the network looks exactly like this, so it counts.
    fn dark(self) -> Option<Event> {
        let offline = self.settings().offline;
        if !self.look.is_dark(self.uid, offline.stale_after) {
            return None;
        }
        if self.look.dark_time(self.uid, offline.stale_after) > offline.grace {
            return self.fail(FailureWhy::DarkAfterGrant, String::new());
        }
        if self.look.dark_unrecorded(self.uid, offline.stale_after) < offline.grace / DARK_STEPS {
            return None;
        }
        let (since, counted) = self.look.dark_mark(self.uid, offline.stale_after);
        Some(Event::Dark {
            cluster: self.uid.clone(),
            term: self.look.now.term,
            since,
            counted,
            at: self.look.now.wall,
        })
    }

    /// Granted, and not yet proved.
    fn exposed(self) -> Option<Event> {
        let silent = || self.look.is_dark(self.uid, self.settings().offline.stale_after);
        if self.look.app.has(Bug::DarkIsHealthy) && silent() {
            return self.event(MemberChange::Updated);
        }
        let report = self.look.evidence(self.rollout, self.uid, self.member)?;
        let verifying = self.member.state == MemberState::Verifying;
        match &report.phase {
            Phase::Healthy if report.healthy_for >= self.settings().min_healthy => {
                return self.event(MemberChange::Updated);
            }
            Phase::Healthy if !verifying => return self.event(MemberChange::Verifying),
            Phase::Failed { reason, message } => {
                return self.fail(FailureWhy::AgentFailed(*reason), message.clone());
            }
            Phase::Degraded { message, .. } if verifying && report.bad_for >= FLAP => {
                return self.fail(FailureWhy::Degraded, message.clone());
            }
            Phase::Healthy | Phase::Degraded { .. } | Phase::Applying => {}
        }
        // One that is healthy now became so at `applying_for - healthy_for`: in time, or not.
        let took = report.applying_for.saturating_sub(report.healthy_for);
        let late = took > self.settings().progress_deadline;
        late.then(|| self.fail(FailureWhy::ProgressDeadline, complaint(report))).flatten()
    }

    /// Proved, and watched until the rollout ends.
    fn updated(self) -> Option<Event> {
        if matches!(self.wave(), WaveState::Open | WaveState::Proving)
            && let Some(event) = self.dark()
        {
            return Some(event);
        }
        let report = self.look.evidence(self.rollout, self.uid, self.member)?;
        let regressed = match &report.phase {
            Phase::Healthy => false,
            Phase::Degraded { .. } | Phase::Failed { .. } => report.bad_for >= FLAP,
            Phase::Applying => report.applying_for > self.settings().progress_deadline,
        };
        regressed.then(|| self.fail(FailureWhy::Regressed, complaint(report))).flatten()
    }

    fn failed(self) -> Option<Event> {
        let healthy = self.look.healthy_for(self.rollout, self.uid, self.member);
        if healthy.is_some_and(|d| d >= self.settings().min_healthy) {
            return self.event(MemberChange::Updated);
        }
        let again = self.member.retries(self.settings().retry.limit)
            && self.rollout.is_progressing()
            && self.wave() == WaveState::Open
            && self.look.app.holding(self.uid).is_some_and(Holding::is_settled)
            && self.waited() >= self.settings().retry.backoff;
        again.then(|| self.event(MemberChange::Requeued)).flatten()
    }

    fn waited(self) -> std::time::Duration {
        let waited = self.look.now.wall.duration_since(self.member.since);
        std::time::Duration::try_from(waited).unwrap_or_default()
    }

    fn fail(self, why: FailureWhy, message: String) -> Option<Event> {
        self.event(MemberChange::Failed { why, message })
    }

    #[expect(clippy::unnecessary_wraps, reason = "every caller ends with an optional event")]
    fn event(self, change: MemberChange) -> Option<Event> {
        Some(Event::Member {
            rollout: self.rollout.id,
            cluster: self.uid.clone(),
            change,
            at: self.look.now.wall,
        })
    }

    fn wave(self) -> WaveState {
        self.rollout.waves[self.member.wave].state
    }

    fn settings(self) -> WaveSettings {
        self.rollout.waves[self.member.wave].spec.settings
    }
}

/// The first unhealthy object of a report, or what the agent says of the whole.
pub(crate) fn complaint(report: &Report) -> String {
    if let Some(object) = report.unhealthy.first() {
        return format!("{} is {}: {}", object.key, object.health, object.message);
    }
    match &report.phase {
        Phase::Degraded { message, .. } | Phase::Failed { message, .. } => message.clone(),
        Phase::Applying | Phase::Healthy => String::new(),
    }
}

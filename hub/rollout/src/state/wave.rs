//! Waves and their members.

use jiff::Timestamp;
use model::{ClusterUid, Digest, Epoch, Reason};
use serde::{Deserialize, Serialize};

use super::person::{Approval, Override};
use crate::{gate::Gate, release::Place, spec::WaveSpec};

/// One wave of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// What was asked for.
    pub spec: WaveSpec,
    /// Where it is.
    pub state: WaveState,
    /// Members in the order of their turn; a member never changes its wave.
    pub order: Vec<ClusterUid>,
    /// Integers, frozen when it opened.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// When its timer began: first opening, or the last resume by a person.
    #[serde(default)]
    pub opened: Option<Timestamp>,
    /// Failures that a person accepted.
    #[serde(default)]
    pub accepted: u32,
    /// Who agreed to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Gates that a person opened by force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// What the measurement said so far.
    #[serde(default)]
    pub measured: Measured,
    /// Members by state; kept, so that nobody has to count ten thousand.
    pub tally: Tally,
}

/// What the measurement of a wave said so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Answers with data.
    #[serde(default)]
    pub samples: u32,
    /// Bad ones in a row.
    #[serde(default)]
    pub failing: u32,
    /// The last answer was good.
    #[serde(default)]
    pub good: bool,
    /// What the last answer said.
    #[serde(default)]
    pub message: String,
    /// When it came.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Since when it is asked.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// Members of a wave by state, and the sums that decisions rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// By state.
    pub counts: Counts,
    /// Failures that count against the budget.
    pub spent: u32,
    /// Failed ones that try again by themselves.
    pub retrying: u32,
    /// Failed for their silence: they may come back still working on the release.
    pub silent: u32,
}

/// Where a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaveState {
    /// Has not opened: earlier waves.
    Locked,
    /// Its turn, and a gate is closed.
    Gated,
    /// Members are granted.
    Open,
    /// Every member is settled; evidence must last.
    Proving,
    /// Proved.
    Passed {
        /// Nothing changed for any member, so nothing was proved.
        vacuous: bool,
    },
    /// Has no members, and may.
    Skipped,
}

/// Integers of a wave, frozen when it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Members at that time.
    pub size: u32,
    /// Clusters in flight at once.
    pub max_in_flight: u32,
    /// Failures that do not halt.
    pub max_failures: u32,
    /// Updated members that the wave needs.
    pub evidence_min: u32,
}

/// One cluster in a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Index of its wave.
    pub wave: usize,
    /// What it shall run.
    pub target: Digest,
    /// Where it is.
    pub state: MemberState,
    /// Epoch that this rollout gave it last.
    #[serde(default)]
    pub granted: Option<Epoch>,
    /// Grants in this rollout.
    #[serde(default)]
    pub attempts: u32,
    /// It was unhealthy before this rollout reached it: its failure spends no budget.
    #[serde(default)]
    pub broken_before: bool,
    /// Where it stood when it became a member, if its wave asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Box<Place>>,
    /// Since when it is in this state.
    pub since: Timestamp,
}

/// Where one cluster is in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberState {
    /// Waits for its turn.
    Queued,
    /// Granted, not yet healthy on it.
    Updating {
        /// The agent holds the grant.
        acked: bool,
    },
    /// Healthy on it, not for long enough.
    Verifying,
    /// Its grant was recalled; the agent has not yet said whether it had started.
    Recalling {
        /// The grant belongs to an earlier rollout or attempt: it takes a slot and is nobody's failure here.
        inherited: bool,
    },
    /// Proved.
    Updated,
    /// Did not prove it, or no longer does.
    Failed {
        /// Why.
        why: FailureWhy,
        /// What the agent said.
        #[serde(default)]
        message: String,
    },
    /// Left out for now; spends no budget.
    Deferred {
        /// Why.
        why: DeferredWhy,
    },
    /// Runs the content already.
    Unchanged,
    /// A person took it out.
    Skipped,
    /// Left the fleet.
    Departed,
}

/// Why a cluster failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureWhy {
    /// A terminal error; the agent's own reason.
    AgentFailed(Reason),
    /// Not healthy in time.
    ProgressDeadline,
    /// Silent for longer than the grace after the grant.
    DarkAfterGrant,
    /// Healthy, but not for long enough.
    Degraded,
    /// Was updated and became unhealthy.
    Regressed,
    /// A rollback finds nothing proven to return it to.
    NothingToReturnTo,
}

/// Why a cluster was left out for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeferredWhy {
    /// Silent before it was exposed.
    DarkBefore,
    /// A person keeps new releases away from it.
    Cordoned,
    /// A person keeps it on what it runs.
    Pinned,
}

/// Members of a wave by state; they sum to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the state of the same name")]
pub struct Counts {
    pub total: u32,
    pub queued: u32,
    pub updating: u32,
    pub verifying: u32,
    pub recalling: u32,
    pub updated: u32,
    pub failed: u32,
    pub deferred: u32,
    pub unchanged: u32,
    pub skipped: u32,
    pub departed: u32,
    /// Updated or unchanged: what a person means by "done".
    pub ready: u32,
}

impl MemberState {
    /// Whether it counts against `maxInFlight`.
    pub fn takes_slot(&self) -> bool {
        match self {
            MemberState::Updating { .. }
            | MemberState::Verifying
            | MemberState::Recalling { .. } => true,
            MemberState::Queued
            | MemberState::Updated
            | MemberState::Failed { .. }
            | MemberState::Deferred { .. }
            | MemberState::Unchanged
            | MemberState::Skipped
            | MemberState::Departed => false,
        }
    }

    /// Whether the wave waits for nothing more of it.
    pub fn is_settled(&self) -> bool {
        !self.takes_slot() && *self != MemberState::Queued
    }

    /// Whether it failed.
    pub fn is_failed(&self) -> bool {
        self.failure().is_some()
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<FailureWhy> {
        if let MemberState::Failed { why, .. } = self { Some(*why) } else { None }
    }
}

impl FailureWhy {
    /// Its entry in the registry.
    pub fn reason(self) -> Reason {
        match self {
            FailureWhy::AgentFailed(_) => Reason::AgentFailed,
            FailureWhy::ProgressDeadline => Reason::ProgressDeadline,
            FailureWhy::DarkAfterGrant => Reason::DarkAfterGrant,
            FailureWhy::Degraded => Reason::FailedWhileVerifying,
            FailureWhy::Regressed => Reason::Regressed,
            FailureWhy::NothingToReturnTo => Reason::NothingToRollBackTo,
        }
    }
}

impl Wave {
    /// Whether members can no longer join: it was approved, or it opened.
    pub fn is_frozen(&self) -> bool {
        !matches!(self.state, WaveState::Locked | WaveState::Gated) || !self.approvals.is_empty()
    }

    /// Whether a person opened a gate by force.
    pub fn overrides(&self, gate: &Gate) -> bool {
        self.overrides.iter().any(|o| o.gate == *gate && o.holds())
    }

    /// Failures that do not halt, once open.
    pub fn failures_allowed(&self) -> Option<u32> {
        self.limits.map(|l| l.max_failures.max(self.accepted))
    }
}

impl Member {
    /// Whether it gets another attempt by itself. Silence and regression are not tried again: the one
    /// cannot be reached, the other proved that the release can run there.
    pub(crate) fn retries(&self, limit: u32) -> bool {
        let worth = match self.state.failure() {
            Some(
                FailureWhy::AgentFailed(_) | FailureWhy::ProgressDeadline | FailureWhy::Degraded,
            ) => true,
            Some(
                FailureWhy::DarkAfterGrant | FailureWhy::Regressed | FailureWhy::NothingToReturnTo,
            )
            | None => false,
        };
        worth && self.attempts <= limit
    }

    fn sums(&self, spec: &WaveSpec) -> [bool; 3] {
        let failed = self.state.is_failed();
        let silent = self.state.failure() == Some(FailureWhy::DarkAfterGrant);
        [failed && !self.broken_before, self.retries(spec.settings.retry.limit), silent]
    }
}

impl Tally {
    /// Counts a member in.
    pub(crate) fn add(&mut self, member: &Member, spec: &WaveSpec) {
        self.counts.change(&member.state, |n| n + 1);
        let [spent, retrying, silent] = member.sums(spec).map(u32::from);
        self.spent += spent;
        self.retrying += retrying;
        self.silent += silent;
    }

    /// Counts a member out.
    pub(crate) fn remove(&mut self, member: &Member, spec: &WaveSpec) {
        self.counts.change(&member.state, |n| n.saturating_sub(1));
        let [spent, retrying, silent] = member.sums(spec).map(u32::from);
        self.spent = self.spent.saturating_sub(spent);
        self.retrying = self.retrying.saturating_sub(retrying);
        self.silent = self.silent.saturating_sub(silent);
    }

    /// Members that take a slot.
    pub fn in_flight(&self) -> u32 {
        self.counts.updating + self.counts.verifying + self.counts.recalling
    }

    /// Whether the wave waits for nothing more of any member.
    pub fn is_settled(&self) -> bool {
        self.counts.queued == 0 && self.in_flight() == 0 && self.retrying == 0
    }
}

impl Counts {
    fn change(&mut self, state: &MemberState, how: fn(u32) -> u32) {
        self.total = how(self.total);
        let field = match state {
            MemberState::Queued => &mut self.queued,
            MemberState::Updating { .. } => &mut self.updating,
            MemberState::Verifying => &mut self.verifying,
            MemberState::Recalling { .. } => &mut self.recalling,
            MemberState::Updated => &mut self.updated,
            MemberState::Failed { .. } => &mut self.failed,
            MemberState::Deferred { .. } => &mut self.deferred,
            MemberState::Unchanged => &mut self.unchanged,
            MemberState::Skipped => &mut self.skipped,
            MemberState::Departed => &mut self.departed,
        };
        *field = how(*field);
        if matches!(state, MemberState::Updated | MemberState::Unchanged) {
            self.ready = how(self.ready);
        }
    }

    /// Counts one member.
    pub fn add(&mut self, state: &MemberState) {
        self.change(state, |n| n + 1);
    }
}

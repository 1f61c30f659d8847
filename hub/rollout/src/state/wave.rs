//! Waves and their members.

use jiff::Timestamp;
use model::{ClusterUid, Digest, Epoch, Reason};
use serde::{Deserialize, Serialize};

use crate::spec::WaveSpec;

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
    /// Final counts of a finished rollout whose members are no longer kept.
    #[serde(default)]
    pub final_counts: Option<Counts>,
}

/// Where a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaveState {
    /// Has not opened: earlier waves, or a gate.
    Locked,
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
    /// Failures that do not halt, once open.
    pub fn failures_allowed(&self) -> Option<u32> {
        self.limits.map(|l| l.max_failures.max(self.accepted))
    }
}

impl Counts {
    /// Counts one member.
    pub fn add(&mut self, state: &MemberState) {
        self.total += 1;
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
        *field += 1;
        self.ready += u32::from(matches!(state, MemberState::Updated | MemberState::Unchanged));
    }
}

//! One release on its way through the fleet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{ClusterUid, Commit, Digest, RolloutId, WaveName};
use serde::{Deserialize, Serialize};

use super::{
    person::Actor,
    wave::{Member, MemberState, Wave, WaveState},
};
use crate::{release::Release, spec::Strategy};

/// The pace is counted over a minute.
pub(crate) const PACE_SECONDS: i64 = 60;

/// An immutable intent (release, strategy, plan) and how far it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Number within the App.
    pub id: RolloutId,
    /// Forward, or back.
    pub kind: Kind,
    /// What goes out; of a rollback, the proven release it returns to where a cluster has none of its own.
    pub release: Release,
    /// Snapshot of the strategy.
    pub strategy: Strategy,
    /// Where it is.
    pub state: RolloutState,
    /// The waves in order.
    pub waves: Vec<Wave>,
    /// Every planned cluster: in exactly one wave and one state.
    pub members: BTreeMap<ClusterUid, Member>,
    /// Some member was updated: the release is no longer unproven.
    pub proved: bool,
    /// A person accepted that a rollback failed on some clusters.
    #[serde(default)]
    pub failures_accepted: bool,
    /// Soaks are divided by this and windows are ignored: a person is in a hurry.
    #[serde(default)]
    pub expedited: Option<u32>,
    /// Grants of the last minute, when the pace is limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paced: Vec<Timestamp>,
    /// Only those that differed were planned, not every target.
    #[serde(default)]
    pub partial: bool,
    /// When it was planned.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Trace of the commit.
    #[serde(default)]
    pub trace: Option<String>,
}

/// Whether a rollout may begin by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// It begins at once.
    #[default]
    No,
    /// Until a person starts it.
    UntilStarted,
    /// Until a person resumes it: the one before was paused.
    Paused(Actor),
}

/// Direction of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A new release goes out.
    Forward,
    /// Every exposed cluster returns to what it had before.
    Rollback {
        /// The rollout that is undone.
        of: RolloutId,
    },
    /// Clusters that are no longer targets give the App up.
    Removal {
        /// The commit whose selector left them out.
        commit: Commit,
    },
}

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutState {
    /// Waits for a person to start it.
    Planned,
    /// Waves are being worked through (of a rollback: rolling back).
    Progressing,
    /// A person stopped it.
    Paused {
        /// Who and why.
        by: Actor,
        /// Since when.
        at: Timestamp,
    },
    /// It stopped itself; only a person resumes it.
    Halted {
        /// Why.
        causes: Vec<Cause>,
        /// Since when.
        at: Timestamp,
    },
    /// Terminal.
    Ended {
        /// How.
        outcome: Outcome,
        /// Who ended it, when a person did.
        by: Option<Actor>,
    },
}

/// Why a rollout stopped itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// More failures than the wave allows.
    FailureBudget {
        /// Which wave.
        wave: WaveName,
        /// How many failed.
        failed: u32,
        /// How many may.
        allowed: u32,
    },
    /// The wave was open for longer than its timeout.
    WaveTimeout {
        /// Which wave.
        wave: WaveName,
    },
    /// Clusters did not become healthy on the release they were returned to.
    RollbackFailed {
        /// How many.
        failed: u32,
    },
    /// `onFailure: rollback`, and nothing older is proven.
    NothingToRollBackTo,
    /// `onFailure: rollback`, and the release brought something that cannot simply be undone.
    RollbackUnsafe {
        /// What.
        changes: Vec<String>,
    },
    /// The measurement of a wave was bad too often in a row.
    AnalysisFailed {
        /// Which wave.
        wave: WaveName,
        /// What the last answer said.
        message: String,
    },
    /// A person rejected a wave.
    Rejected {
        /// Which wave.
        wave: WaveName,
        /// Who and why.
        by: Actor,
    },
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Every wave passed.
    Completed {
        /// Members that failed within the budget, were skipped or deferred.
        exceptions: u32,
    },
    /// Every exposed cluster was returned.
    RolledBack {
        /// Members that failed, were skipped or are still dark.
        exceptions: u32,
    },
    /// Another rollout took over.
    Superseded {
        /// Which.
        by: RolloutId,
    },
    /// A person ended it.
    Aborted,
}

impl Rollout {
    /// Whether it is a rollback.
    pub fn is_rollback(&self) -> bool {
        matches!(self.kind, Kind::Rollback { .. })
    }

    /// Whether a new release goes out.
    pub fn is_forward(&self) -> bool {
        self.kind == Kind::Forward
    }

    /// Digest of the strategy, as approvals are bound to it.
    pub fn strategy_digest(&self) -> Digest {
        let text = serde_json::to_string(&self.strategy).unwrap_or_default();
        Digest::of(text.as_bytes())
    }

    /// Digest of a wave's members, as approvals are bound to them.
    pub fn members_digest(&self, wave: usize) -> Digest {
        let order = self.waves.get(wave).map_or(&[][..], |w| &w.order);
        let names: Vec<_> = order.iter().map(ClusterUid::to_string).collect();
        Digest::of(names.join("\n").as_bytes())
    }

    /// Changes one member and keeps the wave's tally true. The only way to change a member.
    pub(crate) fn change(&mut self, uid: &ClusterUid, how: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(uid) else { return };
        let Some(wave) = self.waves.get_mut(member.wave) else { return how(member) };
        wave.tally.remove(member, &wave.spec);
        how(member);
        wave.tally.add(member, &wave.spec);
    }

    /// Adds a member at the end of a wave's line.
    pub(crate) fn admit(&mut self, uid: ClusterUid, member: Member) {
        let Some(wave) = self.waves.get_mut(member.wave) else { return };
        wave.tally.add(&member, &wave.spec);
        wave.order.push(uid.clone());
        self.members.insert(uid, member);
    }

    /// Whether grants may leave.
    pub fn is_progressing(&self) -> bool {
        self.state == RolloutState::Progressing
    }

    /// Whether it stopped itself.
    pub fn is_halted(&self) -> bool {
        matches!(self.state, RolloutState::Halted { .. })
    }

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            RolloutState::Ended { outcome, .. } => Some(*outcome),
            RolloutState::Planned
            | RolloutState::Progressing
            | RolloutState::Paused { .. }
            | RolloutState::Halted { .. } => None,
        }
    }

    /// The person who ended it, if one did.
    pub fn ended_by(&self) -> Option<&Actor> {
        match &self.state {
            RolloutState::Ended { by, .. } => by.as_ref(),
            RolloutState::Planned
            | RolloutState::Progressing
            | RolloutState::Paused { .. }
            | RolloutState::Halted { .. } => None,
        }
    }

    /// Members of a wave, in the order of their turn.
    pub fn members_of(&self, wave: usize) -> impl Iterator<Item = (&ClusterUid, &Member)> {
        let order = self.waves.get(wave).map_or(&[][..], |w| &w.order);
        order.iter().filter_map(|uid| self.members.get_key_value(uid))
    }

    /// The first wave that is neither passed nor skipped.
    pub fn current_wave(&self) -> Option<usize> {
        self.waves
            .iter()
            .position(|w| !matches!(w.state, WaveState::Passed { .. } | WaveState::Skipped))
    }

    /// Members of a wave in a state.
    pub fn count(&self, wave: usize, what: impl Fn(&MemberState) -> bool) -> u32 {
        count(self.members_of(wave).filter(|(_, m)| what(&m.state)))
    }

    /// Members of all waves that take a slot.
    pub fn in_flight(&self) -> u32 {
        self.waves.iter().map(|w| w.tally.in_flight()).sum()
    }

    /// Failures of a wave that count against its budget.
    pub fn failed(&self, wave: usize) -> u32 {
        self.waves.get(wave).map_or(0, |w| w.tally.spent)
    }

    /// Whether more members of a wave failed than a person or the wave allows.
    pub fn is_over_budget(&self, wave: usize) -> bool {
        let allowed = self.waves.get(wave).and_then(Wave::failures_allowed);
        allowed.is_some_and(|allowed| self.failed(wave) > allowed)
    }
}

/// Length of an iterator over clusters: there are never four billion.
fn count<T>(iter: impl Iterator<Item = T>) -> u32 {
    u32::try_from(iter.count()).unwrap_or(u32::MAX)
}

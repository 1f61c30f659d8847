//! What can be decided about an App. One decision is one event is one durable append.
//!
//! An event carries everything that the decision fixed and nothing that a report said beyond it. Events are
//! read back for ever: a field that is added later has a default, a variant is never reused.

use std::time::Duration;

use jiff::Timestamp;
use model::{
    ClusterName, ClusterUid, Commit, Digest, Epoch, Grant, LeaseEpoch, Revision, RolloutId,
};
use serde::{Deserialize, Serialize};

use crate::{
    act::{Act, Answer, Judgement, LaneChange},
    release::{Place, Plan, Release},
    spec::Strategy,
    state::{Actor, Cause, DeferredWhy, FailureWhy, Head, Held, Kind, Limits, Outcome},
};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The newest commit was judged and does not (now) make a rollout.
    HeadMoved {
        /// The commit and what became of it.
        head: Head,
        /// A queued commit that it replaces and that will never be rolled out.
        #[serde(default)]
        skipped: Option<Revision>,
    },
    /// A rollout begins; ends the one it supersedes and condemns in the same append.
    Started(Box<Start>),
    /// A person started a planned rollout.
    Begun {
        /// Which.
        rollout: RolloutId,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A cluster may run a digest.
    Granted {
        /// By which rollout.
        rollout: RolloutId,
        /// To whom.
        cluster: ClusterUid,
        /// Its name then.
        name: ClusterName,
        /// Epoch and digest.
        grant: Grant,
        /// It was unhealthy on what it ran.
        #[serde(default)]
        broken_before: bool,
        /// It is dark (rollback only): recorded for its return, takes no slot.
        #[serde(default)]
        dark: bool,
        /// When.
        at: Timestamp,
    },
    /// The agent holds a grant.
    Acked {
        /// Which cluster.
        cluster: ClusterUid,
        /// Which grant.
        grant: Grant,
        /// When.
        at: Timestamp,
    },
    /// The agent promised never to accept epochs up to `upto` that it does not hold.
    Fenced {
        /// Which cluster.
        cluster: ClusterUid,
        /// The promise.
        upto: Epoch,
        /// When.
        at: Timestamp,
    },
    /// An unacknowledged grant of an earlier rollout is called back, so that a newer one can be given.
    Recalled {
        /// Which cluster.
        cluster: ClusterUid,
        /// Which grant.
        epoch: Epoch,
        /// When.
        at: Timestamp,
    },
    /// What the cluster already runs, under a new epoch: it lost its state and can no longer accept the old one.
    Restored {
        /// Which cluster.
        cluster: ClusterUid,
        /// New epoch, confirmed digest.
        grant: Grant,
        /// When.
        at: Timestamp,
    },
    /// Dark time of a granted cluster was recorded, so that a restart of the hub does not forget it.
    Dark {
        /// Which cluster.
        cluster: ClusterUid,
        /// Hub process that measured it.
        term: LeaseEpoch,
        /// When the silence began, on that process's clock.
        since: Duration,
        /// Dark time of this silence so far.
        counted: Duration,
        /// When.
        at: Timestamp,
    },
    /// A person deleted the cluster.
    Departed {
        /// Which.
        cluster: ClusterUid,
        /// When.
        at: Timestamp,
    },
    /// Clusters are no longer targets, by the selector of a commit. They keep what they run.
    Untargeted {
        /// Which.
        clusters: Vec<ClusterUid>,
        /// The commit whose selector left them out.
        commit: Commit,
        /// When.
        at: Timestamp,
    },
    /// A cluster behind the proven release gets it, outside any rollout.
    CaughtUp {
        /// Which.
        cluster: ClusterUid,
        /// Its name then.
        name: ClusterName,
        /// Epoch and digest.
        grant: Grant,
        /// When.
        at: Timestamp,
    },
    /// A cluster in the catch-up lane got somewhere.
    Lane {
        /// Which.
        cluster: ClusterUid,
        /// Where.
        change: LaneChange,
        /// When.
        at: Timestamp,
    },
    /// A person condemned or absolved content.
    Judged {
        /// What.
        judgement: Judgement,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A cluster became a member of a rollout that had begun, in a wave that was not frozen.
    Joined {
        /// Which rollout.
        rollout: RolloutId,
        /// Which cluster.
        cluster: ClusterUid,
        /// Index of its wave.
        wave: usize,
        /// What it shall run.
        target: Digest,
        /// Where it stands, if its wave asks.
        #[serde(default)]
        place: Option<Box<Place>>,
        /// When.
        at: Timestamp,
    },
    /// A person did something about the active rollout.
    Acted {
        /// Which rollout.
        rollout: RolloutId,
        /// What.
        act: Act,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// The measurement of a wave was answered.
    Answered {
        /// Which rollout.
        rollout: RolloutId,
        /// Index of the wave.
        wave: usize,
        /// What the answer says.
        answer: Answer,
        /// In words.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// A member of the active rollout changed its state.
    Member {
        /// Of which rollout.
        rollout: RolloutId,
        /// Which cluster.
        cluster: ClusterUid,
        /// To what.
        change: MemberChange,
        /// When.
        at: Timestamp,
    },
    /// A wave of the active rollout changed its state.
    Wave {
        /// Of which rollout.
        rollout: RolloutId,
        /// Its index.
        wave: usize,
        /// To what.
        change: WaveChange,
        /// When.
        at: Timestamp,
    },
    /// A person stopped the rollout; every unacknowledged grant is recalled.
    Paused {
        /// Which.
        rollout: RolloutId,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// The rollout stopped itself; every unacknowledged grant is recalled.
    Halted {
        /// Which.
        rollout: RolloutId,
        /// Why.
        causes: Vec<Cause>,
        /// When.
        at: Timestamp,
    },
    /// A person let it go on.
    Resumed {
        /// Which.
        rollout: RolloutId,
        /// Who.
        by: Actor,
        /// The failures so far are accepted.
        accept: bool,
        /// When.
        at: Timestamp,
    },
    /// A person has failed clusters try again.
    Retried {
        /// Which rollout.
        rollout: RolloutId,
        /// Which clusters.
        clusters: Vec<ClusterUid>,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A person took a cluster out of the rollout.
    Skipped {
        /// Which rollout.
        rollout: RolloutId,
        /// Which cluster.
        cluster: ClusterUid,
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// The rollout is over.
    Ended {
        /// Which.
        rollout: RolloutId,
        /// How.
        outcome: Outcome,
        /// Who, when a person did.
        #[serde(default)]
        by: Option<Actor>,
        /// When.
        at: Timestamp,
    },
}

/// The beginning of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// Its number.
    pub id: RolloutId,
    /// Forward or back.
    pub kind: Kind,
    /// What goes out.
    pub release: Release,
    /// How.
    pub strategy: Strategy,
    /// In which order.
    pub plan: Plan,
    /// Only those that differ are planned, not every target: nobody joins it.
    #[serde(default)]
    pub partial: bool,
    /// It waits for a person, or keeps the pause of the one it supersedes.
    #[serde(default)]
    pub held: Held,
    /// The rollout that ends in the same append.
    #[serde(default)]
    pub supersedes: Option<RolloutId>,
    /// Contents that are never rolled out again, from the same append on.
    #[serde(default)]
    pub condemns: Vec<Digest>,
    /// A queued commit that it replaces and that will never be rolled out.
    #[serde(default)]
    pub skipped: Option<Revision>,
    /// Who, when a person did.
    #[serde(default)]
    pub by: Option<Actor>,
    /// W3C `traceparent` of the commit.
    #[serde(default)]
    pub trace: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Change of one cluster within a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MemberChange {
    /// Healthy on the grant.
    Verifying,
    /// Healthy for long enough: proved.
    Updated,
    /// Failed.
    Failed {
        /// Why.
        why: FailureWhy,
        /// What the agent said.
        message: String,
    },
    /// Left out for now.
    Deferred {
        /// Why.
        why: DeferredWhy,
    },
    /// In line again: it returned, or gets another attempt.
    Requeued,
    /// Runs the content already.
    Unchanged,
}

/// Change of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaveChange {
    /// Its turn, and a gate is closed.
    Gated,
    /// Opened; its integers are frozen.
    Opened {
        /// The integers.
        limits: Limits,
    },
    /// Has no members, and may.
    Skipped,
    /// Every member is settled.
    Proving,
    /// A member is no longer settled, or evidence fell below the minimum.
    Reopened,
    /// Proved.
    Passed {
        /// Nothing changed for any member.
        vacuous: bool,
    },
}

impl Event {
    /// When it was decided, by the hub's wall clock.
    pub fn at(&self) -> Timestamp {
        match self {
            Event::HeadMoved { head, .. } => head.at,
            Event::Started(start) => start.at,
            Event::Begun { at, .. }
            | Event::Granted { at, .. }
            | Event::Acked { at, .. }
            | Event::Fenced { at, .. }
            | Event::Recalled { at, .. }
            | Event::Restored { at, .. }
            | Event::Dark { at, .. }
            | Event::Departed { at, .. }
            | Event::Untargeted { at, .. }
            | Event::CaughtUp { at, .. }
            | Event::Lane { at, .. }
            | Event::Judged { at, .. }
            | Event::Joined { at, .. }
            | Event::Acted { at, .. }
            | Event::Answered { at, .. }
            | Event::Member { at, .. }
            | Event::Wave { at, .. }
            | Event::Paused { at, .. }
            | Event::Halted { at, .. }
            | Event::Resumed { at, .. }
            | Event::Retried { at, .. }
            | Event::Skipped { at, .. }
            | Event::Ended { at, .. } => *at,
        }
    }

    /// The rollout it belongs to, if any.
    pub fn rollout(&self) -> Option<RolloutId> {
        match self {
            Event::Started(start) => Some(start.id),
            Event::Begun { rollout, .. }
            | Event::Granted { rollout, .. }
            | Event::Joined { rollout, .. }
            | Event::Acted { rollout, .. }
            | Event::Answered { rollout, .. }
            | Event::Member { rollout, .. }
            | Event::Wave { rollout, .. }
            | Event::Paused { rollout, .. }
            | Event::Halted { rollout, .. }
            | Event::Resumed { rollout, .. }
            | Event::Retried { rollout, .. }
            | Event::Skipped { rollout, .. }
            | Event::Ended { rollout, .. } => Some(*rollout),
            Event::HeadMoved { .. }
            | Event::Acked { .. }
            | Event::Fenced { .. }
            | Event::Recalled { .. }
            | Event::Restored { .. }
            | Event::Dark { .. }
            | Event::Departed { .. }
            | Event::Untargeted { .. }
            | Event::CaughtUp { .. }
            | Event::Lane { .. }
            | Event::Judged { .. } => None,
        }
    }
}

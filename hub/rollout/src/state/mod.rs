//! What is remembered of one App between two decisions: nothing but the fold of its log.
//!
//! `App` (this file) holds the clusters and the release pointers; a `Rollout` (`rollout.rs`) is one release
//! on its way; its `Wave`s and `Member`s stand in `wave.rs`.

mod rollout;
mod wave;

mod person;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use model::{
    AppName, ClusterName, ClusterUid, Commit, Digest, Epoch, Grant, LeaseEpoch, Reason, Revision,
    RolloutId,
};
use serde::{Deserialize, Serialize};

pub use person::{Actor, Approval, Override, Role, Stage};
pub(crate) use rollout::PACE_SECONDS;
pub use rollout::{Cause, Held, Kind, Outcome, Rollout, RolloutState};
pub use wave::{
    Counts, DeferredWhy, FailureWhy, Limits, Measured, Member, MemberState, Tally, Wave, WaveState,
};

use crate::{bug::Bug, release::Release, spec::WaveSettings};

/// Finished rollouts that are kept for people; the log keeps them all.
pub(crate) const PAST_MAX: usize = 20;

/// Everything remembered of one App. `fold` of the log, or a snapshot of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// Grants per cluster, ever.
    pub clusters: BTreeMap<ClusterUid, Holding>,
    /// Newest commit and what became of it.
    pub head: Option<Head>,
    /// Release of the last completed forward rollout: the proven one.
    pub stable: Option<Release>,
    /// Rollout that made it stable.
    pub stable_rollout: Option<RolloutId>,
    /// Contents that were rolled back and are not rolled out again.
    pub condemned: BTreeMap<Digest, Condemned>,
    /// Content that a person kept away from a cluster.
    pub skipped: BTreeMap<ClusterUid, Digest>,
    /// Target set of the last forward rollout that was planned.
    pub targets: BTreeSet<ClusterUid>,
    /// Clusters that ran the App and are no longer targets: they keep what they run.
    #[serde(default)]
    pub untargeted: BTreeMap<ClusterUid, Untargeted>,
    /// Clusters that are being brought to the proven release, outside any rollout.
    #[serde(default)]
    pub lane: BTreeMap<ClusterUid, InLane>,
    /// Rules of the lane: those of the rollout that made the release proven.
    #[serde(default)]
    pub lane_rules: Option<LaneRules>,
    /// What the first of two people wants to absolve.
    #[serde(default)]
    pub absolving: Option<(Vec<Digest>, String)>,
    /// Number of the newest rollout; 0 before the first.
    pub last_id: u64,
    /// The one that is not finished.
    pub active: Option<Rollout>,
    /// Finished ones, newest first, at most `PAST_MAX`; all but the first without their members.
    pub past: Vec<Rollout>,
    #[cfg(feature = "mutations")]
    #[serde(skip)]
    pub(crate) seeded: Option<Bug>,
}

/// What one cluster holds or may hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Name when the hub last decided about it.
    pub name: ClusterName,
    /// Highest epoch ever issued to it: the next grant takes the one after, whatever became of this one.
    pub issued: Epoch,
    /// Last grant the agent acknowledged.
    #[serde(default)]
    pub confirmed: Option<Given>,
    /// Grants above `confirmed` that are neither acknowledged nor proven unexposed, ascending. One, or two
    /// when a rollback was stacked on an unacknowledged grant.
    #[serde(default)]
    pub outstanding: Vec<Given>,
    /// The newest outstanding grant is being recalled: the agent is told a fence.
    #[serde(default)]
    pub recalled: bool,
    /// Digests with which it was proven good, newest first, at most two.
    #[serde(default)]
    pub good: Vec<Digest>,
    /// Dark time since the newest grant.
    #[serde(default)]
    pub dark: DarkClock,
    /// The cluster was deleted; its uid never comes back.
    #[serde(default)]
    pub departed: bool,
}

/// A grant and the rollout that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// Epoch and digest.
    pub grant: Grant,
    /// By which rollout.
    pub rollout: RolloutId,
}

/// Why the App no longer manages a cluster. Connectivity is never a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Untargeted {
    /// The commit whose selector left it out.
    pub commit: Commit,
    /// Since when.
    pub at: Timestamp,
}

/// A cluster in the catch-up lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InLane {
    /// The grant of the proven release.
    pub grant: Grant,
    /// Why it failed there; it takes no slot then. `None` while it is on its way.
    #[serde(default)]
    pub failed: Option<(FailureWhy, String)>,
    /// Since when.
    pub since: Timestamp,
}

/// Limits and times of the catch-up lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneRules {
    /// Clusters in it at once.
    pub max_in_flight: u32,
    /// What healthy, late and dark mean.
    pub settings: WaveSettings,
}

/// Dark time of a cluster since its newest grant, summed over silences and hub processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DarkClock {
    /// Sum of what was recorded.
    pub spent: Duration,
    /// The silence that was recorded last: hub process, when it began, how much of it is in `spent`.
    pub mark: Option<(LeaseEpoch, Duration, Duration)>,
}

/// The newest commit and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Commit and ref.
    pub revision: Revision,
    /// First line of the commit message.
    #[serde(default)]
    pub subject: String,
    /// Digest of its variants.
    pub content: Digest,
    /// What became of it.
    pub verdict: Verdict,
    /// Since when.
    pub at: Timestamp,
}

/// What became of the newest commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is, or was, this rollout.
    Rollout(RolloutId),
    /// Clusters run its content already.
    Unchanged,
    /// It waits for the active rollout.
    Queued,
    /// It cannot be rolled out; the previous state stays in force.
    Refused {
        /// Why.
        reason: Reason,
        /// In words.
        message: String,
    },
}

/// Why a content is not rolled out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    /// The rollout that failed with it.
    pub rollout: RolloutId,
    /// When it was condemned.
    pub at: Timestamp,
}

impl App {
    /// An App of which nothing is known.
    pub fn new(name: AppName) -> App {
        App {
            name,
            clusters: BTreeMap::new(),
            head: None,
            stable: None,
            stable_rollout: None,
            condemned: BTreeMap::new(),
            skipped: BTreeMap::new(),
            targets: BTreeSet::new(),
            untargeted: BTreeMap::new(),
            lane: BTreeMap::new(),
            lane_rules: None,
            absolving: None,
            last_id: 0,
            active: None,
            past: Vec::new(),
            #[cfg(feature = "mutations")]
            seeded: None,
        }
    }

    /// What is known of the grants of a cluster.
    pub fn holding(&self, cluster: &ClusterUid) -> Option<&Holding> {
        self.clusters.get(cluster)
    }

    /// The rollout with that number, if it is active or remembered.
    pub fn rollout(&self, id: RolloutId) -> Option<&Rollout> {
        self.active.iter().chain(&self.past).find(|r| r.id == id)
    }

    /// Every content that this state speaks of: what it may grant, serve or show.
    pub fn manifests(&self) -> BTreeSet<Digest> {
        let rollouts = self.active.iter().chain(&self.past);
        let releases = rollouts.clone().map(|r| &r.release).chain(&self.stable);
        let members = rollouts.flat_map(|r| r.members.values().map(|m| m.target));
        let held = self.clusters.values().flat_map(|h| {
            let given = h.confirmed.iter().chain(&h.outstanding).map(|g| g.grant.digest);
            given.chain(h.good.iter().copied())
        });
        let lane = self.lane.values().map(|l| l.grant.digest);
        let planned = releases.flat_map(|r| r.variants.values().copied());
        planned.chain(members).chain(held).chain(lane).collect()
    }

    /// Number of the next rollout.
    pub fn next_id(&self) -> RolloutId {
        RolloutId(self.last_id + 1)
    }

    /// Seeds a bug; lost when the state is folded anew.
    #[cfg(feature = "mutations")]
    pub fn seed(&mut self, bug: Option<Bug>) {
        self.seeded = bug;
    }

    #[cfg(feature = "mutations")]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.seeded == Some(bug)
    }

    #[cfg(not(feature = "mutations"))]
    #[expect(clippy::unused_self, reason = "the same call with and without seeded bugs")]
    pub(crate) fn has(&self, _: Bug) -> bool {
        false
    }
}

impl Holding {
    /// A cluster that was never granted anything.
    pub fn new(name: ClusterName) -> Holding {
        Holding {
            name,
            issued: Epoch::NONE,
            confirmed: None,
            outstanding: Vec::new(),
            recalled: false,
            good: Vec::new(),
            dark: DarkClock::default(),
            departed: false,
        }
    }

    /// The grant that the hub wants the cluster to hold: the newest one that is not recalled.
    pub fn current(&self) -> Option<&Given> {
        if self.recalled { self.confirmed.as_ref() } else { self.newest() }
    }

    /// The newest grant the agent may hold.
    pub fn newest(&self) -> Option<&Given> {
        self.outstanding.last().or(self.confirmed.as_ref())
    }

    /// Whether the agent may run, or come to run, `digest`.
    pub fn may_run(&self, digest: &Digest) -> bool {
        self.confirmed.iter().chain(&self.outstanding).any(|g| g.grant.digest == *digest)
    }

    /// Whether every grant is acknowledged or proven unexposed.
    pub fn is_settled(&self) -> bool {
        self.outstanding.is_empty()
    }
}

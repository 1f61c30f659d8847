//! What the shell observed: the newest release, the clusters, the time. Soft state, never in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use model::{
    AppName, ClusterName, ClusterUid, Commit, Facts, Labels, LeaseEpoch, Report, Revision,
};

use crate::{
    release::{Release, Variants},
    spec::{Strategy, Targets},
};

/// The time, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock; may jump. Only `timeout`, `backoff` and texts look at it.
    pub wall: Timestamp,
    /// Monotonic time since this hub process started.
    pub mono: Duration,
    /// Which hub process: `mono` of different terms cannot be compared.
    pub term: LeaseEpoch,
    /// The wall clock jumped a moment ago (see [`crate::STEP`]): windows and approvals wait until it is
    /// known to stand still again.
    pub stepped: bool,
}

/// Everything a decision may look at besides the state and the time.
#[derive(Debug, Clone, Default)]
pub struct Obs {
    /// The newest commit, rendered; `None` when there is none (yet): absence decides nothing.
    pub candidate: Option<Arc<Candidate>>,
    /// The proven release, rendered for the clusters that are targets now; `None` when that is not known.
    pub proven: Option<Proven>,
    /// All registered clusters, and deleted ones as long as an App remembers them.
    pub clusters: BTreeMap<ClusterUid, ClusterObs>,
    /// Freezes of the fleet and of this App that are in force.
    pub freezes: Vec<Mark>,
    /// What is known of the blockers that strategies name. One that is not here has no producer yet.
    pub blockers: BTreeMap<String, BlockerObs>,
    /// The Apps that this one depends on. One that is not here is not known.
    pub dependencies: BTreeMap<AppName, DependencyObs>,
    /// Grants that the hub as a whole may still give now; `None` when it has no cap.
    pub grants_left: Option<u32>,
    /// Override and absolve need a second person.
    pub two_people: bool,
}

/// Apps that may be in flight on one cluster at once, so that a failure can be told apart.
pub const UPDATES_PER_CLUSTER: u32 = 3;

/// Somebody said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it is about: `fleet` or `app/NAME` of a freeze.
    pub scope: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Until when, if it ends by itself.
    pub until: Option<Timestamp>,
}

/// One blocker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockerObs {
    /// It blocks. One whose watched endpoint does not answer blocks too.
    pub set: bool,
    /// In words.
    pub message: String,
}

/// What is known of an App that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependencyObs {
    /// Its newest commit is proven, and no rollout of it is under way.
    pub settled: bool,
    /// Clusters that run its proven release and are healthy on it.
    pub ready: BTreeSet<ClusterUid>,
}

/// The proven release as it would be rendered today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its commit.
    pub commit: Commit,
    /// Manifest digest per cluster that is selected now.
    pub variants: Variants,
}

/// The newest commit of an App, rendered for every cluster that its targets select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The commit.
    pub commit: Commit,
    /// Ref it was seen under, such as `main`.
    pub reference: String,
    /// Who wrote it, when known.
    pub author: Option<String>,
    /// First line of its message.
    pub subject: String,
    /// Which clusters it is for.
    pub targets: Targets,
    /// How it goes out.
    pub strategy: Strategy,
    /// Manifest digest per selected cluster.
    pub variants: Variants,
    /// W3C `traceparent` of the commit's trace.
    pub trace: Option<String>,
    /// See [`Release::hard_to_undo`].
    pub hard_to_undo: Vec<String>,
}

impl Candidate {
    /// Commit and ref.
    pub fn revision(&self) -> Revision {
        Revision { reference: self.reference.clone(), commit: self.commit.clone() }
    }

    /// What stays of it in the log.
    pub fn release(&self) -> Release {
        Release {
            revision: self.revision(),
            author: self.author.clone(),
            subject: self.subject.clone(),
            variants: self.variants.clone(),
            hard_to_undo: self.hard_to_undo.clone(),
        }
    }
}

/// What the hub knows of one cluster, as far as one App is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterObs {
    /// Its name, for people.
    pub name: ClusterName,
    /// Hub-side labels.
    pub labels: Labels,
    /// What its agent says of it.
    pub facts: Facts,
    /// Whether a session is open; for texts only, silence is judged by `last_heard`.
    pub connected: bool,
    /// When the hub last heard the agent, on the clock of [`Now::mono`]; `None`: not since the hub started.
    pub last_heard: Option<Duration>,
    /// Newest report for this App that this hub process received, by (boot, seq). Its durations must be
    /// as the agent last said them: never extrapolated by the hub.
    pub report: Option<Report>,
    /// A person deleted the cluster. Absence from [`Obs::clusters`] is *not* a deletion.
    pub deleted: bool,
    /// A person keeps new releases away from it. A rollback still reaches it.
    pub cordon: Option<Mark>,
    /// A person keeps it on what it runs of this App, whatever happens.
    pub pin: Option<Mark>,
    /// Other Apps that are in flight on it.
    pub busy: u32,
}

//! What the shell observed: the newest release, the clusters, the time. Soft state, never in the log.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Commit, Facts, Labels, LeaseEpoch, Report, Revision};

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
}

/// Everything a decision may look at besides the state and the time.
#[derive(Debug, Clone, Default)]
pub struct Obs {
    /// The newest commit, rendered; `None` when there is none (yet): absence decides nothing.
    pub candidate: Option<Candidate>,
    /// All registered clusters, and deleted ones as long as an App remembers them.
    pub clusters: BTreeMap<ClusterUid, ClusterObs>,
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
}

//! Why nothing more happens: who can lift it, and when it may lift by itself.

use model::{ClusterUid, Reason, Status, WaveName};

use crate::{
    obs::{Now, Obs},
    state::App,
};

/// One thing that keeps an App from being done.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// Reason, words, and what to do.
    pub status: Status,
    /// The wave concerned.
    pub wave: Option<WaveName>,
    /// The clusters concerned, at most a few dozen.
    pub clusters: Vec<ClusterUid>,
}

/// Everything that keeps the App from being done, in causal order. Empty only when nothing does.
pub fn explain(app: &App, now: Now, obs: &Obs) -> Vec<Blocker> {
    let _ = (app, now, obs);
    Vec::new()
}

/// Why one cluster is where it is.
pub fn explain_cluster(app: &App, cluster: &ClusterUid, now: Now, obs: &Obs) -> Status {
    let _ = (app, cluster, now, obs);
    Status::because(Reason::NotRolledOut, "no release yet")
}

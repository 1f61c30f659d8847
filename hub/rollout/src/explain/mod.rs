//! Why nothing more happens: who can lift it, and when it may lift by itself.
//!
//! `explain` is total: while a rollout is not finished and there is nothing to decide, it names at least one
//! blocker. `release.rs` speaks of commits, `rollout.rs` of the active rollout, `cluster.rs` of one cluster.

mod cluster;
mod path;
mod release;
mod rollout;

mod gate;

mod words;

use model::{ClusterUid, Status, WaveName};

use crate::{
    evidence::Look,
    obs::{Now, Obs},
    state::{App, Rollout},
};

/// One thing that keeps an App from being done.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// Reason, words, and what to do.
    pub status: Status,
    /// The wave concerned.
    pub wave: Option<WaveName>,
    /// The clusters concerned.
    pub clusters: Vec<ClusterUid>,
}

/// Everything that keeps the App from being done, in causal order. Empty only when nothing does.
pub fn explain(app: &App, now: Now, obs: &Obs) -> Vec<Blocker> {
    let look = Look { app, now, obs };
    let mut blockers = match &app.active {
        Some(active) => rollout::blockers(look, active),
        None => Vec::new(),
    };
    blockers.extend(release::blockers(look));
    blockers
}

pub use path::{Step, path};

/// Why one cluster is where it is.
pub fn explain_cluster(app: &App, cluster: &ClusterUid, now: Now, obs: &Obs) -> Status {
    cluster::status(Look { app, now, obs }, cluster)
}

/// Where one rollout is: its first blocker, or how it ended.
pub(crate) fn rollout_status(look: Look<'_>, rollout: &Rollout) -> Status {
    match rollout.outcome() {
        Some(outcome) => release::ended(look, rollout, outcome),
        None => first(rollout::blockers(look, rollout)),
    }
}

/// Where one wave is.
pub(crate) fn wave_status(look: Look<'_>, rollout: &Rollout, index: usize) -> Status {
    rollout::wave_status(look, rollout, index)
}

fn first(blockers: Vec<Blocker>) -> Status {
    let first = blockers.into_iter().next().map(|b| b.status);
    first.unwrap_or_else(|| Status::ready("nothing blocks it"))
}

impl Blocker {
    fn app(status: Status) -> Blocker {
        Blocker { status, wave: None, clusters: Vec::new() }
    }
}

//! What is followed, whatever it is: a Git repository, or an artifact.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use model::{Commit, SourceName};

use super::{Look, Snapshot, SourceLimits, artifact::Artifact, fault::Fault, git::Mirror};

/// Something that is followed; cloning it gives another handle on the same thing.
#[derive(Debug, Clone)]
pub(super) enum Follower {
    Git(Arc<Mirror>),
    Artifact(Arc<Artifact>),
}

impl Follower {
    pub(super) fn name(&self) -> &SourceName {
        match self {
            Follower::Git(mirror) => mirror.name(),
            Follower::Artifact(artifact) => artifact.name(),
        }
    }

    /// What was taken last, without asking the server. Blocks.
    pub(super) fn stored(&self) -> Result<Option<Snapshot>, Fault> {
        match self {
            Follower::Git(mirror) => mirror.stored(),
            Follower::Artifact(artifact) => artifact.stored(),
        }
    }

    /// An older commit, if it is still there. Blocks.
    pub(super) fn at(&self, commit: &Commit) -> Result<Option<Snapshot>, Fault> {
        match self {
            Follower::Git(mirror) => mirror.at(commit),
            Follower::Artifact(_) => Ok(None),
        }
    }

    /// Asks the server. `have` is what is served. Blocks.
    pub(super) fn look(&self, have: Option<&Snapshot>, stop: &AtomicBool) -> Result<Look, Fault> {
        match self {
            Follower::Git(mirror) => mirror.look(have, stop),
            Follower::Artifact(artifact) => artifact.look(have, stop),
        }
    }

    /// Those that share something take turns.
    pub(super) fn turn(&self) -> Option<Arc<tokio::sync::Mutex<()>>> {
        match self {
            Follower::Git(mirror) => Some(mirror.remote().turn.clone()),
            Follower::Artifact(_) => None,
        }
    }

    /// Pause between two looks.
    pub(super) fn interval(&self, limits: &SourceLimits) -> Duration {
        match self {
            Follower::Git(_) => limits.interval,
            Follower::Artifact(_) => limits.registry_interval,
        }
    }

    /// Asks the server at the next look, also if others asked just now.
    pub(super) fn expire(&self) {
        match self {
            Follower::Git(mirror) => mirror.remote().expire(),
            Follower::Artifact(_) => {}
        }
    }

    /// It is followed no more.
    pub(super) fn leave(&self) {
        match self {
            Follower::Git(mirror) => mirror.remote().leave(mirror.name()),
            Follower::Artifact(_) => {}
        }
    }

    /// Removes what it alone keeps on disk. Blocks.
    pub(super) fn discard(&self) {
        match self {
            Follower::Git(_) => {}
            Follower::Artifact(artifact) => artifact.discard(),
        }
    }
}

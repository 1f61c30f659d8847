//! What a person may ask for, and when it is refused.

use model::{ClusterUid, Reason};

use crate::{
    event::Event,
    obs::{Now, Obs},
    state::{Actor, App},
};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Start what waits: a planned rollout, a queued release (superseding the active rollout), or the
    /// newest commit again after an abort.
    Start,
    /// Let no further grant leave, and call back those not started.
    Pause,
    /// Go on after a pause or a halt.
    Resume {
        /// Accept the failures so far.
        accept: bool,
    },
    /// End the rollout; clusters keep what they run.
    Abort,
    /// Return every exposed cluster to its last good release, and condemn this one.
    Rollback,
    /// Have failed clusters try again.
    Retry {
        /// Only this one; all failed ones when absent.
        cluster: Option<ClusterUid>,
    },
    /// Take a cluster out of the rollout.
    Skip {
        /// Which.
        cluster: ClusterUid,
    },
}

/// Why a verb is refused: what, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Refusal {
    /// Entry of the registry.
    pub reason: Reason,
    /// What was asked for.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do instead.
    pub fix: String,
}

/// The event that carries out a verb, or why it is refused. Nothing changes until it is appended.
pub fn command(app: &App, verb: &Verb, by: &Actor, now: Now, obs: &Obs) -> Result<Event, Refusal> {
    let _ = (verb, by, now, obs);
    Err(Refusal {
        reason: Reason::NotSupportedYet,
        what: format!("change {}", app.name),
        why: "this build cannot".to_owned(),
        fix: "use a newer one".to_owned(),
    })
}

//! What an agent saw for one grant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Digest, Epoch, Health, ObjectKey, Reason};

/// Where the agent is with the grant that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Fetching, applying, pruning or waiting for health.
    Applying,
    /// All objects of this epoch and digest are applied, observed, and healthy.
    Healthy,
    /// Was or could be healthy and is not; may still recover.
    Degraded {
        /// The worst cause.
        reason: Reason,
        /// For people; at most 256 bytes; never a secret.
        message: String,
    },
    /// A terminal error: waiting will not help.
    Failed {
        /// The cause.
        reason: Reason,
        /// For people; at most 256 bytes; never a secret.
        message: String,
    },
}

/// One agent's view of one App. Durations are measured by the agent's monotonic clock and reset by a
/// new epoch and by an agent restart, so that hub clocks can neither fake nor destroy evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Random-free counter of agent process starts, durable and rising; orders reports with `seq`.
    pub boot: u64,
    /// Rising within a boot; the hub drops a report whose (boot, seq) is not newer.
    pub seq: u64,
    /// Epoch of the grant the agent holds; [`Epoch::NONE`] when it holds none.
    pub epoch: Epoch,
    /// Digest of that grant; `None` when it holds none.
    pub digest: Option<Digest>,
    /// Highest fence the agent has promised.
    pub fence: Epoch,
    /// Where it is.
    pub phase: Phase,
    /// How long it has been continuously healthy on this epoch; zero unless `Healthy`.
    pub healthy_for: Duration,
    /// How long it has been continuously unhealthy after having been healthy or failed.
    pub bad_for: Duration,
    /// How long ago it began to apply this epoch (only while the agent runs).
    pub applying_for: Duration,
    /// Number of objects of the grant by health, for people.
    pub objects_total: u32,
    /// Objects that are healthy.
    pub objects_healthy: u32,
    /// Objects whose drift was corrected or is reported since this epoch began.
    pub drifted: u32,
    /// The first objects that are not healthy (at most 10), for `why`.
    pub unhealthy: Vec<ObjectStatus>,
}

/// State of one object that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStatus {
    /// Which.
    pub key: ObjectKey,
    /// How well.
    pub health: Health,
    /// Why, when known.
    pub reason: Option<Reason>,
    /// For people; at most 256 bytes; never a secret.
    pub message: String,
}

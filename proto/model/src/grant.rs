//! What the hub lets a cluster run.

use serde::{Deserialize, Serialize};

use crate::{Digest, Epoch};

/// The only thing that changes what a cluster may run for one App. The agent holds the last
/// accepted grant for ever; drift repair, pause, hub loss never change it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Strictly rising per (App, Cluster).
    pub epoch: Epoch,
    /// Digest of the manifest ([`crate::Manifest::digest`]) that this cluster may run.
    pub digest: Digest,
}

/// What the hub says to one cluster about one App; derived from state, level-triggered, resent freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directive {
    /// Run this.
    Grant(Grant),
    /// Nothing to say: keep what you have.
    Hold,
    /// Promise durably never to accept an epoch at or below this one that you have not accepted yet.
    Fence(Epoch),
}

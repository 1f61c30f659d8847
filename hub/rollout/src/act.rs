//! Parts of events: what people did, what measurements said, where the catch-up lane got.

use jiff::Timestamp;
use model::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    gate::Gate,
    state::{FailureWhy, Stage},
};

/// Where a cluster in the catch-up lane got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LaneChange {
    /// Healthy on the proven release for long enough.
    Done,
    /// It is not. Nothing else is concerned.
    Failed {
        /// Why.
        why: FailureWhy,
        /// What the agent said.
        message: String,
    },
}

/// A person's word about content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Judgement {
    /// It is not rolled out (again).
    Condemn {
        /// What.
        digests: Vec<Digest>,
    },
    /// It may be.
    Absolve {
        /// What.
        digests: Vec<Digest>,
        /// Only when a second person says the same.
        needs_second: bool,
    },
}

/// What a person did about the active rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// Agreed to a wave.
    Approve {
        /// Its index.
        wave: usize,
        /// To which step.
        stage: Stage,
        /// Digest of the release's variants.
        release: Digest,
        /// Digest of the strategy.
        strategy: Digest,
        /// Digest of the wave's members.
        members: Digest,
        /// Until when.
        expires: Timestamp,
    },
    /// Took back every approval of theirs, or of `of`.
    Revoke {
        /// Index of the wave.
        wave: usize,
        /// Whose.
        of: String,
    },
    /// Opened a gate by force.
    Override {
        /// Index of the wave.
        wave: usize,
        /// Which.
        gate: Gate,
        /// Only when a second person says the same.
        needs_second: bool,
    },
    /// Is in a hurry.
    Expedite {
        /// Soaks are divided by this.
        divisor: u32,
    },
    /// Allowed a wave more failures.
    Tolerate {
        /// Index of the wave.
        wave: usize,
        /// How many in all.
        failures: u32,
    },
}

/// What an answer says of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Good.
    Pass,
    /// Bad.
    Fail,
    /// Nothing can be said: no data, no answer, or an answer that makes no sense. Neither good nor bad.
    Hold,
}

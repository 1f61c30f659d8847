//! The grant that an App holds, with what came along.

use std::collections::BTreeSet;

use model::{Digest, Grant};
use plan::accept::Stored;
use serde::{Deserialize, Serialize};

/// What a grant carries beside epoch and digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    /// For people, `main@sha1:…`.
    #[serde(default)]
    pub revision: String,
    /// `correct`, `report` or `ignore`; empty is `correct`.
    #[serde(default)]
    pub drift: String,
    /// Names of safety gates that a person lifted for this epoch.
    #[serde(default)]
    pub allow: BTreeSet<String>,
    /// W3C trace context of the rollout.
    #[serde(default)]
    pub traceparent: String,
    /// What the App chose for the agent, as it came ([`super::Choices`]).
    #[serde(default)]
    pub choices: String,
}

/// What the agent holds for one App, durably.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// Epoch, digest, fence and hub term.
    pub stored: Stored,
    /// The rest.
    #[serde(default)]
    pub options: Options,
}

impl Held {
    /// The grant, when there is one.
    pub fn grant(&self) -> Option<Grant> {
        let digest: Digest = self.stored.digest?;
        Some(Grant { epoch: self.stored.epoch, digest })
    }
}

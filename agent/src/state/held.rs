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
    /// What was chosen for this grant, as it came ([`model::Choices`]).
    #[serde(default)]
    pub choices: String,
    /// With a grant of nothing, which takes the App away: what the release before chose, so that its objects go
    /// the way that it wanted, in the name of its account.
    #[serde(default)]
    pub parting: String,
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

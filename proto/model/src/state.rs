//! The eight states that a person meets, the same everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The eight states that a person meets.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Desired = applied and healthy.
    Ready,
    /// Applying or becoming healthy, inside its deadline.
    Progressing,
    /// Nothing wrong: waits for a wave, gate, window, dependency, approval.
    Waiting,
    /// A person stopped it.
    Paused,
    /// Live differs from desired, not (yet) corrected.
    Drifted,
    /// The attempt ended; needs a person or a new commit.
    Failed,
    /// The agent has not been heard from.
    Offline,
    /// No report yet, or a report older than the desired revision.
    Unknown,
}

impl State {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ready => "Ready",
            State::Progressing => "Progressing",
            State::Waiting => "Waiting",
            State::Paused => "Paused",
            State::Drifted => "Drifted",
            State::Failed => "Failed",
            State::Offline => "Offline",
            State::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

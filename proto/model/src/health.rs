//! How well one object, or all objects of an App, are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Health levels in worst-of order: a set is as healthy as its greatest member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    /// Does what it should.
    Healthy,
    /// Stopped on purpose (`paused`, `suspend`).
    Suspended,
    /// On its way, inside its deadline; also everything not observed yet.
    Progressing,
    /// Should exist and does not.
    Missing,
    /// Broken, and will not get well by waiting.
    Degraded,
    /// Cannot be told.
    Unknown,
}

impl Health {
    /// Worst of a set; an empty set is healthy.
    pub fn worst(all: impl IntoIterator<Item = Health>) -> Health {
        all.into_iter().max().unwrap_or(Health::Healthy)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "Healthy",
            Health::Suspended => "Suspended",
            Health::Progressing => "Progressing",
            Health::Missing => "Missing",
            Health::Degraded => "Degraded",
            Health::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

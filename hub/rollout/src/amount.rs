//! "3" or "25 %": what a person writes where a number of clusters is meant.

use serde::{Deserialize, Serialize};

/// A number of clusters, absolute or as a share of a set. Becomes an integer once, when a wave freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// That many clusters.
    Count(u32),
    /// That many per hundred, 0 to 100.
    Percent(u8),
}

impl Amount {
    /// As a limit of concurrency over a set of `size`: rounded down, at least 1, at most `size`
    /// (but 1 for an empty set).
    pub fn at_least_one(self, size: u32) -> u32 {
        self.floor(size).min(size).max(1)
    }

    /// As a tolerance over a set of `size`: rounded down, may be 0, at most `size`.
    pub fn tolerance(self, size: u32) -> u32 {
        self.floor(size).min(size)
    }

    fn floor(self, size: u32) -> u32 {
        match self {
            Amount::Count(n) => n,
            Amount::Percent(p) => {
                let share = u64::from(size) * u64::from(p) / 100;
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Amount::Count(n) => write!(f, "{n}"),
            Amount::Percent(p) => write!(f, "{p} %"),
        }
    }
}

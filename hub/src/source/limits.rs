//! Bounds of the work for all sources.

use std::time::Duration;

/// Bounds of the work for all sources. The default is what production uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimits {
    /// Pause between two looks at a remote.
    pub interval: Duration,
    /// Looks and fetches at one time, over all sources: a fetch of a 41 MB pack takes 119 MB of memory.
    pub concurrent: usize,
    /// A look or fetch that takes longer is interrupted.
    pub timeout: Duration,
    /// Pause between two looks at a registry or a Helm repository: those count every question.
    pub registry_interval: Duration,
    /// Silence of a server, while something is expected from it, after which it is given up.
    pub silence: Duration,
    /// Longest pause after failures.
    pub backoff_max: Duration,
    /// Bytes on disk that one fetch may add.
    pub fetch_bytes_max: u64,
    /// Packs of one mirror; each fetch adds one. Above it the mirror is built anew.
    pub packs_max: usize,
}

impl Default for SourceLimits {
    fn default() -> Self {
        SourceLimits {
            interval: Duration::from_secs(2),
            registry_interval: Duration::from_mins(1),
            concurrent: 4,
            timeout: Duration::from_mins(10),
            silence: Duration::from_mins(1),
            backoff_max: Duration::from_mins(1),
            fetch_bytes_max: 1 << 30,
            packs_max: 100,
        }
    }
}

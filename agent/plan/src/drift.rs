//! Whether a live object is still what we applied, from metadata alone.

use std::collections::BTreeSet;

use crate::inventory::Entry;
use crate::live::{LiveMeta, Sight};

/// What happened to an object since our last write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// Nothing that concerns our fields.
    None,
    /// Somebody deleted it.
    Deleted,
    /// Somebody deleted it and made it again.
    Recreated,
    /// Somebody took or rewrote a field of ours.
    Changed {
        /// Other managers that own fields of it now; the culprit is among them.
        managers: BTreeSet<String>,
    },
    /// It is being deleted.
    Deleting,
    /// Cannot be told: the kind was not looked at.
    Unknown,
}

impl Drift {
    /// Whether a correction is due.
    pub fn is_drift(&self) -> bool {
        matches!(self, Drift::Deleted | Drift::Recreated | Drift::Changed { .. })
    }
}

/// Compares an entry with what is live.
pub fn drift(entry: &Entry, live: Sight<'_>) -> Drift {
    match live {
        Sight::Unknown => Drift::Unknown,
        // A Job that ran to its end and was cleaned up by its own time limit.
        Sight::Absent if entry.finished => Drift::None,
        Sight::Absent => Drift::Deleted,
        Sight::Present(meta) if meta.deleting => Drift::Deleting,
        Sight::Present(meta) if entry.uid.as_ref() != Some(&meta.uid) => Drift::Recreated,
        Sight::Present(meta) if same(entry, meta) => Drift::None,
        Sight::Present(meta) => Drift::Changed { managers: meta.managers.clone() },
    }
}

/// Without managed fields (none known, none seen) the resource version has to do.
fn same(entry: &Entry, meta: &LiveMeta) -> bool {
    match (entry.sig, meta.sig) {
        (None, None) => entry.resource_version == meta.resource_version,
        (before, now) => before == now,
    }
}

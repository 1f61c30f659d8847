//! In which order: a default rank per kind, and dependencies that outrank it.

mod graph;
mod kinds;

use model::ObjectKey;
use serde::{Deserialize, Serialize};

pub(crate) use graph::{Cycle, layer};
pub(crate) use kinds::{delete_class, rank};

/// Place of an object in the order of applying; deletion goes the other way.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// The annotation `tidegate.dev/wave`, 0 when absent. A wave waits for the health of the one before.
    pub wave: i32,
    /// Rank of the kind: tens, with half-steps between.
    pub rank: u16,
    /// Steps behind the objects it depends on, when those share wave and rank.
    pub depth: u16,
}

impl Position {
    /// The place of an object of which only the kind is known.
    pub fn of_kind(key: &ObjectKey) -> Position {
        Position { rank: rank(&key.group, &key.kind), ..Position::default() }
    }
}

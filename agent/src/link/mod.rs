//! The line to the hub: directives come in, reports go out, content is pulled by digest.
//!
//! Everything is level-triggered: of each App only the newest report waits, and nothing is lost by a broken
//! connection because everything is said again after the next greeting.

mod line;

mod session;

mod board;
mod pull;

pub use board::Board;
pub use line::{Line, Need};
pub use pull::{PullError, Puller};

use model::LeaseEpoch;
use proto::convert::Directed;

/// Directives on their way to the Apps. The dispatcher only sorts them into mailboxes, so few can wait.
pub const DIRECTIVES_MAX: usize = 64;

/// A directive, and the term of the hub that gave it.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Term of the hub.
    pub hub_term: LeaseEpoch,
    /// What it said.
    pub directed: Directed,
}

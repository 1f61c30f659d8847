//! The invariants as data: what would be wrong with appending an event.
//!
//! Written from the rules, not from [`crate::decide`]: nothing of the deciding modules is called here, so
//! that a bug there cannot hide itself. The numbers are those of the README.

mod event;
mod gate;
mod log;
mod structure;

pub use log::log;

use crate::{
    event::Event,
    obs::{Now, Obs},
    state::App,
};

/// What is wrong with appending `event` to `before`; empty when all invariants hold. `after` is `before`
/// with the event applied.
pub fn violations(before: &App, event: &Event, after: &App, now: Now, obs: &Obs) -> Vec<String> {
    let mut found = Vec::new();
    event::check(before, event, now, obs, &mut found);
    structure::check(before, event, after, &mut found);
    found
}

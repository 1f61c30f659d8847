//! The invariants as data.

use crate::{
    event::Event,
    obs::{Now, Obs},
    state::App,
};

/// What is wrong with appending `event` to `before`; empty when all invariants hold. `after` is `before`
/// with the event applied.
pub fn violations(before: &App, event: &Event, after: &App, now: Now, obs: &Obs) -> Vec<String> {
    let _ = (before, event, after, now, obs);
    Vec::new()
}

//! The one entry of the brain.

use crate::{
    event::Event,
    obs::{Now, Obs},
    state::App,
};

/// Exactly one next event, or none. The caller appends it durably, applies it, and asks again until none.
pub fn decide(app: &App, now: Now, obs: &Obs) -> Option<Event> {
    let _ = (app, now, obs);
    None
}

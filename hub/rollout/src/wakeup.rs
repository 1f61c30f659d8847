//! When to look again.

use std::time::Duration;

use crate::{
    obs::{Now, Obs},
    state::App,
};

/// Time from now after which [`crate::decide`] may say something although nothing is observed until then.
pub fn next_wakeup(app: &App, now: Now, obs: &Obs) -> Option<Duration> {
    let _ = (app, now, obs);
    None
}

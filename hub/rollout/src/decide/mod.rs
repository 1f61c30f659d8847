//! The one entry of the brain: what is the next thing to write down, if any?
//!
//! The order is the argument. Facts about clusters first (they are true whatever we want), then the brakes,
//! then the newest commit, then what members proved, then waves, and grants last: a grant is the only thing
//! that cannot be taken back by thinking again.

mod cluster;
mod grant;
mod wave;

mod member;

pub(crate) use grant::{free_slots, is_probing};
pub(crate) use member::{DARK_STEPS, retries};
pub(crate) use wave::{all_settled, has_evidence};

use crate::{
    event::Event,
    evidence::Look,
    head,
    obs::{Now, Obs},
    state::App,
};

/// Exactly one next event, or none. The caller appends it durably, applies it, and asks again until none.
pub fn decide(app: &App, now: Now, obs: &Obs) -> Option<Event> {
    let look = Look { app, now, obs };
    cluster::facts(look)
        .or_else(|| wave::brake(look))
        .or_else(|| head::judge(look))
        .or_else(|| member::change(look))
        .or_else(|| wave::change(look))
        .or_else(|| grant::grant(look))
        .or_else(|| cluster::restore(look))
}

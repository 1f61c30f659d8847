//! The way to the end: what must happen next, one step after the other, with the earliest time of each and
//! what that assumes.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::words;
use crate::{
    decide,
    evidence::Look,
    obs::{Now, Obs},
    state::{App, MemberState, Rollout, RolloutState, WaveState},
};

/// One step on the way to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What happens.
    pub what: String,
    /// Not before this.
    pub earliest: Option<Timestamp>,
    /// What that assumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<String>,
}

/// The steps that lie ahead of the active rollout, in order; empty when none is active. Times are lower
/// bounds: nothing that a cluster or a person has yet to do is taken for granted to be quick.
pub fn path(app: &App, now: Now, obs: &Obs) -> Vec<Step> {
    let look = Look { app, now, obs };
    let Some(rollout) = &app.active else { return Vec::new() };
    let mut at = now.wall;
    let mut steps = Vec::new();
    match &rollout.state {
        RolloutState::Planned => steps.push(person("a person starts it", at)),
        RolloutState::Paused { by, .. } => {
            steps.push(person(&format!("{} or somebody else resumes it", by.name), at));
        }
        RolloutState::Halted { .. } => {
            steps.push(person("a person resumes, retries or rolls back", at));
        }
        RolloutState::Progressing | RolloutState::Ended { .. } => {}
    }
    let Some(first) = rollout.current_wave() else { return steps };
    for index in first..rollout.waves.len() {
        let wave = &rollout.waves[index];
        if wave.order.is_empty() {
            continue;
        }
        let step = one(look, rollout, index, at);
        at = step.earliest.unwrap_or(at);
        steps.push(step);
    }
    let end = if rollout.is_rollback() { "every cluster is back" } else { "it is everywhere" };
    steps.push(Step { what: end.to_owned(), earliest: Some(at), assumes: Vec::new() });
    steps
}

fn person(what: &str, at: Timestamp) -> Step {
    Step { what: what.to_owned(), earliest: Some(at), assumes: Vec::new() }
}

/// One wave: gates, batches one after the other, soak.
fn one(look: Look<'_>, rollout: &Rollout, index: usize, from: Timestamp) -> Step {
    let wave = &rollout.waves[index];
    let (name, settings) = (&wave.spec.name, &wave.spec.settings);
    let mut assumes = Vec::new();
    let mut at = from;
    if let Some(opens) = decide::next_window(look, wave, None)
        && !decide::continuous(look, rollout, index).is_empty()
        && !wave.spec.before.windows.is_empty()
    {
        at = at.max(opens);
        assumes.push(format!("the window opens {}", words::moment(opens)));
    }
    let locked = matches!(wave.state, WaveState::Locked | WaveState::Gated);
    if locked && wave.spec.before.approval.is_some() {
        assumes.push("it is approved".to_owned());
    }
    for on in &wave.spec.before.depends_on {
        assumes.push(format!("{} is done", on.app));
    }
    if !wave.spec.before.blockers.is_empty() {
        assumes.push(format!("{} clear", wave.spec.before.blockers.join(", ")));
    }
    let size = u32::try_from(wave.order.len()).unwrap_or(u32::MAX);
    let limit =
        wave.limits.map_or(settings.max_in_flight.at_least_one(size), |l| l.max_in_flight).max(1);
    let counts = wave.tally.counts;
    let left = counts.queued + wave.tally.in_flight();
    let mut batches = left.div_ceil(limit);
    // The very first cluster goes alone.
    if decide::is_probing(rollout) && index == rollout.current_wave().unwrap_or(0) && left > 1 {
        batches += 1;
    }
    let soak = decide::soak(rollout, index);
    let soaked = least_healthy(look, rollout, index).unwrap_or_default();
    let least = settings.min_healthy * batches;
    let wait = if wave.state == WaveState::Proving {
        soak.saturating_sub(soaked)
    } else {
        least.max(if left == 0 { soak.saturating_sub(soaked) } else { soak + least })
    };
    at = at.checked_add(wait).unwrap_or(at);
    if left > 0 {
        assumes.push(format!("{} become healthy at once", words::clusters(left as usize)));
    }
    if wave.spec.after.analysis.is_some() {
        assumes.push("the measurement is good".to_owned());
    }
    if wave.spec.after.approval.is_some() {
        assumes.push("it is approved once more".to_owned());
    }
    Step { what: format!("{name} passes"), earliest: Some(at), assumes }
}

/// For how long the one that became healthy last has been.
fn least_healthy(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Duration> {
    let updated = rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Updated);
    updated.map(|(uid, m)| look.healthy_for(rollout, uid, m).unwrap_or_default()).min()
}

//! Whatever a rollout waits for: when all of it comes true, something is decided.

use std::time::Duration;

use model::{Directive, Phase, Reason, Report};
use rollout::{
    Answer, App, DependencyObs, Gate, Now, Obs, RolloutState, Verb,
    sim::{World, actor},
};

/// Rounds of answers: people, then measurements.
const ROUNDS: usize = 12;

/// I22: the reasons told are the true ones. On a copy, all that can hold a rollout up is lifted at once.
pub(super) fn lift(world: &World) -> Result<(), String> {
    let (mut app, mut obs, mut now) = (world.app().clone(), world.obs().clone(), world.now());
    if app.active.is_none() {
        return Ok(());
    }
    let told = rollout::explain(&app, now, &obs);
    let told: Vec<_> =
        told.iter().map(|b| (b.status.reason(), b.status.message().to_owned())).collect();
    outside(&mut obs);
    now.stepped = false;
    for round in 0..ROUNDS {
        people(&mut app, now, &obs);
        if app.active.is_none() {
            return Ok(());
        }
        agents(&app, &mut obs, now);
        if rollout::decide(&app, now, &obs).is_some() {
            return Ok(());
        }
        // A measurement is asked again, a pace is counted anew, a retry has waited.
        now.wall += Duration::from_secs(61 * u64::try_from(round).unwrap());
        if let Some(asked) = rollout::question(&app, now, &obs) {
            let of = (asked.rollout, asked.wave);
            if let Some(event) = rollout::answer(&app, of, Answer::Pass, "0", now) {
                app.apply(&event);
            }
        }
    }
    // A wave that nobody can prove any more ends by its timeout, and says so.
    let unproven = told.iter().any(|(reason, _)| *reason == Some(Reason::InsufficientEvidence));
    now.wall += Duration::from_hours(2);
    if unproven && rollout::decide(&app, now, &obs).is_some() {
        return Ok(());
    }
    Err(format!("I22: everything was lifted and nothing is decided; told was {told:?}"))
}

/// Marks, blockers, dependencies and caps.
fn outside(obs: &mut Obs) {
    obs.freezes.clear();
    obs.grants_left = None;
    obs.two_people = false;
    for blocker in obs.blockers.values_mut() {
        blocker.set = false;
    }
    let ready: std::collections::BTreeSet<_> = obs.clusters.keys().cloned().collect();
    for dependency in obs.dependencies.values_mut() {
        *dependency = DependencyObs { settled: true, ready: ready.clone() };
    }
    for cluster in obs.clusters.values_mut() {
        cluster.cordon = None;
        cluster.pin = None;
        cluster.busy = 0;
    }
}

/// Everybody who may do something about it does.
fn people(app: &mut App, now: Now, obs: &Obs) {
    let Some(active) = &app.active else { return };
    let mut verbs = match &active.state {
        RolloutState::Planned => vec![Verb::Start],
        RolloutState::Paused { .. } => vec![Verb::Resume { accept: false }, Verb::Abort],
        RolloutState::Halted { .. } => vec![Verb::Resume { accept: true }, Verb::Abort],
        RolloutState::Progressing | RolloutState::Ended { .. } => Vec::new(),
    };
    verbs.extend([
        Verb::Override { wave: None, gate: Gate::Window },
        Verb::Override { wave: None, gate: Gate::Unhealthy },
        Verb::Approve { wave: None },
    ]);
    for verb in verbs {
        for name in ["bob", "eve"] {
            let mut by = actor(name, "looked at it");
            by.groups.insert("sre".to_owned());
            // What is not needed is refused.
            if let Ok(event) = rollout::command(app, &verb, &by, None, now, obs) {
                app.apply(&event);
            }
            let halted =
                app.active.as_ref().is_some_and(|r| matches!(r.state, RolloutState::Halted { .. }));
            if verb == (Verb::Resume { accept: true }) && !halted {
                return;
            }
        }
    }
}

/// Every agent does what it is told, and is healthy with it.
fn agents(app: &App, obs: &mut Obs, now: Now) {
    for (uid, cluster) in obs.clusters.iter_mut().filter(|(_, c)| !c.deleted) {
        let last = cluster.report.clone();
        let (epoch, digest) =
            last.as_ref().map_or((model::Epoch::NONE, None), |r| (r.epoch, r.digest));
        let fence = last.as_ref().map_or(model::Epoch::NONE, |r| r.fence);
        let (epoch, digest, fence) = match rollout::serve(app, uid) {
            Directive::Grant(grant) => (grant.epoch, Some(grant.digest), fence),
            Directive::Fence(upto) => (epoch, digest, fence.max(upto)),
            Directive::Hold => (epoch, digest, fence),
        };
        cluster.last_heard = Some(now.mono);
        cluster.report = Some(Report {
            boot: last.map_or(1, |r| r.boot + 1),
            seq: 1,
            epoch,
            digest,
            fence,
            phase: Phase::Healthy,
            healthy_for: Duration::from_hours(100),
            bad_for: Duration::ZERO,
            applying_for: Duration::from_secs(1),
            objects_total: 3,
            objects_healthy: 3,
            drifted: 0,
            unhealthy: Vec::new(),
        });
    }
}

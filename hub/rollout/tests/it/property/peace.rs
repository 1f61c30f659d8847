//! Faults stop and people answer: within bounded time nothing is going on any more, and every agent holds
//! what the hub says.

use std::time::Duration;

use model::Reason;
use rollout::{
    Actor, Answer, Gate, Mark, RolloutState, Verb, Verdict,
    sim::{Behaviour, Faults, Outside, World, actor},
};

use super::story::Story;

const SECOND: Duration = Duration::from_secs(1);
/// Steps of 20 seconds within which everything must have ended.
const ROUNDS: u32 = 3000;
/// Halts that are answered by going on; the next one is answered by an abort.
const RESUMES: u32 = 4;

pub(super) fn peace(story: &mut Story) -> Result<(), String> {
    calm(story);
    let world = &mut story.world;
    let mut answers = 0;
    let mut still = 0;
    for round in 0..ROUNDS {
        repair(world, round);
        let before = world.log.len();
        world.step(SECOND * 20);
        if world.app().active.is_none() {
            still += 1;
            // Clusters that are still to catch up may set something going again, and so may one whose network was
            // repaired a moment ago.
            if still > 15 && world.app().lane.is_empty() && converged(world).is_ok() {
                break;
            }
            continue;
        }
        still = 0;
        if world.log.len() == before || round.is_multiple_of(8) {
            answer(world, &mut answers)?;
        }
    }
    if let Some(active) = &world.app().active {
        let why = rollout::explain(world.app(), world.now(), world.obs());
        let why: Vec<_> = why.iter().map(|b| b.status.message().to_owned()).collect();
        return Err(format!("L1: rollout {} {:?} never ends: {why:?}", active.id, active.state));
    }
    converged(world)
}

/// No more faults, and nobody holds anything back.
fn calm(story: &mut Story) {
    let all: Vec<_> = story.world.clusters.keys().cloned().collect();
    story.depend(true, &all);
    let world = &mut story.world;
    world.faults = Faults::default();
    world.stale = None;
    let mark = |scope: &str| Mark {
        scope: scope.to_owned(),
        by: String::new(),
        reason: String::new(),
        until: None,
    };
    for what in [
        Outside::Freeze(mark("fleet"), false),
        Outside::Freeze(mark("app/web"), false),
        Outside::Blocker("sev1".to_owned(), false),
        Outside::Measures(Some(Answer::Pass)),
        Outside::Cordon(all.clone(), mark("cluster"), false),
        Outside::Pin(all.clone(), mark("cluster"), false),
        Outside::Busy(all, 0),
        Outside::GrantsLeft(None),
        Outside::TwoPeople(false),
    ] {
        world.outside(&what);
    }
    if !world.hub.up {
        world.hub.up = true;
        world.crash();
    }
    for cluster in world.clusters.values_mut() {
        cluster.link = true;
        cluster.up = true;
        cluster.broken = false;
    }
}

/// Somebody repairs the networks that bad releases cut.
fn repair(world: &mut World, round: u32) {
    if round == 150 {
        for all in world.contents.values_mut() {
            let cut = |b: &&mut Behaviour| **b == Behaviour::CutsNetwork;
            all.on.values_mut().filter(cut).for_each(|b| *b = Behaviour::Good(SECOND));
        }
    }
    for uid in world.clusters.keys().cloned().collect::<Vec<_>>() {
        let cut = world.behaviour(&uid) == Behaviour::CutsNetwork;
        world.clusters.get_mut(&uid).unwrap().link = !cut;
    }
}

/// People do what the reasons ask for.
fn answer(world: &mut World, answers: &mut u32) -> Result<(), String> {
    let Some(active) = &world.app().active else { return Ok(()) };
    let mut ann = actor("ann", "go on");
    ann.groups.insert("sre".to_owned());
    let verb = match &active.state {
        RolloutState::Planned => Verb::Start,
        RolloutState::Paused { .. } => Verb::Resume { accept: false },
        RolloutState::Halted { .. } if *answers < RESUMES => Verb::Resume { accept: true },
        RolloutState::Halted { .. } => Verb::Abort,
        RolloutState::Progressing => {
            gates(world);
            return Ok(());
        }
        RolloutState::Ended { .. } => return Ok(()),
    };
    *answers += 1;
    if world.command(&verb, &ann).is_err() {
        world.command(&Verb::Abort, &ann).map_err(|r| r.to_string())?;
    }
    Ok(())
}

/// Waiting gates are opened by those who may.
fn gates(world: &mut World) {
    let blockers = rollout::explain(world.app(), world.now(), world.obs());
    for blocker in blockers {
        let wave = blocker.wave.as_ref().map(ToString::to_string);
        match blocker.status.reason() {
            Some(Reason::ApprovalNeeded) => {
                for name in ["bob", "eve"] {
                    // The second one may be one too many.
                    drop(world.command(&Verb::Approve { wave: wave.clone() }, &person(name)));
                }
            }
            Some(Reason::WindowClosed) => {
                force(world, &Verb::Override { wave, gate: Gate::Window });
            }
            Some(Reason::TooManyUnhealthy) => {
                force(world, &Verb::Override { wave, gate: Gate::Unhealthy });
            }
            _ => {}
        }
    }
}

fn person(name: &str) -> Actor {
    let mut by = actor(name, "looked at it");
    by.groups.insert("sre".to_owned());
    by
}

/// Two people say it: an earlier one may still wait for its second. What is not needed is refused.
fn force(world: &mut World, verb: &Verb) {
    for name in ["ann", "eve"] {
        drop(world.command(verb, &person(name)));
    }
}

/// L2: no commit is in the queue. L3: every agent holds what it is told.
fn converged(world: &World) -> Result<(), String> {
    let head = world.app().head.as_ref();
    if let Some(waits) = head.filter(|h| h.verdict == Verdict::Queued) {
        return Err(format!("L2: {} waits for nothing", waits.revision));
    }
    for (uid, cluster) in world.clusters.iter().filter(|(_, c)| !c.deleted) {
        let told = rollout::serve(world.app(), uid);
        let same = match told {
            model::Directive::Grant(grant) => cluster.agent.epoch == grant.epoch,
            model::Directive::Hold => true,
            model::Directive::Fence(_) => false,
        };
        if !same && cluster.link {
            let holds = cluster.agent.epoch;
            return Err(format!("L3: {uid} holds {holds} and is told {told:?}"));
        }
    }
    Ok(())
}

//! Figures of a story: what the counts of a wave are, how long it took, how many were exposed.

#![expect(clippy::wildcard_enum_match_arm, reason = "figures are about the few events they name")]

use std::{collections::BTreeSet, time::Duration};

use model::{ClusterUid, RolloutId};

use crate::{
    App, Event, Kind,
    sim::{words, world::World},
    state::{MemberState, Rollout},
};

/// A wave in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveCount {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: &'static str,
    /// Clusters in it.
    pub total: usize,
    /// Updated, or unchanged.
    pub ready: usize,
    /// In flight.
    pub in_flight: usize,
    /// Failed.
    pub failed: usize,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing was rolled out.
    Nothing,
    /// The newest rollout is finished; its state in a word.
    Finished(&'static str),
    /// It is not; its state in a word.
    Unfinished(&'static str),
}

/// Figures of a whole story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How it ended.
    pub ending: Ending,
    /// From the start of the last forward rollout to its end, or to the end of the story.
    pub duration: Duration,
    /// Clusters that took up the release of the last forward rollout before it was first stopped.
    pub exposed: usize,
    /// Clusters of its plan.
    pub planned: usize,
    /// Halts, of all rollouts.
    pub halts: usize,
    /// Rollbacks.
    pub rollbacks: usize,
    /// Members that failed, of all rollouts.
    pub failures: usize,
    /// Events of the log.
    pub events: usize,
}

/// The wave that an event is about.
pub(super) fn wave_of(app: &App, event: &Event) -> Option<WaveCount> {
    let rollout = match event.rollout() {
        Some(id) => app.rollout(id)?,
        None => app.active.as_ref()?,
    };
    let cluster = words::cluster_of(event).and_then(|uid| rollout.members.get(uid));
    let wave = match (cluster, event) {
        (Some(member), _) => Some(member.wave),
        (None, Event::Wave { wave, .. }) => Some(*wave),
        (None, _) => None,
    }?;
    count(rollout, wave)
}

fn count(rollout: &Rollout, wave: usize) -> Option<WaveCount> {
    let of = rollout.waves.get(wave)?;
    let mut count = WaveCount {
        name: of.spec.name.to_string(),
        state: words::wave_state(of.state),
        total: of.order.len(),
        ready: 0,
        in_flight: 0,
        failed: 0,
    };
    for uid in &of.order {
        match rollout.members.get(uid).map(|m| &m.state) {
            Some(MemberState::Updated | MemberState::Unchanged) => count.ready += 1,
            Some(MemberState::Failed { .. }) => count.failed += 1,
            Some(
                MemberState::Updating { .. }
                | MemberState::Verifying
                | MemberState::Recalling { .. },
            ) => count.in_flight += 1,
            _ => {}
        }
    }
    Some(count)
}

pub(super) fn tally(world: &World) -> Tally {
    let is_forward = |event: &Event| match event {
        Event::Started(start) => (start.kind == Kind::Forward).then_some(start.id),
        _ => None,
    };
    let last = world.log.iter().rev().find_map(is_forward);
    let app = world.app();
    let newest = app.active.as_ref().or(app.past.first());
    let count = |wanted: fn(&Event) -> bool| world.log.iter().filter(|e| wanted(e)).count();
    let mut tally = Tally {
        ending: newest.map_or(Ending::Nothing, |r| {
            let state = words::rollout_state(&r.state);
            if app.active.is_some() { Ending::Unfinished(state) } else { Ending::Finished(state) }
        }),
        duration: Duration::ZERO,
        exposed: 0,
        planned: 0,
        halts: count(|e| matches!(e, Event::Halted { .. })),
        rollbacks: count(
            |e| matches!(e, Event::Started(s) if matches!(s.kind, Kind::Rollback { .. })),
        ),
        failures: count(|e| {
            matches!(e, Event::Member { change: crate::MemberChange::Failed { .. }, .. })
        }),
        events: world.log.len(),
    };
    if let Some(id) = last {
        follow(world, id, &mut tally);
    }
    tally
}

/// The last forward rollout: its size, how long it took, whom it reached before it was stopped.
fn follow(world: &World, id: RolloutId, tally: &mut Tally) {
    let mut began = Duration::ZERO;
    let mut ended = None;
    let mut stopped = false;
    let mut exposed: BTreeSet<&ClusterUid> = BTreeSet::new();
    for (event, at) in world.log.iter().zip(&world.times) {
        match event {
            Event::Started(start) if start.id == id => {
                began = *at;
                tally.planned = start.plan.waves.iter().map(|w| w.members.len()).sum();
            }
            Event::Joined { rollout, .. } if *rollout == id => tally.planned += 1,
            Event::Started(start) if start.supersedes == Some(id) => {
                (ended, stopped) = (Some(*at), true);
            }
            Event::Halted { rollout, .. } if *rollout == id => stopped = true,
            Event::Ended { rollout, .. } if *rollout == id => ended = Some(*at),
            Event::Acked { cluster, grant, .. } if !stopped => {
                let of = world.log.iter().any(|e| {
                    matches!(e, Event::Granted { rollout, cluster: c, grant: g, .. }
                        if *rollout == id && c == cluster && g.epoch == grant.epoch)
                });
                if of {
                    exposed.insert(cluster);
                }
            }
            _ => {}
        }
    }
    tally.duration = ended.unwrap_or(world.time).saturating_sub(began);
    tally.exposed = exposed.len();
}

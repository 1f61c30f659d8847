//! Clusters that join while a rollout is under way: into a wave that is not frozen, or into none.

use model::ClusterUid;

use crate::{
    bug::Bug,
    event::Event,
    evidence::Look,
    plan,
    spec::Members,
    state::{Kind, Rollout, WaveState},
};

/// The next cluster that the rollout's own commit is for and that is not a member.
pub(crate) fn join(look: Look<'_>) -> Option<Event> {
    let rollout = look.app.active.as_ref().filter(|r| r.kind == Kind::Forward && !r.partial)?;
    let candidate = look.obs.candidate.as_ref()?;
    if candidate.commit != *rollout.release.commit() {
        return None;
    }
    candidate.variants.iter().find_map(|(uid, target)| {
        let member = rollout.members.get(uid);
        let moves = member.is_some() && look.app.has(Bug::RelabelMoves);
        if member.is_some() && !moves || look.app.condemned.contains_key(target) {
            return None;
        }
        let wave = wave_for(look, rollout, uid)?;
        if member.is_some_and(|m| m.wave == wave) {
            return None;
        }
        let labels = &look.cluster(uid)?.labels;
        Some(Event::Joined {
            rollout: rollout.id,
            cluster: uid.clone(),
            wave,
            target: *target,
            place: plan::place(&rollout.waves[wave].spec, labels).map(Box::new),
            at: look.now.wall,
        })
    })
}

/// The wave that takes it: the first that its labels match, as when the plan was made. Of the steps of a ramp
/// the last that is open to members. A `take` wave has all that it wanted.
fn wave_for(look: Look<'_>, rollout: &Rollout, uid: &ClusterUid) -> Option<usize> {
    let cluster = look.cluster(uid)?;
    let matches = |members: &Members| match members {
        Members::Rest => true,
        Members::Select(selector) => {
            selector.matches(&cluster.labels, &cluster.facts).unwrap_or(false)
        }
        Members::Take { .. } => false,
    };
    let first = rollout.waves.iter().position(|w| matches(&w.spec.members))?;
    let members = &rollout.waves[first].spec.members;
    let group = rollout.waves.iter().enumerate().skip(first);
    let group = group.take_while(|(_, w)| w.spec.members == *members);
    let open = |w: &crate::state::Wave| {
        matches!(w.state, WaveState::Locked | WaveState::Gated) && !w.is_frozen()
    };
    group.filter(|(_, w)| open(w)).map(|(index, _)| index).last()
}

//! Grants: the only thing that changes what a cluster may run, and so the last thing decided.

use model::{ClusterUid, Grant, Phase};

use crate::{
    bug::Bug,
    event::Event,
    evidence::{Look, stale_after},
    state::{Holding, Kind, Member, MemberState, Rollout, RolloutState, WaveState},
};

/// The next grant, if a member is ready and a slot is free.
pub(crate) fn grant(look: Look<'_>) -> Option<Event> {
    let rollout = look.app.active.as_ref()?;
    let leak = look.app.has(Bug::PauseLeaks) && rollout.state != RolloutState::Planned;
    if !rollout.is_progressing() && !leak {
        return None;
    }
    let index = rollout.current_wave().filter(|i| rollout.waves[*i].state == WaveState::Open)?;
    let mut queued = rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Queued);
    let slots = free_slots(look, rollout, index);
    queued.find_map(|(uid, member)| {
        let holding = look.app.holding(uid);
        match rollout.kind {
            Kind::Forward => forward(look, rollout, uid, member, holding, slots),
            Kind::Rollback { .. } => backward(look, rollout, uid, member, slots),
        }
    })
}

/// A forward grant is never stacked on one whose fate is open.
fn forward(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
    holding: Option<&Holding>,
    slots: u32,
) -> Option<Event> {
    if !look.is_fresh(uid, stale_after(rollout, member)) || look.is_ahead(uid) {
        return None;
    }
    if let Some(open) = holding.and_then(|h| h.outstanding.last()) {
        // What an earlier forward rollout left behind is called back; what a rollback left stands, because
        // the way out of bad content is never blocked.
        let back = look.app.rollout(open.rollout).is_some_and(Rollout::is_rollback);
        let (cluster, epoch) = (uid.clone(), open.grant.epoch);
        let recall = Event::Recalled { cluster, epoch, at: look.now.wall };
        return (!back && !holding.is_some_and(|h| h.recalled)).then_some(recall);
    }
    let condemned = look.app.condemned.contains_key(&member.target);
    if slots == 0 || condemned && !look.app.has(Bug::RegrantCondemned) {
        return None;
    }
    Some(given(look, rollout, uid, member, false))
}

/// The way back is stacked on whatever the cluster may hold; a dark cluster finds it on return.
fn backward(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
    slots: u32,
) -> Option<Event> {
    let stale_after = stale_after(rollout, member);
    if look.is_dark(uid, stale_after) {
        return Some(given(look, rollout, uid, member, true));
    }
    (slots > 0 && look.is_fresh(uid, stale_after)).then(|| given(look, rollout, uid, member, false))
}

fn given(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
    dark: bool,
) -> Event {
    let cluster = look.cluster(uid);
    let name = cluster.map(|c| c.name.clone());
    let known = || look.app.holding(uid).map(|h| h.name.clone());
    Event::Granted {
        rollout: rollout.id,
        cluster: uid.clone(),
        name: name.or_else(known).unwrap_or_else(|| unnamed(uid)),
        grant: Grant { epoch: look.next_epoch(uid), digest: member.target },
        broken_before: was_broken(look, rollout, uid),
        dark,
        at: look.now.wall,
    }
}

/// A cluster that is only known by its uid: a UUID is a valid name too.
fn unnamed(uid: &ClusterUid) -> model::ClusterName {
    model::ClusterName::parse(uid.as_str()).expect("a hyphenated UUID is a DNS label")
}

/// Unhealthy on what it runs, before this rollout touched it.
fn was_broken(look: Look<'_>, rollout: &Rollout, uid: &ClusterUid) -> bool {
    let confirmed = look.app.holding(uid).and_then(|h| h.confirmed);
    let confirmed = confirmed.filter(|given| given.rollout != rollout.id);
    let bad = |phase: &Phase| matches!(phase, Phase::Degraded { .. } | Phase::Failed { .. });
    confirmed
        .zip(look.report(uid))
        .is_some_and(|(given, report)| report.epoch == given.grant.epoch && bad(&report.phase))
}

/// How many more clusters may be in flight: by the wave's limit and, until the release is proved anywhere,
/// by the probe.
pub(crate) fn free_slots(look: Look<'_>, rollout: &Rollout, index: usize) -> u32 {
    let limit = rollout.waves[index].limits.map_or(0, |l| l.max_in_flight);
    let extra = u32::from(look.app.has(Bug::Overgrant));
    let free = (limit + extra).saturating_sub(occupied(look, rollout, Some(index)));
    if is_probing(rollout) && !look.app.has(Bug::NoProbe) {
        free.min((rollout.strategy.probe + extra).saturating_sub(occupied(look, rollout, None)))
    } else {
        free
    }
}

/// Whether the release is unproved and the probe limits its exposure.
pub(crate) fn is_probing(rollout: &Rollout) -> bool {
    !rollout.proved && rollout.strategy.probe > 0 && !rollout.is_rollback()
}

/// Clusters in flight, in one wave or all; those that returned late count too, though no slot was given.
fn occupied(look: Look<'_>, rollout: &Rollout, wave: Option<usize>) -> u32 {
    let takes = |m: &Member| {
        let freed =
            matches!(m.state, MemberState::Recalling { .. }) && look.app.has(Bug::RecallFreesSlot);
        m.state.takes_slot() && !freed
    };
    let here = rollout.members.iter().filter(|(_, m)| wave.is_none_or(|w| w == m.wave));
    let n = here.filter(|(uid, m)| takes(m) || look.is_late(rollout, uid, m)).count();
    u32::try_from(n).unwrap_or(u32::MAX)
}

//! Grants: the only thing that changes what a cluster may run, and so the last thing decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use model::{ClusterUid, Grant, Phase};

use super::gates;
use crate::{
    bug::Bug,
    event::Event,
    evidence::{Look, stale_after},
    obs::UPDATES_PER_CLUSTER,
    state::{Given, Holding, Member, MemberState, PACE_SECONDS, Rollout, RolloutState, WaveState},
};

/// What is known of the line between two grants of one burst: nothing but grants happened in between.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Place in the wave's order up to which nobody can be granted.
    from: usize,
    /// Members that were heard since, out of turn.
    heard: Vec<ClusterUid>,
    /// Domains and pairs in flight; `None` when not looked at yet.
    places: Option<Places>,
    /// Members that came back late and are still at work, by wave.
    late: Option<BTreeMap<usize, u32>>,
}

/// Failure domains and pairs that are taken.
#[derive(Debug, Default)]
struct Places {
    /// The wave asks for it.
    matter: bool,
    domains: BTreeSet<String>,
    pairs: BTreeSet<String>,
}

/// The next grant, if a member is ready and a slot is free.
pub(crate) fn grant(look: Look<'_>, line: &mut Line) -> Option<Event> {
    let rollout = look.app.active.as_ref()?;
    let leak = look.app.has(Bug::PauseLeaks) && rollout.state != RolloutState::Planned;
    if !rollout.is_progressing() && !leak {
        return None;
    }
    let index = rollout.current_wave().filter(|i| rollout.waves[*i].state == WaveState::Open)?;
    if !gates::continuous(look, rollout, index).is_empty() {
        return None;
    }
    let late = line.late.get_or_insert_with(|| late(look, rollout));
    let paced = pace_left(look, rollout) == 0 && !look.app.has(Bug::PaceIgnored);
    let slots = if paced { 0 } else { slots(look, rollout, index, late) };
    // Only the way back of a dark cluster takes no slot.
    if slots == 0 && !rollout.is_rollback() {
        return None;
    }
    let places = line.places.get_or_insert_with(|| places(look, rollout, index));
    while let Some(uid) = line.heard.pop() {
        let member = rollout.members.get(&uid).filter(|m| m.wave == index);
        if let Some(event) = member.and_then(|m| one(look, rollout, &uid, m, slots, places)) {
            return Some(event);
        }
    }
    let order = &rollout.waves[index].order;
    while let Some(uid) = order.get(line.from) {
        let member = rollout.members.get(uid);
        if let Some(event) = member.and_then(|m| one(look, rollout, uid, m, slots, places)) {
            return Some(event);
        }
        line.from += 1;
    }
    None
}

impl Line {
    /// Only this cluster was heard since the line was walked.
    pub(crate) fn heard(&mut self, cluster: ClusterUid) {
        let alone = self.places.as_ref().is_some_and(|p| !p.matter);
        if alone {
            self.heard.push(cluster);
            self.late = None;
        } else {
            *self = Line::default();
        }
    }
}

/// What one member of the open wave may be given, and who is in flight then.
fn one(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
    slots: u32,
    places: &mut Places,
) -> Option<Event> {
    if member.state != MemberState::Queued {
        return None;
    }
    let mut event = if rollout.is_rollback() {
        backward(look, rollout, uid, member, slots)
    } else {
        forward(look, rollout, uid, member, slots, places)
    }?;
    if let Event::Granted { grant, .. } = &mut event
        && rollout.is_rollback()
        && look.app.has(Bug::ForwardInRollback)
    {
        let newest = look.obs.candidate.as_ref().and_then(|c| c.variants.get(uid));
        grant.digest = newest.copied().unwrap_or(grant.digest);
    }
    if let Some(place) = &member.place {
        places.domains.extend(place.domain.clone());
        places.pairs.extend(place.pair.clone());
    }
    Some(event)
}

/// A forward grant is never stacked on one whose fate is open.
fn forward(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
    slots: u32,
    places: &Places,
) -> Option<Event> {
    let holding = look.app.holding(uid);
    if !look.is_fresh(uid, stale_after(rollout, member)) || look.is_ahead(uid) {
        return None;
    }
    if let Some(open) = holding.and_then(|h| h.outstanding.last()) {
        return recall(look, uid, open, holding);
    }
    let condemned = look.app.condemned.contains_key(&member.target);
    if slots == 0 || condemned && !look.app.has(Bug::RegrantCondemned) {
        return None;
    }
    let held = busy(look, uid)
        || gates::for_member(look, rollout, uid, member).is_some()
        || apart(look, rollout, member, places).is_some();
    (!held).then(|| given(look, rollout, uid, member, false))
}

/// What an earlier rollout left behind is called back; what a rollback left stands, because the way out of
/// bad content is never blocked.
fn recall(
    look: Look<'_>,
    uid: &ClusterUid,
    open: &Given,
    holding: Option<&Holding>,
) -> Option<Event> {
    let back = look.app.rollout(open.rollout).is_some_and(Rollout::is_rollback);
    let (cluster, epoch) = (uid.clone(), open.grant.epoch);
    let recall = Event::Recalled { cluster, epoch, at: look.now.wall };
    (!back && !holding.is_some_and(|h| h.recalled)).then_some(recall)
}

/// Too many Apps are in flight on the cluster at once: nobody could tell whose failure it is.
pub(crate) fn busy(look: Look<'_>, uid: &ClusterUid) -> bool {
    look.cluster(uid).is_some_and(|c| c.busy >= UPDATES_PER_CLUSTER)
}

/// What keeps a member apart from those in flight: its failure domain, or its pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Apart {
    /// As many other domains are in flight as may be.
    Domain(Vec<String>),
    /// The other one of its pair is in flight or unhealthy.
    Pair(String),
}

fn apart(look: Look<'_>, rollout: &Rollout, member: &Member, places: &Places) -> Option<Apart> {
    let spec = &rollout.waves[member.wave].spec;
    let place = member.place.as_ref()?;
    if let (Some(spread), Some(domain)) = (&spec.spread, &place.domain) {
        // Also its own domain waits while a grant is called back in one that is too many.
        let others: Vec<_> = places.domains.iter().filter(|d| *d != domain).cloned().collect();
        if others.len() >= spread.max as usize && !look.app.has(Bug::SpreadIgnored) {
            return Some(Apart::Domain(others));
        }
    }
    let pair = place.pair.as_ref().filter(|_| spec.separate.is_some())?;
    (places.pairs.contains(pair) && !look.app.has(Bug::PairIgnored))
        .then(|| Apart::Pair(pair.clone()))
}

/// What keeps a member apart, for explaining it.
pub(crate) fn kept_apart(look: Look<'_>, rollout: &Rollout, member: &Member) -> Option<Apart> {
    apart(look, rollout, member, &places(look, rollout, member.wave))
}

/// Failure domains of those in flight, and pairs of those in flight or unhealthy.
fn places(look: Look<'_>, rollout: &Rollout, index: usize) -> Places {
    let spec = &rollout.waves[index].spec;
    let mut places = Places::default();
    if spec.spread.is_none() && spec.separate.is_none() {
        return places;
    }
    places.matter = true;
    for (uid, member) in &rollout.members {
        let Some(place) = &member.place else { continue };
        if member.state.takes_slot() {
            places.domains.extend(place.domain.clone());
        }
        let unwell = member.state.is_failed() || look.is_unwell(uid);
        if member.state.takes_slot() || unwell && member.state != MemberState::Queued {
            places.pairs.extend(place.pair.clone());
        }
        // One that waits and is unhealthy keeps its partner waiting, not itself.
        if member.state == MemberState::Queued && unwell && spec.separate.is_some() {
            let twin = rollout.members.iter().any(|(other, m)| {
                other != uid && m.place.as_ref().is_some_and(|p| p.pair == place.pair)
            });
            if twin && !first_of_pair(look, rollout, uid, place.pair.as_ref()) {
                places.pairs.extend(place.pair.clone());
            }
        }
    }
    places
}

/// Of a pair of which both wait and both are unhealthy, the first may go: somebody must.
fn first_of_pair(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    pair: Option<&String>,
) -> bool {
    let twins = rollout
        .members
        .iter()
        .filter(|(_, m)| m.place.as_ref().and_then(|p| p.pair.as_ref()) == pair && pair.is_some());
    twins.filter(|(other, _)| look.is_unwell(other)).map(|(other, _)| other).next() == Some(uid)
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
    Event::Granted {
        rollout: rollout.id,
        cluster: uid.clone(),
        name: look.name(uid),
        grant: Grant { epoch: look.next_epoch(uid), digest: member.target },
        broken_before: look.is_broken(rollout, uid),
        dark,
        at: look.now.wall,
    }
}

impl Look<'_> {
    /// Unhealthy on what it runs, before this rollout touched it.
    pub(crate) fn is_broken(&self, rollout: &Rollout, uid: &ClusterUid) -> bool {
        let confirmed = self.app.holding(uid).and_then(|h| h.confirmed);
        confirmed.is_some_and(|given| given.rollout != rollout.id) && self.is_unwell(uid)
    }

    /// Its agent says that what it runs is unhealthy.
    pub(crate) fn is_unwell(&self, uid: &ClusterUid) -> bool {
        let confirmed = self.app.holding(uid).and_then(|h| h.confirmed);
        let bad = |phase: &Phase| matches!(phase, Phase::Degraded { .. } | Phase::Failed { .. });
        confirmed
            .zip(self.report(uid))
            .is_some_and(|(given, report)| report.epoch == given.grant.epoch && bad(&report.phase))
    }
}

/// How many more clusters may be in flight: by the wave's limit and, until the release is proved anywhere,
/// by the probe.
pub(crate) fn free_slots(look: Look<'_>, rollout: &Rollout, index: usize) -> u32 {
    slots(look, rollout, index, &late(look, rollout))
}

fn slots(look: Look<'_>, rollout: &Rollout, index: usize, late: &BTreeMap<usize, u32>) -> u32 {
    let limit = rollout.waves[index].limits.map_or(0, |l| l.max_in_flight);
    let extra = u32::from(look.app.has(Bug::Overgrant));
    let taken = |wave: usize| {
        let counts = rollout.waves[wave].tally.counts;
        let freed = if look.app.has(Bug::RecallFreesSlot) { counts.recalling } else { 0 };
        rollout.waves[wave].tally.in_flight() - freed + late.get(&wave).copied().unwrap_or(0)
    };
    let free = (limit + extra).saturating_sub(taken(index));
    if is_probing(rollout) && !look.app.has(Bug::NoProbe) {
        let all: u32 = (0..rollout.waves.len()).map(taken).sum();
        free.min((rollout.strategy.probe + extra).saturating_sub(all))
    } else {
        free
    }
}

/// Members that returned late, by wave: they are at work, though no slot was given to them.
fn late(look: Look<'_>, rollout: &Rollout) -> BTreeMap<usize, u32> {
    let mut late = BTreeMap::new();
    if rollout.waves.iter().any(|w| w.tally.silent > 0) {
        for (uid, member) in &rollout.members {
            if look.is_late(rollout, uid, member) {
                *late.entry(member.wave).or_default() += 1;
            }
        }
    }
    late
}

/// Whether the release is unproved and the probe limits its exposure.
pub(crate) fn is_probing(rollout: &Rollout) -> bool {
    !rollout.proved && rollout.strategy.probe > 0 && !rollout.is_rollback()
}

/// Grants that the pace still allows in this minute: of the App, and of the hub as a whole.
pub(crate) fn pace_left(look: Look<'_>, rollout: &Rollout) -> u32 {
    let hub = look.obs.grants_left.unwrap_or(u32::MAX);
    let Some(most) = rollout.strategy.grants_per_minute.filter(|_| !rollout.is_rollback()) else {
        return hub;
    };
    let recent = u32::try_from(paced(look, rollout).count()).unwrap_or(u32::MAX);
    hub.min(most.saturating_sub(recent))
}

/// When each grant of the present minute counts no longer. After the clock was set back, later ones are not of it.
pub(crate) fn paced(look: Look<'_>, rollout: &Rollout) -> impl Iterator<Item = Timestamp> {
    let now = look.now.wall.as_second();
    let seconds = rollout.paced.iter().map(|t| t.as_second());
    let recent = seconds.filter(move |t| (0..PACE_SECONDS).contains(&(now - t)));
    recent.filter_map(|t| Timestamp::from_second(t + PACE_SECONDS).ok())
}

//! What the brain of one App is told besides its own state and its own commit: what people hold back, what
//! other Apps do, how the clock behaves. Gathered once a wake, poured into each App's observation.
//!
//! Deliberately absent: any judgement. A blocker of which nothing is known, an App that does not exist: they
//! are simply not in what is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use model::{AppName, ClusterUid, LeaseEpoch, Phase};
use rollout::{
    BlockerObs, DependencyObs, Mark, Now, Obs, RolloutState, STEP, STEP_SETTLES, Strategy, Verdict,
};

use super::{Fleet, slot::Slot};
use crate::{
    clock::Clock,
    registry::{ClusterRecord, FreezeRecord, FreezeScope, MarkRecord, Registry},
};

/// Silence after which a dependency is not known to be well any more: that of an App that says nothing.
const FRESH: Duration = Duration::from_secs(90);

/// What all Apps are told from.
#[derive(Debug)]
pub(super) struct Feed {
    wall: Timestamp,
    freezes: Vec<FreezeRecord>,
    blockers: BTreeMap<String, BlockerObs>,
    dependencies: BTreeMap<AppName, DependencyObs>,
    /// Apps in flight on each cluster.
    busy: BTreeMap<ClusterUid, BTreeSet<AppName>>,
}

impl Feed {
    /// Gathers.
    pub(super) fn new(
        registry: &Registry,
        fleet: &Fleet,
        slots: &BTreeMap<AppName, Slot>,
        now: Now,
    ) -> Feed {
        let wall = now.wall;
        let blockers = registry.blockers();
        let blockers = blockers.iter().map(|(name, record)| {
            let told = BlockerObs { set: record.set, message: record.message.clone() };
            (name.clone(), told)
        });
        let named: BTreeSet<AppName> = slots.values().flat_map(depends_on).collect();
        let known = named.into_iter().filter_map(|app| {
            let slot = slots.get(&app)?;
            Some((app.clone(), dependency(slot, &app, fleet, now)))
        });
        let mut freezes = registry.freezes();
        freezes.retain(|freeze| freeze.holds(wall));
        Feed {
            wall,
            freezes,
            blockers: blockers.collect(),
            dependencies: known.collect(),
            busy: busy(slots),
        }
    }

    /// Tells one App.
    pub(super) fn pour(
        &self,
        app: &AppName,
        clusters: &BTreeMap<ClusterUid, ClusterRecord>,
        obs: &mut Obs,
    ) {
        let about = self.freezes.iter().filter(|freeze| freeze.scope.is_about(app));
        obs.freezes = about.map(told).collect();
        obs.blockers.clone_from(&self.blockers);
        obs.dependencies.clone_from(&self.dependencies);
        for (uid, seen) in &mut obs.clusters {
            let Some(record) = clusters.get(uid) else { continue };
            seen.cordon = record.cordon_at(self.wall).map(|mark| marked(mark, "cluster"));
            seen.pin = record.pin_at(app, self.wall).map(|mark| marked(mark, "cluster"));
            let others = self
                .busy
                .get(uid)
                .map_or(0, |apps| apps.iter().filter(|other| *other != app).count());
            seen.busy = u32::try_from(others).unwrap_or(u32::MAX);
        }
    }

    /// When the next freeze, cordon or pin ends by itself.
    pub(super) fn thaws(&self, clusters: &BTreeMap<ClusterUid, ClusterRecord>) -> Option<Duration> {
        let marks = clusters.values().flat_map(|c| c.cordon.iter().chain(c.pins.values()));
        let ends = self.freezes.iter().filter_map(|f| f.until).chain(marks.filter_map(|m| m.until));
        let ahead = ends.filter(|end| *end > self.wall).map(|end| end.duration_since(self.wall));
        ahead.min().and_then(|left| Duration::try_from(left).ok())
    }
}

fn told(freeze: &FreezeRecord) -> Mark {
    let FreezeRecord { scope, by, reason, until, .. } = freeze;
    let scope = match scope {
        FreezeScope::Fleet => "fleet".to_owned(),
        FreezeScope::App(_) => scope.to_string(),
    };
    Mark { scope, by: by.clone(), reason: reason.clone(), until: *until }
}

fn marked(mark: &MarkRecord, scope: &str) -> Mark {
    let (by, reason) = (mark.by.clone(), mark.reason.clone());
    Mark { scope: scope.to_owned(), by, reason, until: mark.until }
}

/// The Apps that the strategies of one App name: that of its newest commit, and that under way.
fn depends_on(slot: &Slot) -> Vec<AppName> {
    let newest = slot.offer.candidate.as_ref().map(|c| &c.strategy);
    let active = slot.state.active.as_ref().map(|r| &r.strategy);
    let named = |strategy: &Strategy| -> Vec<AppName> {
        strategy.waves.iter().flat_map(|w| &w.before.depends_on).map(|on| on.app.clone()).collect()
    };
    newest.into_iter().chain(active).flat_map(named).collect()
}

/// Where an App is that others wait for.
fn dependency(slot: &Slot, app: &AppName, fleet: &Fleet, now: Now) -> DependencyObs {
    let state = &slot.state;
    let stands = state.head.as_ref().is_some_and(|head| match &head.verdict {
        Verdict::Unchanged => state.stable.is_some(),
        Verdict::Rollout(id) => state.stable_rollout == Some(*id),
        Verdict::Queued | Verdict::Refused { .. } => false,
    });
    let mut ready = BTreeSet::new();
    let Some(stable) = &state.stable else {
        return DependencyObs { settled: false, ready };
    };
    fleet.each(|uid, agent| {
        let given = state.holding(uid).and_then(|h| h.confirmed).map(|given| given.grant);
        let heard = agent.reports.get(app).map(|heard| &heard.report);
        let (Some(grant), Some(report)) = (given, heard) else { return };
        let proven = stable.variants.get(uid).is_none_or(|digest| *digest == grant.digest);
        let well = report.epoch == grant.epoch && report.phase == Phase::Healthy;
        let fresh = agent.heard_whole().is_some_and(|at| now.mono.saturating_sub(at) <= FRESH);
        if proven && well && fresh {
            ready.insert(uid.clone());
        }
    });
    DependencyObs { settled: stands && state.active.is_none(), ready }
}

/// Apps in flight on each cluster. Rollouts that stand still, or of which nothing is in flight, cost nothing.
fn busy(slots: &BTreeMap<AppName, Slot>) -> BTreeMap<ClusterUid, BTreeSet<AppName>> {
    let mut busy: BTreeMap<ClusterUid, BTreeSet<AppName>> = BTreeMap::new();
    for (app, slot) in slots {
        let Some(rollout) = &slot.state.active else { continue };
        let over = matches!(rollout.state, RolloutState::Planned | RolloutState::Ended { .. });
        if over || rollout.in_flight() == 0 {
            continue;
        }
        for (uid, _) in rollout.members.iter().filter(|(_, m)| m.state.takes_slot()) {
            busy.entry(uid.clone()).or_default().insert(app.clone());
        }
    }
    busy
}

/// Reads the clocks, and notices when one jumped against the other.
#[derive(Debug)]
pub(super) struct Watch {
    clock: Clock,
    term: LeaseEpoch,
    last: Option<(Timestamp, Duration)>,
    stepped: Option<Duration>,
}

impl Watch {
    pub(super) fn new(clock: Clock, term: LeaseEpoch) -> Watch {
        Watch { clock, term, last: None, stepped: None }
    }

    /// The time, and whether the wall clock is to be trusted.
    pub(super) fn now(&mut self) -> Now {
        let (wall, mono) = (self.clock.now(), self.clock.since_start());
        if let Some((wall_then, mono_then)) = self.last
            && has_stepped(wall.duration_since(wall_then), mono.saturating_sub(mono_then))
        {
            tracing::warn!(
                "the wall clock jumped; windows and approvals wait until it stands still"
            );
            self.stepped = Some(mono);
        }
        self.last = Some((wall, mono));
        let stepped = self.stepped.is_some_and(|at| mono.saturating_sub(at) < STEP_SETTLES);
        Now { wall, mono, term: self.term, stepped }
    }
}

/// Whether the wall clock moved otherwise than the monotonic one.
fn has_stepped(wall: SignedDuration, mono: Duration) -> bool {
    let mono = SignedDuration::try_from(mono).unwrap_or(SignedDuration::MAX);
    wall.saturating_sub(mono).abs() > STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_creeps_is_not() {
        let secs = SignedDuration::from_secs;
        assert!(!has_stepped(secs(60), Duration::from_secs(58)));
        assert!(has_stepped(secs(3600), Duration::from_secs(2)));
        assert!(has_stepped(secs(-10), Duration::from_secs(2)));
    }
}

//! What must hold when one event is appended.

use std::time::Duration;

use model::{ClusterUid, Epoch, Grant, Phase, Report};

use super::gate;
use crate::{
    act::LaneChange,
    event::{Event, MemberChange, Start, WaveChange},
    obs::{Now, Obs},
    spec::OnNewRelease,
    state::{App, Kind, Member, MemberState, Outcome, Rollout, RolloutState, WaveState},
};

/// One append.
struct Append<'a> {
    before: &'a App,
    now: Now,
    obs: &'a Obs,
    found: &'a mut Vec<String>,
}

pub(super) fn check(before: &App, event: &Event, now: Now, obs: &Obs, found: &mut Vec<String>) {
    gate::Append { before, now, obs }.check(event, found);
    let mut append = Append { before, now, obs, found };
    append.check(event);
}

impl Append<'_> {
    fn say(&mut self, text: impl Into<String>) {
        self.found.push(text.into());
    }

    fn check(&mut self, event: &Event) {
        if let Event::Started(start) = event {
            self.started(start);
        } else if let Some(id) = event.rollout()
            && self.before.active.as_ref().map(|r| r.id) != Some(id)
        {
            return self.say(format!("I5: an event of rollout {id}, which is not active"));
        }
        match event {
            Event::Granted { cluster, grant, dark, .. } => self.granted(cluster, *grant, *dark),
            Event::Restored { cluster, grant, .. } => self.restored(cluster, *grant),
            Event::Acked { cluster, grant, .. } => self.acked(cluster, *grant),
            Event::Fenced { cluster, upto, .. } => self.fenced(cluster, *upto),
            Event::Member { cluster, change, .. } => self.member(cluster, change),
            Event::Wave { wave, change, .. } => self.wave(*wave, *change),
            Event::Resumed { .. } | Event::Retried { .. } => self.resumed(),
            Event::Ended { outcome, .. } => self.ended(*outcome),
            Event::Departed { cluster, .. } => {
                if !self.obs.clusters.get(cluster).is_some_and(|c| c.deleted) {
                    self.say(format!("I12: {cluster} departed, and nobody deleted it"));
                }
            }
            Event::Lane { cluster, change, .. } => self.lane(cluster, change),
            Event::HeadMoved { .. }
            | Event::Started(_)
            | Event::Begun { .. }
            | Event::Untargeted { .. }
            | Event::CaughtUp { .. }
            | Event::Judged { .. }
            | Event::Joined { .. }
            | Event::Acted { .. }
            | Event::Answered { .. }
            | Event::Recalled { .. }
            | Event::Dark { .. }
            | Event::Paused { .. }
            | Event::Halted { .. }
            | Event::Skipped { .. } => {}
        }
    }

    fn started(&mut self, start: &Start) {
        if let Some(active) = &self.before.active {
            if start.supersedes != Some(active.id) {
                self.say(format!("I6: rollout {} starts beside {}", start.id, active.id));
            }
            if active.is_rollback() {
                self.say(format!("I21: rollback {} is superseded", active.id));
            }
            if overtakes(start, active) {
                self.say(format!(
                    "L4: rollout {} may end first, and {} starts",
                    active.id, start.id
                ));
            }
        }
        if start.id.0 <= self.before.last_id {
            self.say(format!("I5: rollout number {} is used twice", start.id));
        }
        let condemned = |digest| self.before.condemned.contains_key(digest);
        let bad = start.plan.targets.iter().any(|(_, digest)| condemned(digest));
        if start.kind == Kind::Forward && bad {
            self.say(format!("I11: rollout {} starts with condemned content", start.id));
        }
        if matches!(start.kind, Kind::Rollback { .. }) && start.condemns.is_empty() {
            self.say(format!("I11: rollback {} condemns nothing", start.id));
        }
    }

    fn granted(&mut self, uid: &ClusterUid, grant: Grant, dark: bool) {
        let Some(rollout) = &self.before.active else { return };
        let Some(member) = rollout.members.get(uid) else {
            return self.say(format!("I1: {uid} is granted and is no member"));
        };
        let holding = self.before.clusters.get(uid);
        if holding.is_some_and(|h| grant.epoch <= h.issued) {
            self.say(format!("I4: epoch {} of {uid} is issued twice", grant.epoch));
        }
        if member.state != MemberState::Queued || member.target != grant.digest {
            self.say(format!("I1: {uid} was not waiting for this grant"));
        }
        if rollout.state != RolloutState::Progressing {
            self.say(format!("I17: {uid} is granted while the rollout stands still"));
        }
        let wave = &rollout.waves[member.wave];
        if wave.state != WaveState::Open {
            self.say(format!("I1: {uid} is granted in {}, which is not open", wave.spec.name));
        }
        let passed = |s: &WaveState| matches!(s, WaveState::Passed { .. } | WaveState::Skipped);
        if !rollout.waves.iter().take(member.wave).all(|w| passed(&w.state)) {
            self.say(format!("I3: {uid} is granted before an earlier wave passed"));
        }
        if !rollout.is_rollback() {
            if self.before.condemned.contains_key(&grant.digest) {
                self.say(format!("I11: {uid} is granted condemned content"));
            }
            if holding.is_some_and(|h| !h.outstanding.is_empty()) {
                self.say(format!("P6: {uid} is granted while an earlier grant is open"));
            }
            if over_budget(rollout) {
                self.say(format!("I9: {uid} is granted though a budget is spent"));
            }
        }
        if !dark {
            self.slots(rollout, member);
        }
    }

    /// I2 and I25 at the moment of a grant: everything that takes a slot counts, whoever gave it.
    fn slots(&mut self, rollout: &Rollout, member: &Member) {
        let takes = |m: &&Member| m.state.takes_slot();
        let all = rollout.members.values().filter(takes).count();
        let here = rollout.members.values().filter(takes).filter(|m| m.wave == member.wave).count();
        let limit = rollout.waves[member.wave].limits.map_or(0, |l| l.max_in_flight) as usize;
        if here >= limit {
            self.say(format!("I2: a grant with {here} of {limit} slots taken"));
        }
        let probe = rollout.strategy.probe as usize;
        if !rollout.is_rollback() && !rollout.proved && probe > 0 && all >= probe {
            self.say(format!(
                "I25: a grant with {all} exposed and nothing proved, probe is {probe}"
            ));
        }
    }

    fn restored(&mut self, uid: &ClusterUid, grant: Grant) {
        let holding = self.before.clusters.get(uid);
        let same =
            holding.and_then(|h| h.confirmed).is_some_and(|g| g.grant.digest == grant.digest);
        if !same || holding.is_none_or(|h| grant.epoch <= h.issued || !h.outstanding.is_empty()) {
            self.say(format!("I4: {uid} is restored to something it did not run"));
        }
    }

    fn report(&self, uid: &ClusterUid) -> Option<&Report> {
        self.obs.clusters.get(uid)?.report.as_ref()
    }

    fn acked(&mut self, uid: &ClusterUid, grant: Grant) {
        let said = self
            .report(uid)
            .is_some_and(|r| r.epoch == grant.epoch && r.digest == Some(grant.digest));
        if !said {
            self.say(format!("P5: nobody said that {uid} holds epoch {}", grant.epoch));
        }
    }

    fn fenced(&mut self, uid: &ClusterUid, upto: Epoch) {
        let freed =
            self.before.clusters.get(uid).map(|h| h.outstanding.clone()).unwrap_or_default();
        let promised = self.report(uid).is_some_and(|r| {
            let freed = freed.iter().filter(|g| g.grant.epoch <= upto);
            r.fence >= upto && freed.into_iter().all(|g| r.epoch < g.grant.epoch)
        });
        if !promised {
            self.say(format!("P3: {uid} never promised to refuse epochs up to {upto}"));
        }
    }

    /// A fresh report of the very epoch and digest, healthy for at least that long.
    fn proves(
        &self,
        rollout: &Rollout,
        uid: &ClusterUid,
        member: &Member,
        least: Duration,
    ) -> bool {
        let stale_after = rollout.waves[member.wave].spec.settings.offline.stale_after;
        let Some(cluster) = self.obs.clusters.get(uid) else { return false };
        let fresh = cluster
            .last_heard
            .is_some_and(|heard| self.now.mono.saturating_sub(heard) <= stale_after);
        fresh
            && cluster.report.as_ref().is_some_and(|report| {
                Some(report.epoch) == member.granted
                    && report.digest == Some(member.target)
                    && report.phase == Phase::Healthy
                    && report.healthy_for >= least
            })
    }

    fn member(&mut self, uid: &ClusterUid, change: &MemberChange) {
        let Some(rollout) = &self.before.active else { return };
        let Some(member) = rollout.members.get(uid) else {
            return self.say(format!("I23: {uid} changes and is no member"));
        };
        let settings = rollout.waves[member.wave].spec.settings;
        if *change == MemberChange::Updated
            && !self.proves(rollout, uid, member, settings.min_healthy)
        {
            self.say(format!("I7: {uid} counts as updated without fresh evidence of its grant"));
        }
    }

    fn wave(&mut self, index: usize, change: WaveChange) {
        let Some(rollout) = &self.before.active else { return };
        let wave = &rollout.waves[index];
        let name = &wave.spec.name;
        if rollout.state != RolloutState::Progressing {
            self.say(format!("I17: {name} moves while the rollout stands still"));
        }
        let rollback = rollout.is_rollback();
        let legal = match (wave.state, change) {
            (WaveState::Locked, WaveChange::Gated)
            | (
                WaveState::Locked | WaveState::Gated,
                WaveChange::Opened { .. } | WaveChange::Skipped,
            )
            | (WaveState::Open, WaveChange::Proving)
            | (WaveState::Proving, WaveChange::Reopened | WaveChange::Passed { .. }) => true,
            (WaveState::Open, WaveChange::Passed { .. }) => rollback,
            (
                WaveState::Locked
                | WaveState::Gated
                | WaveState::Open
                | WaveState::Proving
                | WaveState::Passed { .. }
                | WaveState::Skipped,
                _,
            ) => false,
        };
        if !legal {
            self.say(format!("I3: {name} went from {:?} by {change:?}", wave.state));
        }
        let passed = |s: &WaveState| matches!(s, WaveState::Passed { .. } | WaveState::Skipped);
        if !rollout.waves[..index].iter().all(|w| passed(&w.state)) {
            self.say(format!("I3: {name} moves before the waves ahead of it passed"));
        }
        if over_budget(rollout) {
            self.say(format!("I9: {name} moves though a budget is spent"));
        }
        if let WaveChange::Passed { vacuous } = change
            && !rollback
        {
            self.passed(rollout, index, vacuous);
        }
    }

    fn passed(&mut self, rollout: &Rollout, index: usize, vacuous: bool) {
        let wave = &rollout.waves[index];
        let members: Vec<_> = rollout.members.iter().filter(|(_, m)| m.wave == index).collect();
        let updated = members.iter().filter(|(_, m)| m.state == MemberState::Updated).count();
        let changed = members.iter().any(|(_, m)| {
            matches!(
                m.state,
                MemberState::Failed { .. } | MemberState::Updated | MemberState::Queued
            )
        });
        let min = wave.limits.map_or(1, |l| l.evidence_min.max(1)) as usize;
        if vacuous && changed || !vacuous && updated < min {
            self.say(format!("I7b: {} passes on {updated} proofs", wave.spec.name));
        }
        if members.iter().any(|(_, m)| m.state.takes_slot()) {
            self.say(format!("I7b: {} passes with clusters in flight", wave.spec.name));
        }
        gate::passed(rollout, index, self.now, self.found);
        let forced = wave
            .overrides
            .iter()
            .any(|o| o.gate == crate::gate::Gate::Soak && (!o.needs_second || o.second.is_some()));
        let soak = wave.spec.settings.soak / rollout.expedited.unwrap_or(1).max(1);
        let soak = if forced { Duration::ZERO } else { soak };
        for (uid, member) in members.iter().filter(|(_, m)| m.state == MemberState::Updated) {
            if !self.proves(rollout, uid, member, soak) {
                self.say(format!("I16: {} passes and {uid} has not soaked", wave.spec.name));
            }
        }
    }

    /// I7 in the lane: well only by a fresh report of its very grant.
    fn lane(&mut self, uid: &ClusterUid, change: &LaneChange) {
        if *change != LaneChange::Done {
            return;
        }
        let rules = self.before.lane_rules.as_ref();
        let proves = self.before.lane.get(uid).zip(rules).is_some_and(|(lane, rules)| {
            let Some(cluster) = self.obs.clusters.get(uid) else { return false };
            let mono = self.now.mono;
            let fresh = cluster.last_heard.is_some_and(|heard| {
                mono.saturating_sub(heard) <= rules.settings.offline.stale_after
            });
            fresh
                && cluster.report.as_ref().is_some_and(|report| {
                    report.epoch == lane.grant.epoch
                        && report.digest == Some(lane.grant.digest)
                        && report.phase == Phase::Healthy
                        && report.healthy_for >= rules.settings.min_healthy
                })
        });
        if !proves {
            self.say(format!("I7: {uid} caught up without fresh evidence of its grant"));
        }
    }

    fn resumed(&mut self) {
        let Some(rollout) = &self.before.active else { return };
        let condemned = |m: &Member| self.before.condemned.contains_key(&m.target);
        if rollout.is_forward() && rollout.members.values().any(condemned) {
            self.say("I11: a condemned release is resumed");
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        let Some(rollout) = &self.before.active else { return };
        let passed = |s: &WaveState| matches!(s, WaveState::Passed { .. } | WaveState::Skipped);
        let done = rollout.waves.iter().all(|w| passed(&w.state));
        match outcome {
            Outcome::Completed { .. } | Outcome::RolledBack { .. } if !done => {
                self.say(format!("I3: rollout {} ends before its waves passed", rollout.id));
            }
            Outcome::Completed { .. } if rollout.is_rollback() => {
                self.say(format!("I11: rollback {} counts as a completed release", rollout.id));
            }
            Outcome::Completed { .. }
            | Outcome::RolledBack { .. }
            | Outcome::Superseded { .. }
            | Outcome::Aborted => {}
        }
    }
}

/// A release that passed its first wave ends, however many commits follow: unless it is halted, or a person or the
/// newer commit's own strategy wants it otherwise.
fn overtakes(start: &Start, active: &Rollout) -> bool {
    let by_itself = start.kind == Kind::Forward && start.by.is_none();
    let proving = active.is_forward() && !active.is_halted();
    let first = active.waves.first().map(|w| w.state);
    let passed = matches!(first, Some(WaveState::Passed { .. } | WaveState::Skipped));
    let waits = match start.strategy.on_new_release {
        OnNewRelease::Auto => passed,
        OnNewRelease::Queue => true,
        OnNewRelease::Supersede => false,
    };
    by_itself && proving && waits
}

/// Whether more members of a wave failed than it or a person allows.
fn over_budget(rollout: &Rollout) -> bool {
    !rollout.is_rollback()
        && rollout.waves.iter().enumerate().any(|(index, wave)| {
            let failed = |m: &&Member| {
                let failed = matches!(m.state, MemberState::Failed { .. });
                m.wave == index && failed && !m.broken_before
            };
            let failed = rollout.members.values().filter(failed).count();
            wave.limits.is_some_and(|l| failed > l.max_failures.max(wave.accepted) as usize)
        })
}

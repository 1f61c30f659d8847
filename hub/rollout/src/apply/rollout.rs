//! A rollout's own life: begin, waves, hold, end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{ClusterUid, Commit, Digest};

use crate::{
    bug::Bug,
    event::{Start, WaveChange},
    release::Variants,
    state::{
        Actor, App, Condemned, Counts, FailureWhy, Head, Held, Kind, LaneRules, Measured, Member,
        MemberState, Outcome, PAST_MAX, Rollout, RolloutState, Tally, Untargeted, Verdict, Wave,
        WaveState,
    },
};

impl App {
    /// Begins a rollout; ends the superseded one and condemns in the same step.
    pub(super) fn begin(&mut self, start: &Start) {
        if start.supersedes.is_some() && start.supersedes == self.active.as_ref().map(|r| r.id) {
            self.end(Outcome::Superseded { by: start.id }, start.by.clone(), start.at);
        }
        let of = match start.kind {
            Kind::Forward | Kind::Removal { .. } => start.id,
            Kind::Rollback { of } => of,
        };
        for digest in &start.condemns {
            self.condemned.entry(*digest).or_insert(Condemned { rollout: of, at: start.at });
        }
        self.last_id = self.last_id.max(start.id.0);
        if start.kind == Kind::Forward {
            self.retarget(start);
            self.head = Some(Head {
                revision: start.release.revision.clone(),
                subject: start.release.subject.clone(),
                content: start.release.variants.digest(),
                verdict: Verdict::Rollout(start.id),
                at: start.at,
            });
        }
        let state = match &start.held {
            Held::No => RolloutState::Progressing,
            Held::UntilStarted => RolloutState::Planned,
            Held::Paused(by) => RolloutState::Paused { by: by.clone(), at: start.at },
        };
        let mut rollout = Rollout {
            id: start.id,
            kind: start.kind.clone(),
            release: start.release.clone(),
            strategy: start.strategy.clone(),
            state,
            waves: start.plan.waves.iter().map(planned).collect(),
            members: BTreeMap::new(),
            proved: false,
            failures_accepted: false,
            partial: start.partial,
            expedited: None,
            paced: Vec::new(),
            started: start.at,
            ended: None,
            trace: start.trace.clone(),
        };
        for (index, wave) in start.plan.waves.iter().enumerate() {
            for uid in &wave.members {
                let Some(target) = start.plan.targets.get(uid).copied() else { continue };
                let member = self.planned_member(start, index, uid, target);
                rollout.admit(uid.clone(), member);
            }
        }
        self.active = Some(rollout);
    }

    /// The target set of a new release. What is no longer in it keeps what it runs.
    fn retarget(&mut self, start: &Start) {
        let variants = &start.release.variants;
        let left: Vec<_> =
            self.targets.iter().filter(|uid| !variants.contains_key(*uid)).cloned().collect();
        self.untarget(&left, start.release.commit(), start.at);
        self.untargeted.retain(|uid, _| !variants.contains_key(uid));
        self.targets = variants.keys().cloned().collect();
    }

    pub(super) fn untarget(&mut self, clusters: &[ClusterUid], commit: &Commit, at: Timestamp) {
        for uid in clusters {
            self.targets.remove(uid);
            self.lane.remove(uid);
            if self.clusters.get(uid).is_some_and(|h| h.newest().is_some()) {
                let why = Untargeted { commit: commit.clone(), at };
                self.untargeted.entry(uid.clone()).or_insert(why);
            }
        }
    }

    fn planned_member(
        &self,
        start: &Start,
        wave: usize,
        uid: &ClusterUid,
        target: Digest,
    ) -> Member {
        let rollback = matches!(start.kind, Kind::Rollback { .. });
        let state = match self.holding(uid) {
            _ if start.plan.irreversible.contains(uid) => {
                MemberState::Failed { why: FailureWhy::NothingToReturnTo, message: String::new() }
            }
            Some(h) if h.recalled && !rollback => MemberState::Recalling { inherited: true },
            Some(h) if h.is_settled() && h.confirmed.is_some_and(|g| g.grant.digest == target) => {
                MemberState::Unchanged
            }
            _ => MemberState::Queued,
        };
        Member {
            wave,
            target,
            state,
            granted: None,
            attempts: 0,
            broken_before: false,
            place: start.plan.places.get(uid).cloned().map(Box::new),
            since: start.at,
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, by: Option<Actor>, at: Timestamp) {
        match outcome {
            Outcome::Aborted | Outcome::Superseded { .. } => self.recall_unacknowledged(at),
            Outcome::Completed { .. } | Outcome::RolledBack { .. } => {}
        }
        if self.has(Bug::Resurrect) && outcome == Outcome::Aborted {
            return;
        }
        let Some(mut rollout) = self.active.take() else { return };
        let completed = matches!(outcome, Outcome::Completed { .. });
        if completed && rollout.kind == Kind::Forward && rollout.is_proven() {
            self.stable = Some(rollout.release.clone());
            self.stable_rollout = Some(rollout.id);
            self.lane_rules = Some(LaneRules {
                max_in_flight: rollout.strategy.catch_up.max_in_flight,
                settings: rollout.strategy.rollback,
            });
            // Who failed on the release before gets the new one, if it lacks it.
            self.lane.retain(|_, lane| lane.failed.is_none());
        }
        if completed && matches!(rollout.kind, Kind::Removal { .. }) {
            for (uid, member) in &rollout.members {
                if member.state == MemberState::Updated {
                    self.untargeted.remove(uid);
                }
            }
        }
        rollout.state = RolloutState::Ended { outcome, by };
        rollout.ended = Some(at);
        self.past.iter_mut().for_each(Rollout::compact);
        self.past.insert(0, rollout);
        self.past.truncate(PAST_MAX);
    }

    /// Calls back every grant of the active rollout that its agent has not acknowledged. Grants of a
    /// rollback stand: they lead to proven content, and the way there is the mitigation.
    pub(super) fn recall_unacknowledged(&mut self, at: Timestamp) {
        let Some(rollout) = self.active.as_mut().filter(|r| !r.is_rollback()) else { return };
        let mut recalled = Vec::new();
        for (uid, member) in &rollout.members {
            let Some(holding) = self.clusters.get_mut(uid) else { continue };
            let newest = holding.outstanding.last().map(|g| g.grant.epoch);
            if newest.is_some() && newest == member.granted {
                holding.recalled = true;
                recalled.push(uid.clone());
            }
        }
        for uid in recalled {
            rollout.change(&uid, |member| {
                if matches!(member.state, MemberState::Updating { .. }) {
                    member.state = MemberState::Recalling { inherited: false };
                    member.since = at;
                }
            });
        }
    }

    pub(super) fn change_wave(&mut self, index: usize, change: WaveChange, at: Timestamp) {
        let Some(wave) = self.active.as_mut().and_then(|r| r.waves.get_mut(index)) else { return };
        wave.state = match change {
            WaveChange::Gated => WaveState::Gated,
            WaveChange::Opened { limits } => {
                wave.limits = Some(limits);
                wave.opened = Some(at);
                WaveState::Open
            }
            WaveChange::Skipped => WaveState::Skipped,
            WaveChange::Proving => {
                wave.measured.since.get_or_insert(at);
                WaveState::Proving
            }
            WaveChange::Reopened => WaveState::Open,
            WaveChange::Passed { vacuous } => WaveState::Passed { vacuous },
        };
    }

    pub(super) fn resume(&mut self, accept: bool, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        rollout.state = RolloutState::Progressing;
        rollout.failures_accepted |= accept;
        for index in 0..rollout.waves.len() {
            let failed = rollout.failed(index);
            let wave = &mut rollout.waves[index];
            if accept {
                wave.accepted = wave.accepted.max(failed);
            }
            if wave.opened.is_some() {
                wave.opened = Some(at);
            }
            // Whoever lets it go on has seen the bad answers: the measurement begins anew.
            let since = wave.measured.since.map(|_| at);
            wave.measured = Measured { since, ..Measured::default() };
        }
    }
}

impl Rollout {
    /// Members of a wave by state, also when the members are no longer kept.
    pub fn counts(&self, wave: usize) -> Counts {
        self.waves.get(wave).map(|w| w.tally.counts).unwrap_or_default()
    }

    /// Whether its release may be handed to others: somebody proved it, or nobody had anything to prove. One
    /// from which people took every cluster is complete, and proves nothing.
    pub(crate) fn is_proven(&self) -> bool {
        let same = |m: &Member| matches!(m.state, MemberState::Unchanged | MemberState::Departed);
        self.proved || self.members.values().all(same)
    }

    /// Keeps the figures and forgets the members.
    fn compact(&mut self) {
        for wave in &mut self.waves {
            wave.order = Vec::new();
        }
        self.members = BTreeMap::new();
        self.release.variants = Variants::default();
    }
}

fn planned(wave: &crate::release::PlannedWave) -> Wave {
    Wave {
        spec: wave.spec.clone(),
        state: WaveState::Locked,
        order: Vec::with_capacity(wave.members.len()),
        limits: None,
        opened: None,
        accepted: 0,
        approvals: Vec::new(),
        overrides: Vec::new(),
        measured: Measured::default(),
        tally: Tally::default(),
    }
}

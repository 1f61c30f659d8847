//! A rollout's own life: begin, members and waves, hold, end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{ClusterUid, Grant};

use crate::{
    event::{MemberChange, Start, WaveChange},
    release::Variants,
    state::{
        Actor, App, Condemned, Counts, FailureWhy, Head, Held, Kind, Member, MemberState, Outcome,
        PAST_MAX, Rollout, RolloutState, Verdict, Wave, WaveState,
    },
};

/// Digests that are remembered as good per cluster: the newest, and one to return to if it is condemned.
const GOOD_MAX: usize = 2;

impl App {
    /// Begins a rollout; ends the superseded one and condemns in the same step.
    pub(super) fn begin(&mut self, start: &Start) {
        if start.supersedes.is_some() && start.supersedes == self.active.as_ref().map(|r| r.id) {
            self.end(Outcome::Superseded { by: start.id }, start.by.clone(), start.at);
        }
        let of = match start.kind {
            Kind::Forward => start.id,
            Kind::Rollback { of } => of,
        };
        for digest in &start.condemns {
            self.condemned.entry(*digest).or_insert(Condemned { rollout: of, at: start.at });
        }
        self.last_id = self.last_id.max(start.id.0);
        if start.kind == Kind::Forward {
            self.targets = start.release.variants.keys().cloned().collect();
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
        self.active = Some(Rollout {
            id: start.id,
            kind: start.kind,
            release: start.release.clone(),
            strategy: start.strategy.clone(),
            state,
            waves: start.plan.waves.iter().map(planned).collect(),
            members: self.planned_members(start),
            proved: false,
            failures_accepted: false,
            started: start.at,
            ended: None,
            trace: start.trace.clone(),
        });
    }

    fn planned_members(&self, start: &Start) -> BTreeMap<ClusterUid, Member> {
        let rollback = start.kind != Kind::Forward;
        let mut members = BTreeMap::new();
        for (index, wave) in start.plan.waves.iter().enumerate() {
            for uid in &wave.members {
                let irreversible = start.plan.irreversible.contains(uid);
                let Some(target) = start.plan.targets.get(uid).copied() else { continue };
                let state = match self.holding(uid) {
                    _ if irreversible => MemberState::Failed {
                        why: FailureWhy::NothingToReturnTo,
                        message: String::new(),
                    },
                    Some(h) if h.recalled && !rollback => {
                        MemberState::Recalling { inherited: true }
                    }
                    Some(h)
                        if h.is_settled()
                            && h.confirmed.is_some_and(|g| g.grant.digest == target) =>
                    {
                        MemberState::Unchanged
                    }
                    _ => MemberState::Queued,
                };
                let member = Member {
                    wave: index,
                    target,
                    state,
                    granted: None,
                    attempts: 0,
                    broken_before: false,
                    since: start.at,
                };
                members.insert(uid.clone(), member);
            }
        }
        members
    }

    pub(super) fn end(&mut self, outcome: Outcome, by: Option<Actor>, at: Timestamp) {
        match outcome {
            Outcome::Aborted | Outcome::Superseded { .. } => self.recall_unacknowledged(at),
            Outcome::Completed { .. } | Outcome::RolledBack { .. } => {}
        }
        let Some(mut rollout) = self.active.take() else { return };
        if matches!(outcome, Outcome::Completed { .. }) && rollout.kind == Kind::Forward {
            self.stable = Some(rollout.release.clone());
            self.stable_rollout = Some(rollout.id);
        }
        rollout.state = RolloutState::Ended { outcome, by };
        rollout.ended = Some(at);
        self.past.iter_mut().for_each(Rollout::compact);
        self.past.insert(0, rollout);
        self.past.truncate(PAST_MAX);
    }

    /// Calls back every forward grant of the active rollout that its agent has not acknowledged. Grants of a
    /// rollback stand: they lead to proven content, and the way there is the mitigation.
    pub(super) fn recall_unacknowledged(&mut self, at: Timestamp) {
        let Some(rollout) = self.active.as_mut().filter(|r| r.kind == Kind::Forward) else {
            return;
        };
        for (uid, member) in &mut rollout.members {
            let Some(holding) = self.clusters.get_mut(uid) else { continue };
            let newest = holding.outstanding.last().map(|g| g.grant.epoch);
            if newest.is_none() || newest != member.granted {
                continue;
            }
            holding.recalled = true;
            if matches!(member.state, MemberState::Updating { .. }) {
                member.state = MemberState::Recalling { inherited: false };
                member.since = at;
            }
        }
    }

    pub(super) fn member_granted(
        &mut self,
        uid: &ClusterUid,
        grant: Grant,
        broken_before: bool,
        dark: bool,
        at: Timestamp,
    ) {
        let Some(member) = self.active.as_mut().and_then(|r| r.members.get_mut(uid)) else {
            return;
        };
        member.granted = Some(grant.epoch);
        member.attempts += 1;
        member.broken_before |= broken_before;
        member.since = at;
        member.state = if dark {
            MemberState::Failed { why: FailureWhy::DarkAfterGrant, message: String::new() }
        } else {
            MemberState::Updating { acked: false }
        };
    }

    pub(super) fn change_member(&mut self, uid: &ClusterUid, change: &MemberChange, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        let Some(member) = rollout.members.get_mut(uid) else { return };
        member.since = at;
        member.state = match change {
            MemberChange::Verifying => MemberState::Verifying,
            MemberChange::Updated => {
                rollout.proved = true;
                if let Some(holding) = self.clusters.get_mut(uid) {
                    holding.good.retain(|d| *d != member.target);
                    holding.good.insert(0, member.target);
                    holding.good.truncate(GOOD_MAX);
                }
                MemberState::Updated
            }
            MemberChange::Failed { why, message } => {
                MemberState::Failed { why: *why, message: message.clone() }
            }
            MemberChange::Deferred { why } => MemberState::Deferred { why: *why },
            MemberChange::Unchanged => MemberState::Unchanged,
            MemberChange::Requeued => {
                self.requeue(uid);
                return;
            }
        };
    }

    /// Puts a member in line again. A grant that its agent never acknowledged must be called back first.
    fn requeue(&mut self, uid: &ClusterUid) {
        let Some(rollout) = &mut self.active else { return };
        let Some(member) = rollout.members.get_mut(uid) else { return };
        let holding = self.clusters.get_mut(uid).filter(|h| !h.is_settled());
        let own = holding.filter(|h| h.outstanding.last().map(|g| g.grant.epoch) == member.granted);
        member.state = match own {
            Some(holding) if rollout.kind == Kind::Forward => {
                holding.recalled = true;
                MemberState::Recalling { inherited: true }
            }
            _ => MemberState::Queued,
        };
        if member.state == MemberState::Queued {
            member.granted = None;
        }
    }

    pub(super) fn change_wave(&mut self, index: usize, change: WaveChange, at: Timestamp) {
        let Some(wave) = self.active.as_mut().and_then(|r| r.waves.get_mut(index)) else { return };
        wave.state = match change {
            WaveChange::Opened { limits } => {
                wave.limits = Some(limits);
                wave.opened = Some(at);
                WaveState::Open
            }
            WaveChange::Skipped => WaveState::Skipped,
            WaveChange::Proving => WaveState::Proving,
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
        }
    }

    pub(super) fn retry(&mut self, clusters: &[ClusterUid], at: Timestamp) {
        for uid in clusters {
            let Some(rollout) = &mut self.active else { return };
            let Some(member) = rollout.members.get_mut(uid) else { continue };
            member.attempts = 0;
            member.since = at;
            let wave = &mut rollout.waves[member.wave];
            if wave.limits.is_some() {
                wave.state = WaveState::Open;
                wave.opened = Some(at);
            }
            self.requeue(uid);
        }
        if let Some(rollout) = &mut self.active
            && rollout.is_halted()
        {
            rollout.state = RolloutState::Progressing;
        }
    }

    pub(super) fn skip(&mut self, uid: &ClusterUid, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        let Some(member) = rollout.members.get_mut(uid) else { return };
        member.state = MemberState::Skipped;
        member.since = at;
        self.skipped.insert(uid.clone(), member.target);
    }
}

impl Rollout {
    /// Members of a wave by state, also when the members are no longer kept.
    pub fn counts(&self, wave: usize) -> Counts {
        if let Some(counts) = self.waves.get(wave).and_then(|w| w.final_counts) {
            return counts;
        }
        let mut counts = Counts::default();
        self.members_of(wave).for_each(|(_, member)| counts.add(&member.state));
        counts
    }

    /// Keeps the figures and forgets the members.
    fn compact(&mut self) {
        for index in 0..self.waves.len() {
            let counts = self.counts(index);
            self.waves[index].final_counts = Some(counts);
            self.waves[index].order = Vec::new();
        }
        self.members = BTreeMap::new();
        self.release.variants = Variants::default();
    }
}

fn planned(wave: &crate::release::PlannedWave) -> Wave {
    Wave {
        spec: wave.spec.clone(),
        state: WaveState::Locked,
        order: wave.members.clone(),
        limits: None,
        opened: None,
        accepted: 0,
        final_counts: None,
    }
}

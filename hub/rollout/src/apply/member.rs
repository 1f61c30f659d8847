//! Members of the active rollout: granted, changed, in line again, joined.

use jiff::Timestamp;
use model::{ClusterUid, Digest, Grant};

use crate::{
    event::MemberChange,
    release::Place,
    removal::tombstone,
    state::{App, FailureWhy, Member, MemberState, WaveState},
};

/// Digests that are remembered as good per cluster: the newest, and one to return to if it is condemned.
const GOOD_MAX: usize = 2;
impl App {
    pub(super) fn member_granted(
        &mut self,
        uid: &ClusterUid,
        grant: Grant,
        broken_before: bool,
        dark: bool,
        at: Timestamp,
    ) {
        let Some(rollout) = &mut self.active else { return };
        rollout.change(uid, |member| {
            member.granted = Some(grant.epoch);
            member.attempts += 1;
            member.broken_before |= broken_before;
            member.since = at;
            member.state = if dark {
                MemberState::Failed { why: FailureWhy::DarkAfterGrant, message: String::new() }
            } else {
                MemberState::Updating { acked: false }
            };
        });
        if rollout.strategy.grants_per_minute.is_some() {
            rollout.paced.retain(|t| at.as_second() - t.as_second() < crate::state::PACE_SECONDS);
            rollout.paced.push(at);
        }
    }

    pub(super) fn change_member(&mut self, uid: &ClusterUid, change: &MemberChange, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        if *change == MemberChange::Requeued {
            rollout.change(uid, |member| member.since = at);
            return self.requeue(uid);
        }
        if let (MemberChange::Updated, Some(member)) = (change, rollout.members.get(uid)) {
            rollout.proved = true;
            if let Some(holding) = self.clusters.get_mut(uid) {
                holding.prove(member.target);
            }
        }
        rollout.change(uid, |member| {
            member.since = at;
            member.state = match change {
                MemberChange::Verifying => MemberState::Verifying,
                MemberChange::Updated => MemberState::Updated,
                MemberChange::Failed { why, message } => {
                    MemberState::Failed { why: *why, message: message.clone() }
                }
                MemberChange::Deferred { why } => MemberState::Deferred { why: *why },
                MemberChange::Unchanged => MemberState::Unchanged,
                MemberChange::Requeued => MemberState::Queued,
            };
        });
    }

    /// Puts a member in line again. A grant that its agent never acknowledged must be called back first.
    fn requeue(&mut self, uid: &ClusterUid) {
        let Some(rollout) = &mut self.active else { return };
        let Some(granted) = rollout.members.get(uid).map(|m| m.granted) else { return };
        let holding = self.clusters.get_mut(uid).filter(|h| !h.is_settled());
        let own = holding.filter(|h| h.outstanding.last().map(|g| g.grant.epoch) == granted);
        let recall = !rollout.is_rollback();
        let recalled = own.filter(|_| recall).map(|holding| holding.recalled = true).is_some();
        rollout.change(uid, |member| {
            if recalled {
                member.state = MemberState::Recalling { inherited: true };
            } else {
                member.state = MemberState::Queued;
                member.granted = None;
            }
        });
    }

    pub(super) fn retry(&mut self, clusters: &[ClusterUid], at: Timestamp) {
        for uid in clusters {
            let Some(rollout) = &mut self.active else { return };
            let Some(wave) = rollout.members.get(uid).map(|m| m.wave) else { continue };
            rollout.change(uid, |member| {
                member.attempts = 0;
                member.since = at;
            });
            let wave = &mut rollout.waves[wave];
            if wave.limits.is_some() {
                wave.state = WaveState::Open;
                wave.opened = Some(at);
            }
            self.requeue(uid);
        }
        if let Some(rollout) = &mut self.active
            && rollout.is_halted()
        {
            rollout.state = crate::state::RolloutState::Progressing;
        }
    }

    pub(super) fn skip(&mut self, uid: &ClusterUid, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        let Some(target) = rollout.members.get(uid).map(|m| m.target) else { return };
        rollout.change(uid, |member| {
            member.state = MemberState::Skipped;
            member.since = at;
        });
        self.skipped.insert(uid.clone(), target);
    }

    /// A cluster that was not there when the rollout was planned.
    pub(super) fn join(
        &mut self,
        uid: &ClusterUid,
        wave: usize,
        target: Digest,
        place: Option<Box<Place>>,
        at: Timestamp,
    ) {
        self.targets.insert(uid.clone());
        self.untargeted.remove(uid);
        let Some(rollout) = &mut self.active else { return };
        if rollout.members.contains_key(uid) {
            return;
        }
        let member = Member {
            wave,
            target,
            state: MemberState::Queued,
            granted: None,
            attempts: 0,
            broken_before: false,
            place,
            since: at,
        };
        rollout.admit(uid.clone(), member);
    }
}

impl crate::state::Holding {
    /// Remembers that it was well on `digest`. To be rid of the App is nothing to return to.
    pub(super) fn prove(&mut self, digest: Digest) {
        if digest == tombstone() {
            self.good.clear();
            return;
        }
        self.good.retain(|d| *d != digest);
        self.good.insert(0, digest);
        self.good.truncate(GOOD_MAX);
    }
}

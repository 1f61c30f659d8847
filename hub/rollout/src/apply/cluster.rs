//! What a cluster holds: grants, their recall, and dark time.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "one question about a few states or events; the others change nothing"
)]

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Epoch, Grant};

use crate::{
    event::Event,
    state::{App, DeferredWhy, FailureWhy, Given, Holding, Member, MemberState},
};

impl App {
    /// Applies an event about what one cluster holds.
    pub(super) fn apply_to_cluster(&mut self, event: &Event) {
        let at = event.at();
        match event {
            Event::Acked { cluster, grant, .. } => self.acknowledge(cluster, *grant, at),
            Event::Fenced { cluster, upto, .. } => self.fence(cluster, *upto, at),
            Event::Recalled { cluster, .. } => self.recall(cluster, at),
            Event::Restored { cluster, grant, .. } => self.restore(cluster, *grant),
            Event::Dark { cluster, term, since, counted, .. } => {
                if let Some(holding) = self.clusters.get_mut(cluster) {
                    let clock = &mut holding.dark;
                    let before = match clock.mark {
                        Some((t, s, counted)) if (t, s) == (*term, *since) => counted,
                        _ => std::time::Duration::ZERO,
                    };
                    clock.spent += counted.saturating_sub(before);
                    clock.mark = Some((*term, *since, *counted));
                }
            }
            Event::Departed { cluster, .. } => self.depart(cluster, at),
            _ => {}
        }
    }

    /// A new grant of the active rollout.
    pub(super) fn give(&mut self, uid: &ClusterUid, name: &ClusterName, grant: Grant) {
        let Some(id) = self.active.as_ref().map(|r| r.id) else { return };
        let holding =
            self.clusters.entry(uid.clone()).or_insert_with(|| Holding::new(name.clone()));
        holding.name = name.clone();
        holding.push(Given { grant, rollout: id });
        self.lane.remove(uid);
    }

    fn acknowledge(&mut self, uid: &ClusterUid, grant: Grant, at: Timestamp) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        let Some(given) = holding.outstanding.iter().find(|g| g.grant == grant).copied() else {
            return;
        };
        holding.confirmed = Some(given);
        holding.outstanding.retain(|g| g.grant.epoch > grant.epoch);
        let settled = holding.settle();
        self.change(uid, at, |member| match member.state {
            MemberState::Updating { .. } | MemberState::Recalling { inherited: false }
                if member.granted == Some(grant.epoch) =>
            {
                Some(MemberState::Updating { acked: true })
            }
            MemberState::Recalling { inherited: true } if settled => {
                member.granted = None;
                Some(MemberState::Queued)
            }
            _ => None,
        });
    }

    fn fence(&mut self, uid: &ClusterUid, upto: Epoch, at: Timestamp) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        let freed = holding.outstanding.iter().filter(|g| g.grant.epoch <= upto);
        if let Some(lane) = self.lane.get(uid)
            && freed.into_iter().any(|g| g.grant == lane.grant)
        {
            self.lane.remove(uid);
        }
        holding.outstanding.retain(|g| g.grant.epoch > upto);
        let settled = holding.settle();
        self.change(uid, at, |member| {
            let fenced = member.granted.is_some_and(|epoch| epoch <= upto);
            match member.state {
                MemberState::Recalling { inherited: true } if settled => {
                    member.granted = None;
                    Some(MemberState::Queued)
                }
                MemberState::Recalling { inherited: false }
                | MemberState::Updating { acked: false }
                    if fenced =>
                {
                    member.granted = None;
                    Some(MemberState::Queued)
                }
                // It was never exposed, so its silence was not the release's doing.
                MemberState::Failed { why: FailureWhy::DarkAfterGrant, .. } if fenced => {
                    member.granted = None;
                    Some(MemberState::Deferred { why: DeferredWhy::DarkBefore })
                }
                _ => None,
            }
        });
    }

    fn recall(&mut self, uid: &ClusterUid, at: Timestamp) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        holding.recalled = !holding.is_settled();
        self.change(uid, at, |member| {
            (member.state == MemberState::Queued)
                .then_some(MemberState::Recalling { inherited: true })
        });
    }

    fn restore(&mut self, uid: &ClusterUid, grant: Grant) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        let Some(confirmed) = holding.confirmed else { return };
        holding.push(Given { grant, rollout: confirmed.rollout });
        if let Some(lane) = self.lane.get_mut(uid).filter(|l| l.grant == confirmed.grant) {
            lane.grant = grant;
        }
        if let Some(rollout) = &mut self.active {
            rollout.change(uid, |member| {
                if member.granted == Some(confirmed.grant.epoch) {
                    member.granted = Some(grant.epoch);
                }
            });
        }
    }

    fn depart(&mut self, uid: &ClusterUid, at: Timestamp) {
        self.targets.remove(uid);
        self.skipped.remove(uid);
        self.untargeted.remove(uid);
        self.lane.remove(uid);
        if let Some(holding) = self.clusters.get_mut(uid) {
            // `issued` stays: should the uid ever be seen again, no epoch is used twice.
            *holding = Holding {
                issued: holding.issued,
                departed: true,
                ..Holding::new(holding.name.clone())
            };
        }
        self.change(uid, at, |_| Some(MemberState::Departed));
    }

    /// Changes a member of the active rollout, if the cluster is one and `how` says to what.
    fn change(
        &mut self,
        uid: &ClusterUid,
        at: Timestamp,
        how: impl FnOnce(&mut Member) -> Option<MemberState>,
    ) {
        let Some(rollout) = &mut self.active else { return };
        rollout.change(uid, |member| {
            if let Some(state) = how(member) {
                member.state = state;
                member.since = at;
            }
        });
    }
}

impl Holding {
    pub(super) fn push(&mut self, given: Given) {
        self.issued = self.issued.max(given.grant.epoch);
        self.outstanding.push(given);
        self.recalled = false;
        self.dark = crate::state::DarkClock::default();
    }

    /// Ends a recall when nothing is outstanding any more; tells whether that is so.
    fn settle(&mut self) -> bool {
        self.recalled &= !self.outstanding.is_empty();
        self.outstanding.is_empty()
    }
}

//! What a cluster holds: grants, their recall, and dark time.

use model::{ClusterName, ClusterUid, Epoch, Grant};

use crate::{
    event::Event,
    state::{App, DeferredWhy, FailureWhy, Given, Holding, Member, MemberState, Rollout},
};

impl App {
    /// Applies an event about one cluster; `false` when it is about something else.
    pub(super) fn apply_to_cluster(&mut self, event: &Event) -> bool {
        match event {
            Event::Acked { cluster, grant, .. } => self.acknowledge(cluster, *grant, event),
            Event::Fenced { cluster, upto, .. } => self.fence(cluster, *upto, event),
            Event::Recalled { cluster, .. } => self.recall(cluster, event),
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
            Event::Departed { cluster, .. } => self.depart(cluster, event),
            Event::HeadMoved { .. }
            | Event::Started(_)
            | Event::Begun { .. }
            | Event::Granted { .. }
            | Event::Member { .. }
            | Event::Wave { .. }
            | Event::Paused { .. }
            | Event::Halted { .. }
            | Event::Resumed { .. }
            | Event::Retried { .. }
            | Event::Skipped { .. }
            | Event::Ended { .. } => return false,
        }
        true
    }

    /// A new grant of the active rollout.
    pub(super) fn give(&mut self, uid: &ClusterUid, name: &ClusterName, grant: Grant) {
        let Some(id) = self.active.as_ref().map(|r| r.id) else { return };
        let holding =
            self.clusters.entry(uid.clone()).or_insert_with(|| Holding::new(name.clone()));
        holding.name = name.clone();
        holding.push(Given { grant, rollout: id });
    }

    fn acknowledge(&mut self, uid: &ClusterUid, grant: Grant, event: &Event) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        let Some(given) = holding.outstanding.iter().find(|g| g.grant == grant).copied() else {
            return;
        };
        holding.confirmed = Some(given);
        holding.outstanding.retain(|g| g.grant.epoch > grant.epoch);
        let settled = holding.settle();
        let Some(member) = member(&mut self.active, uid) else { return };
        match member.state {
            MemberState::Updating { .. } | MemberState::Recalling { inherited: false }
                if member.granted == Some(grant.epoch) =>
            {
                member.enter(MemberState::Updating { acked: true }, event);
            }
            MemberState::Recalling { inherited: true } if settled => {
                member.granted = None;
                member.enter(MemberState::Queued, event);
            }
            MemberState::Queued
            | MemberState::Updating { .. }
            | MemberState::Verifying
            | MemberState::Recalling { .. }
            | MemberState::Updated
            | MemberState::Failed { .. }
            | MemberState::Deferred { .. }
            | MemberState::Unchanged
            | MemberState::Skipped
            | MemberState::Departed => {}
        }
    }

    fn fence(&mut self, uid: &ClusterUid, upto: Epoch, event: &Event) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        holding.outstanding.retain(|g| g.grant.epoch > upto);
        let settled = holding.settle();
        let Some(member) = member(&mut self.active, uid) else { return };
        let fenced = member.granted.is_some_and(|epoch| epoch <= upto);
        match member.state {
            MemberState::Recalling { inherited: true } if settled => {
                member.granted = None;
                member.enter(MemberState::Queued, event);
            }
            MemberState::Recalling { inherited: false }
            | MemberState::Updating { acked: false }
                if fenced =>
            {
                member.granted = None;
                member.enter(MemberState::Queued, event);
            }
            // It was never exposed, so its silence was not the release's doing.
            MemberState::Failed { why: FailureWhy::DarkAfterGrant, .. } if fenced => {
                member.granted = None;
                let why = DeferredWhy::DarkBefore;
                member.enter(MemberState::Deferred { why }, event);
            }
            MemberState::Queued
            | MemberState::Updating { .. }
            | MemberState::Verifying
            | MemberState::Recalling { .. }
            | MemberState::Updated
            | MemberState::Failed { .. }
            | MemberState::Deferred { .. }
            | MemberState::Unchanged
            | MemberState::Skipped
            | MemberState::Departed => {}
        }
    }

    fn recall(&mut self, uid: &ClusterUid, event: &Event) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        holding.recalled = !holding.is_settled();
        if let Some(member) = member(&mut self.active, uid)
            && member.state == MemberState::Queued
        {
            member.enter(MemberState::Recalling { inherited: true }, event);
        }
    }

    fn restore(&mut self, uid: &ClusterUid, grant: Grant) {
        let Some(holding) = self.clusters.get_mut(uid) else { return };
        let Some(confirmed) = holding.confirmed else { return };
        holding.push(Given { grant, rollout: confirmed.rollout });
        if let Some(member) = member(&mut self.active, uid)
            && member.granted == Some(confirmed.grant.epoch)
        {
            member.granted = Some(grant.epoch);
        }
    }

    fn depart(&mut self, uid: &ClusterUid, event: &Event) {
        self.targets.remove(uid);
        self.skipped.remove(uid);
        if let Some(holding) = self.clusters.get_mut(uid) {
            // `issued` stays: should the uid ever be seen again, no epoch is used twice.
            *holding = Holding {
                issued: holding.issued,
                departed: true,
                ..Holding::new(holding.name.clone())
            };
        }
        if let Some(member) = member(&mut self.active, uid) {
            member.enter(MemberState::Departed, event);
        }
    }
}

impl Holding {
    fn push(&mut self, given: Given) {
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

impl Member {
    fn enter(&mut self, state: MemberState, event: &Event) {
        self.state = state;
        self.since = event.at();
    }
}

fn member<'a>(active: &'a mut Option<Rollout>, uid: &ClusterUid) -> Option<&'a mut Member> {
    active.as_mut()?.members.get_mut(uid)
}

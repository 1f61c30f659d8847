//! What the world knows better than the hub: what agents really did.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each check is about the one or two events it names"
)]

use std::time::Duration;

use crate::{Event, MemberChange, MemberState, RolloutState, WaveChange};
use model::{ClusterUid, Epoch, Reason};

use super::World;

/// Far enough for every timer that tests use.
const LONG: Duration = Duration::from_hours(50);

impl World {
    /// I4: an agent only ever holds what was granted to it, and never steps down.
    pub(super) fn check_accepted(&mut self, uid: &ClusterUid, before: Epoch) {
        let agent = &self.clusters[uid].agent;
        if agent.epoch == before {
            return;
        }
        let held = (agent.epoch, agent.digest);
        let granted = agent
            .digest
            .is_some_and(|digest| self.granted.contains(&(uid.clone(), agent.epoch, digest)));
        if !granted || agent.epoch < before {
            self.violations
                .push(format!("I4: {uid} holds {held:?}, which was never granted to it"));
        }
    }

    /// I18: what a cluster runs is what was granted to it; a repair never changes that.
    pub(super) fn check_held(&mut self, uid: &ClusterUid) {
        let Some(agent) = self.clusters.get(uid).map(|c| &c.agent) else { return };
        let Some(digest) = agent.digest else { return };
        if !self.granted.contains(&(uid.clone(), agent.epoch, digest)) {
            let short = digest.short();
            self.violations.push(format!("I18: {uid} runs {short}, which was not granted"));
        }
    }

    /// I7 and I16 by what agents really measured.
    pub(super) fn check_truth(&mut self, event: &Event) {
        let Some(rollout) = &self.hub.app.active else { return };
        let best = |uid: &ClusterUid, epoch: Option<Epoch>| {
            let agent = &self.clusters[uid].agent;
            epoch.and_then(|e| agent.best.get(&e).copied()).unwrap_or_default()
        };
        match event {
            Event::Member { cluster, change: MemberChange::Updated, .. } => {
                let member = &rollout.members[cluster];
                let least = rollout.waves[member.wave].spec.settings.min_healthy;
                if best(cluster, member.granted) < least {
                    self.violations.push(format!("I7: {cluster} was never healthy on its grant"));
                }
            }
            Event::Wave { wave, change: WaveChange::Passed { .. }, .. }
                if !rollout.is_rollback() =>
            {
                let forced = rollout.waves[*wave].overrides(&crate::Gate::Soak);
                let soak = rollout.waves[*wave].spec.settings.soak;
                let soak = soak / rollout.expedited.unwrap_or(1).max(1);
                let soak = if forced { Duration::ZERO } else { soak };
                let updated =
                    rollout.members_of(*wave).filter(|(_, m)| m.state == MemberState::Updated);
                for (uid, member) in updated {
                    if best(uid, member.granted) < soak {
                        self.violations.push(format!("I16: {uid} never soaked"));
                    }
                }
            }
            _ => {}
        }
    }

    /// I22, and that no timer is forgotten: with nothing to decide, something is named, and nothing comes up
    /// before the wake-up that was asked for.
    pub(super) fn check_quiet(&mut self) {
        let now = self.now();
        let (app, obs) = (&self.hub.app, &self.hub.obs);
        let view = crate::view::app(app, now, obs);
        let mut found = Vec::new();
        let blockers = crate::explain(app, now, obs);
        if let Some(active) = &app.active {
            let vague = |r: Option<Reason>| matches!(r, None | Some(Reason::RolloutProgressing));
            if blockers.iter().all(|b| vague(b.status.reason())) {
                found.push(format!("I22: nothing explains why {} stands still", active.id));
            }
            for (wave, seen) in active.waves.iter().zip(&view.rollouts[0].waves) {
                let total = seen.clusters.total as usize;
                if total != wave.order.len() {
                    found.push(format!("I23: {} shows {total} clusters", wave.spec.name));
                }
            }
            let halted = matches!(active.state, RolloutState::Halted { .. });
            if halted && blockers.is_empty() {
                found.push("I22: a halt without a cause".to_owned());
            }
        }
        for uid in self.clusters.keys() {
            let _status = crate::explain_cluster(app, uid, now, obs);
        }
        let wake = crate::next_wakeup(app, now, obs).unwrap_or(LONG);
        let sooner = wake.saturating_sub(Duration::from_millis(1)).min(LONG);
        let mut later = now;
        later.wall += sooner;
        later.mono += sooner;
        if let Some(event) = crate::decide(app, later, obs) {
            found.push(format!("wake-up in {wake:?} is too late for {event:?}"));
        }
        self.violations.extend(found);
    }
}

//! What must hold of gates, people, the catch-up lane and clusters that are no longer targets.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each law is about the events it names; the others are for the other laws"
)]

use std::collections::BTreeSet;

use model::{ClusterUid, Commit, Grant};

use crate::{
    act::{Act, Judgement},
    event::{Event, Start},
    gate::{Gate, Scope},
    obs::{Now, Obs},
    removal::tombstone,
    state::{Actor, App, Kind, Member, Role, Rollout, Stage, Wave, WaveState},
    window::{Window, Zone},
};

/// One append.
#[derive(Clone, Copy)]
pub(super) struct Append<'a> {
    pub(super) before: &'a App,
    pub(super) now: Now,
    pub(super) obs: &'a Obs,
}

impl Append<'_> {
    pub(super) fn check(self, event: &Event, found: &mut Vec<String>) {
        match event {
            Event::Started(start) => self.started(start, found),
            Event::Granted { cluster, .. } => self.granted(cluster, found),
            Event::Wave { wave, change: crate::event::WaveChange::Opened { .. }, .. } => {
                self.opened(*wave, found);
            }
            Event::Joined { cluster, wave, target, .. } => {
                self.joined(cluster, *wave, *target, found);
            }
            Event::Untargeted { clusters, commit, .. } => {
                for uid in clusters {
                    self.left_out(uid, commit, found);
                }
            }
            Event::CaughtUp { cluster, grant, .. } => self.caught_up(cluster, *grant, found),
            Event::Acted { act, by, .. } => self.acted(act, by, found),
            Event::Judged { judgement, by, .. } => {
                let role = match judgement {
                    Judgement::Condemn { .. } => Role::Operator,
                    Judgement::Absolve { .. } => Role::Admin,
                };
                needs(by, role, found);
            }
            Event::Begun { by, .. }
            | Event::Paused { by, .. }
            | Event::Retried { by, .. }
            | Event::Skipped { by, .. }
            | Event::Ended { by: Some(by), .. } => needs(by, Role::Operator, found),
            Event::Resumed { by, accept, .. } => {
                needs(by, if *accept { Role::Admin } else { Role::Operator }, found);
            }
            _ => {}
        }
    }

    /// I12: only what a selector left out, with a commit for a cause, is removed.
    fn started(self, start: &Start, found: &mut Vec<String>) {
        let removes = start.plan.targets.values().any(|digest| *digest == tombstone());
        match &start.kind {
            Kind::Removal { commit } => {
                for uid in start.plan.targets.keys() {
                    self.left_out(uid, commit, found);
                    if !self.before.untargeted.contains_key(uid) {
                        found
                            .push(format!("I12: {uid} is removed and nobody said it is no target"));
                    }
                }
                let budget = (self.before.targets.len() * 5 / 100).max(1);
                let asks = |w: &crate::release::PlannedWave| w.spec.before.approval.is_some();
                if start.plan.targets.len() > budget && !start.plan.waves.iter().all(asks) {
                    found.push("I12: more than the budget is removed and nobody is asked".into());
                }
            }
            Kind::Forward | Kind::Rollback { .. } if removes => {
                found.push(format!("I12: rollout {} removes", start.id));
            }
            Kind::Forward | Kind::Rollback { .. } => {}
        }
    }

    /// The cluster is there, and the commit's selector says no to it.
    fn left_out(self, uid: &ClusterUid, commit: &Commit, found: &mut Vec<String>) {
        let cluster = self.obs.clusters.get(uid).filter(|c| !c.deleted);
        let candidate = self.obs.candidate.as_ref().filter(|c| c.commit == *commit);
        let no = cluster.zip(candidate).is_some_and(|(cluster, candidate)| {
            candidate.targets.selects(&cluster.labels, &cluster.facts).is_ok_and(|yes| !yes)
        });
        if !no {
            found.push(format!("I12: {uid} is said to be no target, and no selector says so"));
        }
    }

    fn granted(self, uid: &ClusterUid, found: &mut Vec<String>) {
        let Some(rollout) = &self.before.active else { return };
        let Some(member) = rollout.members.get(uid) else { return };
        let wave = &rollout.waves[member.wave];
        if let Some(cluster) = self.obs.clusters.get(uid)
            && (cluster.pin.is_some() || cluster.cordon.is_some() && !rollout.is_rollback())
        {
            found.push(format!("I1: {uid} is granted and a person keeps it away"));
        }
        found
            .extend(self.closed(rollout, wave).map(|gate| format!("I1: {uid} is granted: {gate}")));
        if rollout.is_rollback() {
            return;
        }
        if !self.window(rollout, wave, Some(member)) {
            found.push(format!("I1: {uid} is granted outside its window"));
        }
        for on in wave.spec.before.depends_on.iter().filter(|on| on.scope == Scope::SameCluster) {
            let met = self.obs.dependencies.get(&on.app).is_some_and(|d| d.ready.contains(uid));
            if !met && !forced(wave, &Gate::DependsOn(on.app.clone())) {
                found.push(format!("I1: {uid} is granted before {} is ready there", on.app));
            }
        }
        apart(rollout, uid, member, found);
        self.pace(rollout, found);
    }

    fn pace(self, rollout: &Rollout, found: &mut Vec<String>) {
        let Some(most) = rollout.strategy.grants_per_minute else { return };
        let now = self.now.wall.as_second();
        let recent = rollout.paced.iter().filter(|t| (0..60).contains(&(now - t.as_second())));
        if recent.count() >= most as usize {
            found.push(format!("I1: a grant beyond {most} in a minute"));
        }
    }

    /// A gate of the whole wave that is closed.
    fn closed(self, rollout: &Rollout, wave: &Wave) -> Option<String> {
        let strict = rollout.strategy.rollback_policy.strict;
        let bound = !rollout.is_rollback() || strict;
        if bound && !self.obs.freezes.is_empty() {
            return Some("frozen".to_owned());
        }
        let windows = !wave.spec.before.windows.is_empty() && rollout.expedited.is_none();
        if bound && windows && self.now.stepped && !forced(wave, &Gate::Window) {
            return Some("the clock is not steady".to_owned());
        }
        if rollout.is_rollback() {
            return None;
        }
        let blocks = |name: &&String| {
            let clear = self.obs.blockers.get(*name).is_some_and(|b| !b.set);
            !clear && !forced(wave, &Gate::Blocker((*name).clone()))
        };
        if let Some(name) = wave.spec.before.blockers.iter().find(blocks) {
            return Some(format!("blocker {name} is set"));
        }
        let fleet = wave.spec.before.depends_on.iter().filter(|on| on.scope == Scope::Fleet);
        let mut unmet = fleet.filter(|on| {
            let met = self.obs.dependencies.get(&on.app).is_some_and(|d| d.settled);
            !met && !forced(wave, &Gate::DependsOn(on.app.clone()))
        });
        unmet.next().map(|on| format!("{} is not done", on.app))
    }

    fn window(self, rollout: &Rollout, wave: &Wave, member: Option<&Member>) -> bool {
        let windows = &wave.spec.before.windows;
        if windows.is_empty() || rollout.expedited.is_some() || forced(wave, &Gate::Window) {
            return true;
        }
        let zone = |window: &Window| match &window.zone {
            Zone::Named(name) => Some(name.clone()),
            Zone::Label(label) => member?.place.as_ref()?.zones.get(label).cloned(),
        };
        windows.iter().any(|w| zone(w).is_some_and(|zone| w.is_open(self.now.wall, &zone)))
    }

    /// I10: a wave that asks for approvals opens only on enough of them, each good at this instant.
    fn opened(self, index: usize, found: &mut Vec<String>) {
        let Some(rollout) = &self.before.active else { return };
        let wave = &rollout.waves[index];
        let name = &wave.spec.name;
        found.extend(self.closed(rollout, wave).map(|gate| format!("I1: {name} opens: {gate}")));
        let Some(rule) = wave.spec.before.approval.as_ref().filter(|_| !rollout.is_rollback())
        else {
            return;
        };
        if forced(wave, &Gate::Approval) {
            return;
        }
        let author = rollout.release.author.as_deref().unwrap_or_default();
        let good = wave.approvals.iter().filter(|a| {
            a.stage == Stage::Before
                && !a.revoked
                && a.expires > self.now.wall
                && a.release == rollout.release.variants.digest()
                && a.strategy == rollout.strategy_digest()
                && a.members == rollout.members_digest(index)
                && (rule.groups.is_empty() || a.by.groups.iter().any(|g| rule.groups.contains(g)))
                && !(rule.not_author && a.by.wrote(author))
        });
        let people: BTreeSet<_> = good.map(|a| &a.by.name).collect();
        if people.len() < rule.count as usize {
            found.push(format!(
                "I10: {name} opens on {} approvals of {}",
                people.len(),
                rule.count
            ));
        }
    }

    /// I19, I20: members join only what is not frozen, and nobody changes the wave.
    fn joined(
        self,
        uid: &ClusterUid,
        index: usize,
        target: model::Digest,
        found: &mut Vec<String>,
    ) {
        let Some(rollout) = &self.before.active else { return };
        if rollout.members.contains_key(uid) {
            found.push(format!("I20: {uid} moves to another wave"));
        }
        let wave = &rollout.waves[index];
        let open = matches!(wave.state, WaveState::Locked | WaveState::Gated);
        if !open || !wave.approvals.is_empty() {
            found.push(format!("I19: {uid} joins {}, which is frozen", wave.spec.name));
        }
        if rollout.kind != Kind::Forward || self.before.condemned.contains_key(&target) {
            found.push(format!("I19: {uid} joins what is no release"));
        }
    }

    /// The lane hands out the proven release and nothing else, and not while a rollback runs.
    fn caught_up(self, uid: &ClusterUid, grant: Grant, found: &mut Vec<String>) {
        let app = self.before;
        let Some(stable) = &app.stable else {
            return found.push(format!("I1: {uid} catches up and nothing is proven"));
        };
        let candidate = self.obs.candidate.as_ref();
        let same = |c: &Commit| c == stable.commit();
        let proven = stable.variants.get(uid) == Some(&grant.digest)
            || self
                .obs
                .proven
                .as_ref()
                .is_some_and(|p| same(&p.commit) && p.variants.get(uid) == Some(&grant.digest))
            || candidate
                .is_some_and(|c| same(&c.commit) && c.variants.get(uid) == Some(&grant.digest));
        if !proven || app.condemned.contains_key(&grant.digest) {
            found.push(format!("I1: {uid} catches up to what is not proven"));
        }
        let holding = app.clusters.get(uid);
        if holding.is_some_and(|h| grant.epoch <= h.issued || !h.outstanding.is_empty()) {
            found.push(format!("P6: {uid} catches up while an earlier grant is open"));
        }
        // That it gave the App up is nothing that it holds.
        let newest = holding.and_then(|h| h.newest()).filter(|g| g.grant.digest != tombstone());
        if newest.is_some_and(|g| Some(g.rollout) >= app.stable_rollout) {
            found.push(format!("I4: {uid} catches up from something newer"));
        }
        let selected = candidate.is_some_and(|c| c.variants.contains_key(uid));
        if app.untargeted.contains_key(uid) && !selected {
            found.push(format!("I12: {uid} catches up and is no target"));
        }
        if !self.obs.freezes.is_empty() || app.active.as_ref().is_some_and(Rollout::is_rollback) {
            found.push(format!("I21: {uid} catches up while the lane is closed"));
        }
        let busy = app.active.as_ref().and_then(|r| r.members.get(uid));
        if busy.is_some_and(|m| m.state.takes_slot()) {
            found.push(format!("I1: {uid} catches up in the middle of a rollout"));
        }
        let flying = app.lane.values().filter(|l| l.failed.is_none()).count();
        if app.lane_rules.as_ref().is_none_or(|r| flying >= r.max_in_flight as usize) {
            found.push(format!("I2: {uid} catches up with {flying} in the lane"));
        }
    }

    /// I24 and I10: who may do what.
    fn acted(self, act: &Act, by: &Actor, found: &mut Vec<String>) {
        let role = match act {
            Act::Approve { .. } | Act::Revoke { .. } => Role::Operator,
            Act::Override { .. } | Act::Expedite { .. } | Act::Tolerate { .. } => Role::Admin,
        };
        needs(by, role, found);
        let Some(rollout) = &self.before.active else { return };
        if let Act::Approve { wave, stage, release, .. } = act {
            let spec = &rollout.waves[*wave].spec;
            let asked = match stage {
                Stage::Before => spec.before.approval.as_ref(),
                Stage::After => spec.after.approval.as_ref(),
            };
            let author = rollout.release.author.as_deref().unwrap_or_default();
            if asked.is_none_or(|r| r.not_author && by.wrote(author)) {
                found.push(format!("I10: {} approves and may not", by.name));
            }
            if *release != rollout.release.variants.digest() {
                found.push("I10: an approval of another release".to_owned());
            }
        }
    }
}

/// Spread and pairs, counted from the members themselves.
fn apart(rollout: &Rollout, uid: &ClusterUid, member: &Member, found: &mut Vec<String>) {
    let spec = &rollout.waves[member.wave].spec;
    let Some(place) = &member.place else { return };
    let flying =
        || rollout.members.iter().filter(|(other, m)| *other != uid && m.state.takes_slot());
    let places = || flying().filter_map(|(_, m)| m.place.as_ref());
    if let (Some(spread), Some(domain)) = (&spec.spread, &place.domain) {
        let mut domains: BTreeSet<_> = places().filter_map(|p| p.domain.as_ref()).collect();
        domains.insert(domain);
        if domains.len() > spread.max as usize {
            found.push(format!("I1: {uid} is granted with {} domains in flight", domains.len()));
        }
    }
    let twin = |p: &crate::release::Place| p.pair.is_some() && p.pair == place.pair;
    if spec.separate.is_some() && places().any(|p| twin(p)) {
        found.push(format!("I1: {uid} is granted with its partner in flight"));
    }
}

fn forced(wave: &Wave, gate: &Gate) -> bool {
    wave.overrides.iter().any(|o| o.gate == *gate && (!o.needs_second || o.second.is_some()))
}

fn needs(by: &Actor, role: Role, found: &mut Vec<String>) {
    if by.role < role {
        found.push(format!("I24: {} did what only {} may", by.name, role.as_str()));
    }
}

/// I16 of the after-gates: a wave passes only on enough approvals and a good measurement.
pub(super) fn passed(rollout: &Rollout, index: usize, now: Now, found: &mut Vec<String>) {
    let wave = &rollout.waves[index];
    let name = &wave.spec.name;
    if let Some(rule) =
        wave.spec.after.approval.as_ref().filter(|_| !forced(wave, &Gate::AfterApproval))
    {
        let good = wave
            .approvals
            .iter()
            .filter(|a| a.stage == Stage::After && !a.revoked && a.expires > now.wall);
        let people: BTreeSet<_> = good.map(|a| &a.by.name).collect();
        if people.len() < rule.count as usize {
            found.push(format!(
                "I10: {name} passes on {} approvals of {}",
                people.len(),
                rule.count
            ));
        }
    }
    if let Some(analysis) =
        wave.spec.after.analysis.as_ref().filter(|_| !forced(wave, &Gate::Analysis))
    {
        let enough = wave.measured.good && wave.measured.samples >= analysis.min_samples;
        if wave.measured.failing > 0 || !enough && analysis.pass_after.is_none() {
            found.push(format!("I16: {name} passes and its measurement is not good"));
        }
    }
}

//! Gates: what must hold for a wave to open, for each grant while it is open, and for it to pass.
//!
//! An approval is latched: bound to release, strategy and members. Everything else is asked again for every
//! grant; when it closes, no new grant leaves and what is in flight finishes. Nothing here changes anything.

use std::collections::BTreeSet;

use jiff::Timestamp;
use model::ClusterUid;

use crate::{
    bug::Bug,
    evidence::Look,
    gate::{ApprovalRule, DependsOn, Gate, Scope},
    state::{Member, MemberState, Rollout, Stage, Wave},
    window::{Window, Zone},
};

/// A closed gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Somebody froze the fleet or the App.
    Freeze,
    /// The hub's clock jumped a moment ago, so that nothing can be said about times of the week.
    Clock,
    /// People must agree.
    Approval {
        /// To which step.
        stage: Stage,
        /// How many did.
        have: u32,
        /// How many must.
        need: u32,
    },
    /// Outside the windows.
    Window {
        /// When the next one opens.
        opens: Option<Timestamp>,
    },
    /// A blocker is set, or nobody has ever said anything about it.
    Blocker {
        /// Its name.
        name: String,
        /// Somebody produces it.
        known: bool,
    },
    /// Another App must be done first.
    DependsOn(DependsOn),
    /// Too many members are unhealthy on what they run.
    Unhealthy {
        /// How many.
        count: u32,
        /// How many may be.
        allowed: u32,
    },
    /// The measurement is not good (yet).
    Analysis,
}

impl Closed {
    /// Its name.
    pub(crate) fn gate(&self) -> Gate {
        match self {
            Closed::Freeze => Gate::Freeze,
            Closed::Clock => Gate::Clock,
            Closed::Approval { stage: Stage::Before, .. } => Gate::Approval,
            Closed::Approval { stage: Stage::After, .. } => Gate::AfterApproval,
            Closed::Window { .. } => Gate::Window,
            Closed::Blocker { name, .. } => Gate::Blocker(name.clone()),
            Closed::DependsOn(on) => Gate::DependsOn(on.app.clone()),
            Closed::Unhealthy { .. } => Gate::Unhealthy,
            Closed::Analysis => Gate::Analysis,
        }
    }
}

/// Everything that keeps a wave from opening.
pub(crate) fn before(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Closed> {
    let wave = &rollout.waves[index];
    let mut closed = Vec::new();
    if !rollout.is_rollback() {
        closed.extend(approval(look, rollout, index, Stage::Before));
    }
    closed.extend(continuous(look, rollout, index));
    let queued = || rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Queued);
    if zoned(wave)
        && !queued().any(|(_, m)| window_open(look, rollout, wave, Some(m)))
        && queued().next().is_some()
    {
        let opens = queued().filter_map(|(_, m)| next_window(look, wave, Some(m))).min();
        closed.push(Closed::Window { opens });
    }
    closed.extend(unhealthy(look, rollout, index));
    closed
}

/// Gates of the whole wave that are asked again for every grant.
pub(crate) fn continuous(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Closed> {
    let wave = &rollout.waves[index];
    let mut closed = Vec::new();
    let bound = !rollout.is_rollback() || rollout.strategy.rollback_policy.strict;
    if bound && !look.obs.freezes.is_empty() && !look.app.has(Bug::FreezeIgnored) {
        closed.push(Closed::Freeze);
    }
    let windows = bound && !wave.spec.before.windows.is_empty() && rollout.expedited.is_none();
    if windows && !wave.overrides(&Gate::Window) {
        if look.now.stepped {
            closed.push(Closed::Clock);
        } else if !zoned(wave) && !window_open(look, rollout, wave, None) {
            closed.push(Closed::Window { opens: next_window(look, wave, None) });
        }
    }
    if rollout.is_rollback() {
        return closed;
    }
    for name in &wave.spec.before.blockers {
        let known = look.obs.blockers.get(name);
        let free = known.is_some_and(|b| !b.set) || look.app.has(Bug::BlockerIgnored);
        if !free && !wave.overrides(&Gate::Blocker(name.clone())) {
            closed.push(Closed::Blocker { name: name.clone(), known: known.is_some() });
        }
    }
    for on in wave.spec.before.depends_on.iter().filter(|on| on.scope == Scope::Fleet) {
        let met = look.obs.dependencies.get(&on.app).is_some_and(|d| d.settled);
        if !met && !wave.overrides(&Gate::DependsOn(on.app.clone())) {
            closed.push(Closed::DependsOn(on.clone()));
        }
    }
    closed
}

/// What keeps one member of an open wave from its grant, besides slots.
pub(crate) fn for_member(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
) -> Option<Closed> {
    let wave = &rollout.waves[member.wave];
    if zoned(wave) && !window_open(look, rollout, wave, Some(member)) {
        return Some(Closed::Window { opens: next_window(look, wave, Some(member)) });
    }
    if rollout.is_rollback() || look.app.has(Bug::DependencyIgnored) {
        return None;
    }
    let here = wave.spec.before.depends_on.iter().filter(|on| on.scope == Scope::SameCluster);
    here.into_iter()
        .find(|on| {
            let ready = look.obs.dependencies.get(&on.app).is_some_and(|d| d.ready.contains(uid));
            !ready && !wave.overrides(&Gate::DependsOn(on.app.clone()))
        })
        .map(|on| Closed::DependsOn(on.clone()))
}

/// Everything that keeps a proved and soaked wave from passing.
pub(crate) fn after(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Closed> {
    let wave = &rollout.waves[index];
    let mut closed: Vec<_> = approval(look, rollout, index, Stage::After).into_iter().collect();
    if wave.spec.after.analysis.is_some()
        && !wave.overrides(&Gate::Analysis)
        && !measured_well(look, wave)
    {
        closed.push(Closed::Analysis);
    }
    closed
}

/// Whether the measurement lets the wave pass.
fn measured_well(look: Look<'_>, wave: &Wave) -> bool {
    let Some(analysis) = &wave.spec.after.analysis else { return true };
    let measured = &wave.measured;
    if measured.failing > 0 {
        return false;
    }
    let enough = measured.good && measured.samples >= analysis.min_samples;
    let waited = measured.since.map(|since| look.since(since));
    let given_up = analysis.pass_after.zip(waited).is_some_and(|(after, waited)| waited >= after);
    enough || given_up
}

/// Whether bad answers in a row are as many as halt the rollout.
pub(crate) fn measured_badly(wave: &Wave) -> bool {
    let analysis = wave.spec.after.analysis.as_ref();
    analysis.is_some_and(|a| wave.measured.failing >= a.failures)
        && !wave.overrides(&Gate::Analysis)
}

fn approval(look: Look<'_>, rollout: &Rollout, index: usize, stage: Stage) -> Option<Closed> {
    let wave = &rollout.waves[index];
    let (rule, gate) = match stage {
        Stage::Before => (wave.spec.before.approval.as_ref()?, Gate::Approval),
        Stage::After => (wave.spec.after.approval.as_ref()?, Gate::AfterApproval),
    };
    if wave.overrides(&gate) {
        return None;
    }
    let have = approvals(look, rollout, index, stage, rule);
    (have < rule.count).then_some(Closed::Approval { stage, have, need: rule.count })
}

/// People whose approval counts now: of this release, this strategy and these members, not expired, not
/// taken back.
pub(crate) fn approvals(
    look: Look<'_>,
    rollout: &Rollout,
    index: usize,
    stage: Stage,
    rule: &ApprovalRule,
) -> u32 {
    let wave = &rollout.waves[index];
    if wave.approvals.is_empty() && !look.app.has(Bug::AnyApproval) {
        return 0;
    }
    let release = rollout.release.variants.digest();
    let (strategy, members) = (rollout.strategy_digest(), rollout.members_digest(index));
    let lasts = |expires: Timestamp| {
        look.app.has(Bug::ApprovalForEver) || expires > look.now.wall && !look.now.stepped
    };
    let counts = wave.approvals.iter().filter(|a| {
        let bound = a.release == release && a.strategy == strategy && a.members == members;
        a.stage == stage && bound && !a.revoked && lasts(a.expires) && rule.admits(&a.by.groups)
    });
    let mut people: BTreeSet<&str> = counts.map(|a| a.by.name.as_str()).collect();
    if look.app.has(Bug::AnyApproval) {
        let past = look.app.past.iter().flat_map(|r| r.waves.iter().flat_map(|w| &w.approvals));
        people.extend(past.map(|a| a.by.name.as_str()));
    }
    u32::try_from(people.len()).unwrap_or(u32::MAX)
}

/// Too many members that are unhealthy on what they run, before the wave has touched them.
fn unhealthy(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Closed> {
    let wave = &rollout.waves[index];
    let allowed = wave.spec.before.max_unhealthy?;
    if wave.overrides(&Gate::Unhealthy) {
        return None;
    }
    let bad = rollout.members_of(index).filter(|(uid, _)| look.is_broken(rollout, uid)).count();
    let size = u32::try_from(wave.order.len()).unwrap_or(u32::MAX);
    let (count, allowed) = (u32::try_from(bad).unwrap_or(u32::MAX), allowed.tolerance(size));
    (count > allowed).then_some(Closed::Unhealthy { count, allowed })
}

/// Whether its windows go by the clocks of its clusters.
fn zoned(wave: &Wave) -> bool {
    wave.spec.before.windows.iter().any(|w| matches!(w.zone, Zone::Label(_)))
}

fn zone<'a>(window: &'a Window, member: Option<&'a Member>) -> Option<&'a str> {
    match &window.zone {
        Zone::Named(name) => Some(name),
        Zone::Label(label) => {
            let place = member?.place.as_ref()?;
            place.zones.get(label).map(String::as_str)
        }
    }
}

/// Whether grants may leave now, as far as windows go. A cluster without the label has no open window.
fn window_open(look: Look<'_>, rollout: &Rollout, wave: &Wave, member: Option<&Member>) -> bool {
    let windows = &wave.spec.before.windows;
    if windows.is_empty() || rollout.expedited.is_some() || wave.overrides(&Gate::Window) {
        return true;
    }
    if look.app.has(Bug::WindowOnce) && wave.limits.is_some() {
        return true;
    }
    let open = |w: &Window| zone(w, member).is_some_and(|zone| w.is_open(look.now.wall, zone));
    windows.iter().any(open)
}

/// When a window opens next.
pub(crate) fn next_window(
    look: Look<'_>,
    wave: &Wave,
    member: Option<&Member>,
) -> Option<Timestamp> {
    let windows = wave.spec.before.windows.iter();
    windows.filter_map(|w| w.next_open(look.now.wall, zone(w, member)?)).min()
}

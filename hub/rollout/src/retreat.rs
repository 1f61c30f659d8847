//! The way back: every cluster that may have been exposed returns to its own last good release.

use std::collections::{BTreeMap, BTreeSet};

use model::{ClusterUid, Digest, WaveName};

use crate::{
    bug::Bug,
    event::Start,
    obs::Now,
    release::{Place, Plan, PlannedWave, Release},
    spec::{Members, Strategy, WaveSpec},
    state::{Actor, App, Held, Holding, Kind, Member, MemberState, Rollout},
};

/// Nothing older is proven for any of the exposed clusters, or the content is the proven one itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NothingToRollBackTo;

/// The one append that ends `bad`, condemns its content and begins the way back.
pub(crate) fn rollback(
    app: &App,
    bad: &Rollout,
    by: Option<Actor>,
    now: Now,
) -> Result<Start, NothingToRollBackTo> {
    let condemns = condemned_by(app, bad);
    if condemns.is_empty() {
        return Err(NothingToRollBackTo);
    }
    let all: BTreeSet<Digest> =
        app.condemned.keys().copied().chain(condemns.iter().copied()).collect();
    let mut targets = BTreeMap::new();
    let mut irreversible = Vec::new();
    for (uid, holding) in app.clusters.iter().filter(|(_, h)| !h.departed) {
        if !condemns.iter().any(|digest| holding.may_run(digest)) {
            continue;
        }
        if let Some(target) = last_good(app, uid, holding, &all) {
            targets.insert(uid.clone(), target);
        } else {
            irreversible.push(uid.clone());
        }
    }
    if targets.is_empty() && !irreversible.is_empty() {
        return Err(NothingToRollBackTo);
    }
    // What runs the bad content and cannot return stands in the plan too, so that it is counted and named.
    let mut members: Vec<_> = targets.keys().chain(&irreversible).cloned().collect();
    // Those that suffer return first.
    members.sort_by_key(|uid| bad.members.get(uid).is_none_or(|m| !m.state.is_failed()));
    for uid in &irreversible {
        targets.extend(bad.members.get(uid).map(|m| (uid.clone(), m.target)));
    }
    let active = app.active.as_ref().map(|r| r.id);
    Ok(Start {
        id: app.next_id(),
        kind: Kind::Rollback { of: bad.id },
        release: shown(app, bad),
        strategy: bad.strategy.clone(),
        plan: Plan {
            waves: single_wave("rollback", &bad.strategy, members, true),
            targets,
            irreversible,
            places: bad.places(),
        },
        partial: true,
        held: Held::No,
        supersedes: active.filter(|id| *id == bad.id),
        condemns: if app.has(Bug::CondemnLater) { Vec::new() } else { condemns },
        skipped: None,
        by,
        trace: bad.trace.clone(),
        at: now.wall,
    })
}

/// A plan of one wave under the limits of a rollback.
pub(crate) fn single_wave(
    name: &str,
    strategy: &Strategy,
    members: Vec<ClusterUid>,
    back: bool,
) -> Vec<PlannedWave> {
    let name = WaveName::parse(name).expect("a literal that is a name");
    let mut spec = WaveSpec::new(name, Members::Rest, strategy.rollback);
    spec.allow_empty = true;
    if back && strategy.rollback_policy.strict {
        // Any of them: a cluster does not wait longer for the way back than it waited for the way there.
        let windows = strategy.waves.iter().flat_map(|w| w.before.windows.clone());
        spec.before.windows = windows.collect();
    }
    vec![PlannedWave { spec, members }]
}

impl Rollout {
    /// Where its members stand.
    fn places(&self) -> BTreeMap<ClusterUid, Place> {
        let place =
            |(uid, m): (&ClusterUid, &Member)| Some((uid.clone(), (**m.place.as_ref()?).clone()));
        self.members.iter().filter_map(place).collect()
    }
}

/// Contents that only this release brought. What is part of the proven release is never condemned.
fn condemned_by(app: &App, bad: &Rollout) -> Vec<Digest> {
    let proven: BTreeSet<_> = app.stable.iter().flat_map(|s| s.variants.values()).collect();
    let new = |state: &MemberState| *state != MemberState::Unchanged;
    let brought = bad.members.values().filter(|m| new(&m.state)).map(|m| m.target);
    brought.filter(|d| !proven.contains(d)).collect::<BTreeSet<_>>().into_iter().collect()
}

fn last_good(
    app: &App,
    uid: &ClusterUid,
    holding: &Holding,
    condemned: &BTreeSet<Digest>,
) -> Option<Digest> {
    let stable = app.stable.as_ref().and_then(|s| s.variants.get(uid));
    holding.good.iter().chain(stable).find(|digest| !condemned.contains(digest)).copied()
}

/// The release that people see for a rollback: the proven one, or the one it undoes when none is.
fn shown(app: &App, bad: &Rollout) -> Release {
    app.stable.clone().unwrap_or_else(|| bad.release.clone())
}

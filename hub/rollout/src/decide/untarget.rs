//! Clusters that a commit no longer selects: said so, and removed only where the App asks for it. Absence is
//! never a reason: the cluster must be there, and the selector must say no.

use model::ClusterUid;

use crate::{
    amount::Amount,
    bug::Bug,
    event::{Event, Start},
    evidence::Look,
    gate::{ApprovalRule, Before},
    plan,
    release::{Plan, PlannedWave},
    removal::tombstone,
    spec::{Members, OnUntarget, WaveSettings, WaveSpec},
    state::{Held, Kind, Outcome, Verdict},
};

/// Share of the target set that is removed at once, and that may be removed without an approval.
const REMOVAL: Amount = Amount::Percent(5);

/// The next thing to say or do about clusters that are no longer targets.
pub(crate) fn untarget(look: Look<'_>) -> Option<Event> {
    let (app, candidate) = (look.app, look.obs.candidate.as_ref()?);
    if app.active.is_some() || candidate.variants.is_empty() {
        return None;
    }
    // Only a commit that stands: one that is refused says nothing about targets.
    let head = app.head.as_ref().filter(|h| h.revision.commit == candidate.commit)?;
    let stands = match &head.verdict {
        Verdict::Unchanged => true,
        Verdict::Rollout(id) => app
            .rollout(*id)
            .and_then(crate::state::Rollout::outcome)
            .is_some_and(|o| matches!(o, Outcome::Completed { .. })),
        Verdict::Queued | Verdict::Refused { .. } => false,
    };
    if !stands {
        return None;
    }
    let left: Vec<_> = app.targets.iter().filter(|uid| is_left_out(look, uid)).cloned().collect();
    if !left.is_empty() {
        let braked = !plan::brakes(app, &candidate.targets, &candidate.variants).is_empty();
        let (commit, at) = (candidate.commit.clone(), look.now.wall);
        return (!braked).then_some(Event::Untargeted { clusters: left, commit, at });
    }
    if candidate.targets.on_untarget == OnUntarget::Prune { removal(look) } else { None }
}

/// The selector of the newest commit says no to a cluster that is registered.
fn is_left_out(look: Look<'_>, uid: &ClusterUid) -> bool {
    let Some(candidate) = look.obs.candidate.as_ref() else { return false };
    if look.app.has(Bug::AbsenceRemoves) && look.cluster(uid).is_none_or(|c| c.last_heard.is_none())
    {
        return true;
    }
    let Some(cluster) = look.cluster(uid) else { return false };
    !candidate.variants.contains_key(uid)
        && candidate.targets.selects(&cluster.labels, &cluster.facts).is_ok_and(|yes| !yes)
}

/// A rollout that has the clusters give the App up.
fn removal(look: Look<'_>) -> Option<Event> {
    let (app, candidate) = (look.app, look.obs.candidate.as_ref()?);
    let gone = tombstone();
    let due = app.untargeted.keys().filter(|uid| {
        let held = app.holding(uid).and_then(|h| h.newest());
        held.is_some_and(|given| given.grant.digest != gone) && is_left_out(look, uid)
    });
    // Those that a removal of the very same commit gave up on wait for a person or a new commit.
    let tried = |uid: &&ClusterUid| {
        let last = app.past.iter().find(|r| matches!(r.kind, Kind::Removal { .. }));
        last.is_some_and(|r| {
            r.kind == Kind::Removal { commit: candidate.commit.clone() }
                && (r.outcome() == Some(Outcome::Aborted) || r.members.contains_key(*uid))
        })
    };
    let members: Vec<_> = due.filter(|uid| !tried(uid)).cloned().collect();
    if members.is_empty() {
        return None;
    }
    let size = u32::try_from(app.targets.len()).unwrap_or(u32::MAX);
    let budget = REMOVAL.at_least_one(size);
    let settings = WaveSettings {
        max_in_flight: Amount::Count(budget),
        soak: std::time::Duration::ZERO,
        ..candidate.strategy.rollback
    };
    let settings = WaveSettings { max_failures: Amount::Count(0), ..settings };
    let name = model::WaveName::parse("removal").expect("a literal that is a name");
    let asks = members.len() > budget as usize;
    let approval = asks.then(ApprovalRule::default);
    let spec = WaveSpec {
        before: Before { approval, ..Before::default() },
        allow_empty: true,
        ..WaveSpec::new(name, Members::Rest, settings)
    };
    let targets = members.iter().map(|uid| (uid.clone(), gone)).collect();
    let plan = Plan { waves: vec![PlannedWave { spec, members }], targets, ..Plan::default() };
    Some(Event::Started(Box::new(Start {
        id: app.next_id(),
        kind: Kind::Removal { commit: candidate.commit.clone() },
        release: candidate.release(),
        strategy: candidate.strategy.clone(),
        plan,
        partial: true,
        held: Held::No,
        supersedes: None,
        condemns: Vec::new(),
        skipped: None,
        by: None,
        trace: candidate.trace.clone(),
        at: look.now.wall,
    })))
}

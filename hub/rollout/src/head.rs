//! What becomes of the newest commit: a rollout, a place in the queue, a refusal, or nothing.

use std::collections::BTreeSet;

use model::{ClusterUid, Digest, Reason};

use crate::{
    bug::Bug,
    event::{Event, Start},
    evidence::Look,
    obs::Candidate,
    plan::{PlanFault, plan_for},
    release::{Plan, Release},
    retreat::single_wave,
    spec::{OnNewRelease, StartMode},
    state::{Actor, Head, Held, Kind, Rollout, RolloutState, Verdict, WaveState},
};

/// What becomes of a candidate.
#[derive(Debug)]
enum Judgement {
    /// It starts.
    Start(Box<Start>),
    /// It does not, and this is said.
    Say(Verdict),
    /// What was said before still holds.
    Keep,
}

/// Judges the newest commit, if there is something new to say about it.
pub(crate) fn judge(look: Look<'_>) -> Option<Event> {
    let candidate = look.obs.candidate.as_deref()?;
    if is_judged(look, candidate) {
        return None;
    }
    event(look, candidate, judgement(look, candidate))
}

/// Starts the newest commit because a person wants it: out of the queue, once more after an end, or the same
/// content again.
pub(crate) fn start_now(
    look: Look<'_>,
    candidate: &Candidate,
    by: &Actor,
) -> Result<Start, Verdict> {
    if let Some(message) = condemned(look, candidate) {
        return Err(Verdict::Refused { reason: Reason::HeadCondemned, message });
    }
    let plan = planned(look, candidate, None)?;
    let mut start = begin(look, candidate, plan);
    start.held = Held::No;
    start.by = Some(by.clone());
    Ok(start)
}

/// Whether the very same candidate was judged before and nothing can have changed the verdict. Keeps the
/// costly part (selectors over all clusters) out of the common path.
fn is_judged(look: Look<'_>, candidate: &Candidate) -> bool {
    let Some(head) = &look.app.head else { return false };
    if head.revision.commit != candidate.commit || head.content != candidate.variants.digest() {
        return false;
    }
    match (&head.verdict, &look.app.active) {
        (Verdict::Rollout(id), active) => active.as_ref().is_some_and(|r| r.id == *id),
        (Verdict::Unchanged, active) => active.is_some(),
        (Verdict::Queued, _) | (Verdict::Refused { .. }, None) => false,
        (Verdict::Refused { reason, .. }, Some(active)) => {
            *reason == Reason::HeadCondemned || !active.is_halted()
        }
    }
}

fn judgement(look: Look<'_>, candidate: &Candidate) -> Judgement {
    if let Some(message) = condemned(look, candidate) {
        return Judgement::Say(Verdict::Refused { reason: Reason::HeadCondemned, message });
    }
    // A removal keeps no commit waiting, and starts none that would not start by itself: what is new matters
    // more than tidying up, which begins anew afterwards.
    if let Some(active) = &look.app.active
        && !matches!(active.kind, Kind::Removal { .. })
        && !look.app.has(Bug::DoubleActive)
    {
        return beside(look, candidate, active);
    }
    let head = look.app.head.as_ref();
    let same_commit = head.filter(|h| h.revision.commit == candidate.commit);
    // A release that a person ended, that was undone, or that nobody proved, does not start again by itself.
    if let Some(Verdict::Rollout(id)) = same_commit.map(|h| &h.verdict)
        && look.app.stable_rollout != Some(*id)
    {
        return Judgement::Keep;
    }
    if candidate.variants.is_empty() {
        return start(look, candidate); // which the plan refuses, and says why
    }
    let lagging = lagging(look, candidate);
    if let Some(stable) = &look.app.stable
        && is_proven(stable, candidate)
    {
        // Clusters that joined or came back are the lane's. Those that ran something newer, which a person
        // gave up, return in a rollout that can be seen.
        let newer = |uid: &ClusterUid| {
            let newest = look.app.holding(uid).and_then(|h| h.newest());
            newest.is_some_and(|given| Some(given.rollout) > look.app.stable_rollout)
        };
        let ahead: BTreeSet<_> = lagging.into_iter().filter(newer).collect();
        if same_commit.is_none() && !ahead.is_empty() {
            return revert_to_proven(look, candidate, &ahead);
        }
        let stands = matches!(same_commit.map(|h| &h.verdict), Some(Verdict::Rollout(_)));
        return if stands { Judgement::Keep } else { Judgement::Say(Verdict::Unchanged) };
    }
    if lagging.is_empty() {
        return Judgement::Say(Verdict::Unchanged);
    }
    start(look, candidate)
}

/// A commit while a rollout is active.
fn beside(look: Look<'_>, candidate: &Candidate, active: &Rollout) -> Judgement {
    let head = look.app.head.as_ref();
    let forward = active.is_forward();
    let own = forward && *active.release.commit() == candidate.commit;
    if own && head.is_some_and(|h| h.verdict == Verdict::Rollout(active.id)) {
        return Judgement::Keep;
    }
    if own || forward && active.release.variants.agrees_with(&candidate.variants) {
        return Judgement::Say(Verdict::Rollout(active.id));
    }
    let overtakes = look.app.has(Bug::Overtakes) && !active.is_rollback();
    if overtakes || supersedes(candidate.strategy.on_new_release, active) {
        let revert = look.app.stable.as_ref().is_some_and(|s| is_proven(s, candidate));
        let lagging = lagging(look, candidate);
        return if revert && !lagging.is_empty() {
            revert_to_proven(look, candidate, &lagging)
        } else {
            start(look, candidate)
        };
    }
    Judgement::Say(Verdict::Queued)
}

/// Whether a newer release takes over now.
fn supersedes(policy: OnNewRelease, active: &Rollout) -> bool {
    if active.is_rollback() {
        return false;
    }
    let first_passed = active
        .waves
        .first()
        .is_some_and(|w| matches!(w.state, WaveState::Passed { .. } | WaveState::Skipped));
    match (&active.state, policy) {
        (RolloutState::Halted { .. }, _) | (_, OnNewRelease::Supersede) => true,
        (_, OnNewRelease::Queue) | (RolloutState::Paused { .. }, OnNewRelease::Auto) => false,
        (
            RolloutState::Planned | RolloutState::Progressing | RolloutState::Ended { .. },
            OnNewRelease::Auto,
        ) => !first_passed,
    }
}

/// Why the content may not go out again, if so.
fn condemned(look: Look<'_>, candidate: &Candidate) -> Option<String> {
    let app = look.app;
    if app.condemned.is_empty() || app.has(Bug::RegrantCondemned) {
        return None;
    }
    let digest = candidate.variants.values().find(|d| app.condemned.contains_key(d))?;
    let by = app.condemned.get(digest)?;
    Some(format!(
        "{} has content that was rolled back as rollout {} (content {})",
        candidate.commit.short(),
        by.rollout,
        digest.short()
    ))
}

/// Whether the candidate is the proven release as far as they speak of the same clusters.
fn is_proven(stable: &Release, candidate: &Candidate) -> bool {
    let common = candidate.variants.keys().any(|uid| stable.variants.contains_key(uid));
    (common || stable.commit() == &candidate.commit)
        && stable.variants.agrees_with(&candidate.variants)
}

/// Targets that the hub does not (yet) want to hold what the candidate says.
fn lagging(look: Look<'_>, candidate: &Candidate) -> BTreeSet<ClusterUid> {
    let current = |uid: &ClusterUid| {
        look.app.holding(uid).and_then(|h| h.current()).map(|given| given.grant.digest)
    };
    let differs = |(uid, digest): &(&ClusterUid, &Digest)| current(uid) != Some(**digest);
    candidate.variants.iter().filter(differs).map(|(uid, _)| uid.clone()).collect()
}

/// A commit whose content is the proven release: only the clusters that differ are touched, in one wave.
fn revert_to_proven(
    look: Look<'_>,
    candidate: &Candidate,
    lagging: &BTreeSet<ClusterUid>,
) -> Judgement {
    match planned(look, candidate, Some(lagging)) {
        Err(verdict) => Judgement::Say(verdict),
        Ok(ordered) => {
            let members = ordered.waves.into_iter().flat_map(|w| w.members).collect();
            let waves = single_wave("revert", &candidate.strategy, members, false);
            let plan = Plan { waves, ..ordered };
            let start = Start { partial: true, ..begin(look, candidate, plan) };
            Judgement::Start(Box::new(start))
        }
    }
}

fn start(look: Look<'_>, candidate: &Candidate) -> Judgement {
    match planned(look, candidate, None) {
        Ok(plan) => Judgement::Start(Box::new(begin(look, candidate, plan))),
        Err(verdict) => Judgement::Say(verdict),
    }
}

fn planned(
    look: Look<'_>,
    candidate: &Candidate,
    only: Option<&BTreeSet<ClusterUid>>,
) -> Result<Plan, Verdict> {
    let Candidate { targets, strategy, variants, .. } = candidate;
    plan_for(look.app, targets, strategy, variants, &look.obs.clusters, only).map_err(refused)
}

fn refused(faults: Vec<PlanFault>) -> Verdict {
    let reason = faults.first().map_or(Reason::AppInvalid, |f| f.reason);
    let message = faults.into_iter().map(|f| f.message).collect::<Vec<_>>().join("; ");
    Verdict::Refused { reason, message }
}

fn begin(look: Look<'_>, candidate: &Candidate, plan: Plan) -> Start {
    let active = look.app.active.as_ref();
    let held = match active.map(|r| &r.state) {
        Some(RolloutState::Paused { by, .. }) => Held::Paused(by.clone()),
        _ if candidate.strategy.start == StartMode::Manual => Held::UntilStarted,
        _ => Held::No,
    };
    Start {
        id: look.app.next_id(),
        kind: Kind::Forward,
        release: candidate.release(),
        strategy: candidate.strategy.clone(),
        plan,
        partial: false,
        held,
        supersedes: active.map(|r| r.id).filter(|_| !look.app.has(Bug::DoubleActive)),
        condemns: Vec::new(),
        skipped: skipped(look, candidate),
        by: None,
        trace: candidate.trace.clone(),
        at: look.now.wall,
    }
}

/// The queued commit that this one replaces.
fn skipped(look: Look<'_>, candidate: &Candidate) -> Option<model::Revision> {
    let head = look.app.head.as_ref()?;
    let replaced = head.verdict == Verdict::Queued && head.revision.commit != candidate.commit;
    replaced.then(|| head.revision.clone())
}

fn event(look: Look<'_>, candidate: &Candidate, judgement: Judgement) -> Option<Event> {
    let verdict = match judgement {
        Judgement::Keep => return None,
        Judgement::Start(start) => return Some(Event::Started(start)),
        Judgement::Say(verdict) => verdict,
    };
    let head = Head {
        revision: candidate.revision(),
        subject: candidate.subject.clone(),
        content: candidate.variants.digest(),
        verdict,
        at: look.now.wall,
    };
    let known =
        look.app.head.as_ref().is_some_and(|known| Head { at: known.at, ..head.clone() } == *known);
    (!known).then(|| Event::HeadMoved { head, skipped: skipped(look, candidate) })
}

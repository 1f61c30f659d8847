//! Step 4: carry out the plan, step by step. Uses the client; makes no choices of its own.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use model::{Epoch, ObjectKey, Reason};
use plan::{Action, Failure, HookPhase, Need, Plan, Step, Task, Why};

use super::apply::{Applied, Stop, apply, served};
use super::hooks::{run_phase, tidy};
use super::needs::{is_well, met, waves_healthy};
use super::prune::prune;
use super::recreate::recreate;
use super::report::{Acted, Trouble};
use super::stage::{Correction, Ledger, Stage};
use super::takeover::compare;
use super::tenant;
use super::terminating::terminating;

/// Applies, then prunes what is no longer desired if nothing failed.
pub(super) async fn act(stage: Stage<'_>, plan: &Plan, ledger: &mut Ledger<'_>) -> Acted {
    let mut acted = Acted::default();
    let writes = !plan.prune.is_empty() || plan.tasks().any(|task| task.action.writes());
    if writes && let Err(trouble) = allowed(stage, plan).await {
        return Acted::nothing(trouble);
    }
    if let Err(trouble) = claim(stage, plan, ledger).await {
        return Acted::nothing(trouble);
    }
    // Hooks that come first may live in namespaces of the same set.
    let first = plan.apply.iter().take_while(|step| step.tasks.iter().all(is_ground)).count();
    let (ground, rest) = plan.apply.split_at(first);
    run_all(stage, ground, plan, ledger, &mut acted).await;
    if acted.is_done() {
        acted.others.extend(run_phase(stage, HookPhase::PreApply, ledger).await.err());
    }
    if acted.others.is_empty() {
        run_all(stage, rest, plan, ledger, &mut acted).await;
    }
    let stored = ledger.store(stage.shared).await;
    acted.others.extend(stored.err());
    after(stage, ledger, &mut acted).await;
    // Prune comes after apply: a renamed object must exist under its new name before the old one goes.
    if acted.is_done() && !plan.prune.is_empty() {
        prune(stage, plan, ledger, &mut acted).await;
        let stored = ledger.store(stage.shared).await;
        acted.others.extend(stored.err());
    }
    acted
}

/// Whether an object only makes room for others.
fn is_ground(task: &Task) -> bool {
    matches!(task.key.kind.as_str(), "Namespace" | "CustomResourceDefinition")
}

async fn run_all(
    stage: Stage<'_>,
    steps: &[Step],
    plan: &Plan,
    ledger: &mut Ledger<'_>,
    acted: &mut Acted,
) {
    for step in steps {
        if !step.tasks.iter().any(|task| task.action != Action::NoOp) {
            continue;
        }
        if stage.is_over() {
            acted.preempted = true;
            return;
        }
        run(stage, step, plan, ledger, acted).await;
    }
}

/// Hooks that come when everything is applied and well, or when something failed for good.
async fn after(stage: Stage<'_>, ledger: &mut Ledger<'_>, acted: &mut Acted) {
    let desired = &stage.release.desired;
    let has = |phase| desired.hooks().any(|hook| hook.phase == phase);
    if acted.has_failed() && has(HookPhase::OnFailure) {
        acted.others.extend(run_phase(stage, HookPhase::OnFailure, ledger).await.err());
    }
    if !acted.is_done() {
        return;
    }
    if has(HookPhase::PostApply) {
        let unwell = desired.objects().keys().find(|key| !is_well(stage, key));
        let done = match unwell {
            Some(key) => Err(Trouble::not_yet(Reason::Applying, format!("hooks wait for {key}"))),
            None => run_phase(stage, HookPhase::PostApply, ledger).await,
        };
        acted.others.extend(done.err());
    }
    if acted.is_done() && !ledger.inventory.runs().is_empty() {
        acted.others.extend(tidy(stage, ledger).await.err());
    }
}

/// Whoever shall write must exist, unless the App itself brings the account.
async fn allowed(stage: Stage<'_>, plan: &Plan) -> Result<(), Trouble> {
    let Some(account) = stage.writer.account() else { return Ok(()) };
    if tenant::exists(stage.shared, stage.writer).await?
        || stage.release.desired.get(&tenant::key(account)).is_some()
    {
        return Ok(());
    }
    let dropped: Vec<_> = plan.prunes().map(|task| &task.key).collect();
    if dropped.is_empty() {
        let why = format!("its service account `{account}` does not exist");
        Err(Trouble::waiting(Reason::Forbidden, why))
    } else {
        Err(tenant::orphans(account, dropped.into_iter()))
    }
}

/// Stores the union of old and new before the first write. Without it nothing new is written; what was
/// applied before may still be corrected, because the stored inventory knows it.
async fn claim(stage: Stage<'_>, plan: &Plan, ledger: &mut Ledger<'_>) -> Result<(), Trouble> {
    let writes = || plan.tasks().filter(|task| task.action.writes());
    let repair = |task: &Task| matches!(&task.action, Action::Apply { why: Why::Drift(_), .. });
    if writes().next().is_none() {
        return Ok(());
    }
    let epoch: Epoch = stage.release.grant.epoch;
    *ledger.inventory = ledger.inventory.claim(&stage.release.desired, epoch);
    match ledger.store(stage.shared).await {
        Err(trouble) if writes().all(repair) => {
            tracing::warn!(app = %stage.app, fault = trouble.message, "inventory not stored");
            Ok(())
        }
        other => other,
    }
}

/// One step: its needs, then its tasks side by side.
async fn run(
    stage: Stage<'_>,
    step: &Step,
    plan: &Plan,
    ledger: &mut Ledger<'_>,
    acted: &mut Acted,
) {
    let gate = if step.after_healthy_waves && step.tasks.iter().any(is_news) {
        waves_healthy(stage, plan, step.position.wave).await
    } else {
        Ok(())
    };
    let needs: BTreeSet<Need> =
        step.tasks.iter().filter(|t| is_news(t)).flat_map(|t| t.needs.clone()).collect();
    let mut unmet: BTreeMap<Need, Trouble> = BTreeMap::new();
    if gate.is_ok() {
        let known = &*acted;
        let mut asked = Vec::new();
        for need in needs {
            asked.push(async move {
                let answer = met(stage, &need, known).await;
                (need, answer)
            });
        }
        let mut asked =
            futures::stream::iter(asked).buffer_unordered(stage.shared.limits.in_flight_per_app);
        while let Some((need, answer)) = asked.next().await {
            if let Err(trouble) = answer {
                unmet.insert(need, trouble);
            }
        }
    }
    let mut ready = Vec::new();
    for task in &step.tasks {
        let missing = task.needs.iter().find_map(|need| unmet.get(need));
        let held_up = match &gate {
            Err(trouble) if is_news(task) => Some(trouble),
            _ => missing.filter(|_| is_news(task)),
        };
        match held_up {
            Some(trouble) => drop(acted.troubles.insert(task.key.clone(), trouble.clone())),
            None => ready.push(task),
        }
    }
    let ready = withhold(stage, ready, ledger, acted);
    let mut started = Vec::new();
    for task in ready {
        started.push(async move { (task, perform(stage, task).await) });
    }
    let mut tasks =
        futures::stream::iter(started).buffer_unordered(stage.shared.limits.in_flight_per_app);
    let mut replaced = Vec::new();
    while let Some((task, done)) = tasks.next().await {
        if let Done::Immutable(failure) = done {
            replaced.push((task, failure));
        } else {
            settle(stage, task, done, ledger, acted);
        }
    }
    // One after the other: each is noted before it is deleted.
    for (task, failure) in replaced {
        let done = match recreate(stage, &task.key, &failure, ledger).await {
            Ok(applied) => Done::Applied(Box::new(applied)),
            Err(trouble) => Done::Trouble(trouble),
        };
        settle(stage, task, done, ledger, acted);
    }
}

/// Keeps back what was refused for good, and nothing changed about since.
fn withhold<'t>(
    stage: Stage<'_>,
    mut tasks: Vec<&'t Task>,
    ledger: &Ledger<'_>,
    acted: &mut Acted,
) -> Vec<&'t Task> {
    tasks.retain(|task| {
        let sent = stage.release.desired.get(&task.key).map(|object| object.fingerprint);
        let standing = sent.filter(|_| task.action.writes()).and_then(|sent| {
            let live = stage.observed.live.get(&task.key);
            ledger.refusals.standing(&task.key, sent, live, stage.now)
        });
        let go = standing.is_none();
        if let Some(trouble) = standing {
            acted.troubles.insert(task.key.clone(), trouble);
        }
        go
    });
    tasks
}

/// Whether a task brings something new, which has to wait for its turn; a repair has not.
fn is_news(task: &Task) -> bool {
    match &task.action {
        Action::Apply { why, .. } => !matches!(why, Why::Drift(_)),
        Action::NoOp
        | Action::WaitTerminating { .. }
        | Action::Drifted(_)
        | Action::Conflict { .. }
        | Action::Compare { .. }
        | Action::NotSeen => false,
    }
}

/// What became of a task.
enum Done {
    Nothing,
    Applied(Box<Applied>),
    Preempted,
    /// The change is one that a live object does not take.
    Immutable(Failure),
    Trouble(Trouble),
}

async fn perform(stage: Stage<'_>, task: &Task) -> Done {
    match &task.action {
        Action::NoOp | Action::Drifted(_) => Done::Nothing,
        Action::WaitTerminating { finalizers } => {
            let held = terminating(stage, &task.key, finalizers).await;
            Done::Trouble(Trouble::not_yet(Reason::ObjectTerminating, held))
        }
        Action::Conflict { reason, message } => {
            stage.shared.metrics.conflict(&task.key.kind);
            Done::Trouble(Trouble::terminal(*reason, message.clone()))
        }
        Action::Compare { .. } | Action::Apply { .. } if stage.is_over() => Done::Preempted,
        Action::Compare { uid } => match adopt_identical(stage, &task.key, uid).await {
            Ok(applied) => Done::Applied(Box::new(applied)),
            Err(Stop::Trouble(trouble)) => Done::Trouble(trouble),
            Err(Stop::Immutable(failure)) => Done::Immutable(failure),
        },
        Action::NotSeen => {
            let why = stage.shared.mirror.blind(&task.key).unwrap_or_default();
            let message = format!("its kind cannot be looked at, so nothing is written; {why}");
            let message = message.trim_end_matches("; ");
            Done::Trouble(Trouble::waiting(Reason::ApiServerUnreachable, message))
        }
        Action::Apply { why, uid } => match apply(stage, &task.key, why, uid.as_deref()).await {
            Ok(applied) => Done::Applied(Box::new(applied)),
            Err(Stop::Trouble(trouble)) => Done::Trouble(trouble),
            Err(Stop::Immutable(failure)) => Done::Immutable(failure),
        },
    }
}

/// Makes an object ours that already is what it shall be.
async fn adopt_identical(stage: Stage<'_>, key: &ObjectKey, uid: &str) -> Result<Applied, Stop> {
    let Some(object) = stage.release.desired.get(key) else {
        let why = "it is in the plan and not desired";
        return Err(Trouble::terminal(Reason::Internal, why).into());
    };
    let place = served(stage, key, object).await?;
    compare(stage, key, &place, &object.body_for(Some(uid))).await?;
    apply(stage, key, &Why::Adopt, Some(uid)).await
}

/// Notes what became of a task.
fn settle(stage: Stage<'_>, task: &Task, done: Done, ledger: &mut Ledger<'_>, acted: &mut Acted) {
    let Stage { shared, app, .. } = stage;
    let key = &task.key;
    let drift = match &task.action {
        Action::Apply { why: Why::Drift(drift), .. } => Some(drift),
        Action::Apply { .. }
        | Action::NoOp
        | Action::WaitTerminating { .. }
        | Action::Drifted(_)
        | Action::Conflict { .. }
        | Action::Compare { .. }
        | Action::NotSeen => None,
    };
    // Where the API server tells no owners, any change of the object looks like drift until it is read.
    let unchanged = matches!(&done, Done::Applied(applied) if applied.unchanged);
    if drift.is_some() && !unchanged {
        shared.metrics.drifted(app, &key.kind);
    }
    match done {
        Done::Nothing => {}
        Done::Preempted => acted.preempted = true,
        Done::Immutable(failure) => {
            let trouble = Done::Trouble(Trouble::of(&failure));
            settle(stage, task, trouble, ledger, acted);
        }
        Done::Applied(applied) if applied.unchanged => {
            ledger.inventory.record(key, applied.written);
        }
        Done::Applied(applied) => {
            shared.metrics.applied(app, "ok");
            acted.written += 1;
            if let Some(drift) = drift {
                tracing::info!(%app, %key, ?drift, "corrected");
                shared.metrics.corrected(app, &key.kind);
                let manager = applied.taken_from.clone().or_else(|| culprit(drift));
                ledger.corrections.push(Correction { key: key.clone(), manager });
            } else {
                tracing::debug!(%app, %key, "applied");
            }
            ledger.inventory.record(key, applied.written);
        }
        Done::Trouble(trouble) => {
            shared.metrics.applied(app, if trouble.patient { "waiting" } else { "error" });
            let trouble = trouble.about(key);
            let message = stage.release.scrubber.scrub(&trouble.message);
            tracing::info!(%app, %key, reason = %trouble.reason, message, "not applied");
            if let Some(object) = stage.release.desired.get(key) {
                let live = stage.observed.live.get(key);
                ledger.refusals.note(key, object.fingerprint, live, &trouble, stage.now);
            }
            acted.troubles.insert(key.clone(), trouble);
        }
    }
}

fn culprit(drift: &plan::Drift) -> Option<String> {
    match drift {
        plan::Drift::Changed { managers } => managers.iter().next().cloned(),
        plan::Drift::None
        | plan::Drift::Deleted
        | plan::Drift::Recreated
        | plan::Drift::Deleting
        | plan::Drift::Unknown => None,
    }
}

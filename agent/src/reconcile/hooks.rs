//! Hooks: noted before they are made, and their end before anything follows from it, so that each runs once a release
//! whatever dies in between. Uses the client.

use model::{Health, ObjectKey, Reason};
use plan::{
    Hook, HookAction, HookPhase, HookResult, HookRun, LiveMeta, Ownership, Verb, hook_tasks,
    removes, stale_runs,
};
use serde_json::Value;

use super::answer::understand;
use super::observe::resource;
use super::report::Trouble;
use super::stage::{Ledger, Stage};
use crate::cluster::{Force, Found, Propagation, Resource, Validation};

/// Runs the hooks of a phase, one after the other. `Ok` when all of them ended well.
pub(super) async fn run_phase(
    stage: Stage<'_>,
    phase: HookPhase,
    ledger: &mut Ledger<'_>,
) -> Result<(), Trouble> {
    let desired = &stage.release.desired;
    for task in hook_tasks(desired, ledger.inventory, phase, &stage.observed.live) {
        let hook = task.hook;
        let key = &hook.key;
        let result = match task.action {
            HookAction::Ended(result) => result,
            HookAction::Run => {
                make(stage, hook, ledger).await?;
                return Err(Trouble::not_yet(Reason::Applying, "the hook runs").about(key));
            }
            HookAction::Watch { uid } => {
                ledger.inventory.hook_announced(&hook.run, key, version(hook));
                ledger.inventory.hook_started(&hook.run, &uid);
                let Some(result) = watch(stage, hook, &uid).await? else {
                    return Err(Trouble::not_yet(Reason::Applying, "the hook runs").about(key));
                };
                end(stage, hook, result, ledger).await?;
                result
            }
            HookAction::Lost => {
                let why = "it vanished before its end was seen, and may not run twice";
                return Err(Trouble::terminal(Reason::HookFailed, why).about(key));
            }
            HookAction::Taken => {
                let why = "an object of this name is there, and is not ours";
                return Err(Trouble::terminal(Reason::ExistsUnowned, why).about(key));
            }
            HookAction::NotSeen => {
                let why = "its kind cannot be looked at now";
                return Err(Trouble::waiting(Reason::ApiServerUnreachable, why).about(key));
            }
        };
        if result == HookResult::Failed {
            return Err(Trouble::terminal(Reason::HookFailed, "the hook failed").about(key));
        }
    }
    Ok(())
}

fn version(hook: &Hook) -> &str {
    hook.api_version.rsplit('/').next().unwrap_or(&hook.api_version)
}

fn place(stage: Stage<'_>, key: &ObjectKey, version: &str) -> Result<Resource, Trouble> {
    match resource(&stage.observed.kinds, key, version) {
        Found::Served(resource) => Ok(resource),
        Found::Unknown | Found::OtherVersions(_) | Found::No => {
            let why = "its kind is not served";
            Err(Trouble::waiting(Reason::KindMissing, why).about(key))
        }
    }
}

/// Notes the run, makes the object, notes its uid.
async fn make(stage: Stage<'_>, hook: &Hook, ledger: &mut Ledger<'_>) -> Result<(), Trouble> {
    let (key, at) = (&hook.key, place(stage, &hook.key, version(hook))?);
    ledger.inventory.hook_announced(&hook.run, key, version(hook));
    ledger.store(stage.shared).await?;
    let ownership = Ownership::of(stage.app);
    let (manager, how) = (ownership.manager(), (Force::No, Validation::Strict));
    let reply = stage.writer.apply(&at, key, &hook.body, manager, how).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    let uid = reply.body.pointer("/metadata/uid").and_then(Value::as_str);
    let (true, Some(uid)) = (reply.is_success(), uid) else {
        return Err(Trouble::of(&understand(stage, key, Verb::Apply, &reply)).about(key));
    };
    tracing::info!(app = %stage.app, %key, phase = ?hook.phase, "hook made");
    stage.shared.mirror.wrote(key, &reply.body);
    ledger.inventory.hook_started(&hook.run, uid);
    ledger.store(stage.shared).await
}

/// Whether it ended, and how.
async fn watch(stage: Stage<'_>, hook: &Hook, uid: &str) -> Result<Option<HookResult>, Trouble> {
    let at = place(stage, &hook.key, version(hook))?;
    let reply = stage.shared.cluster.object(&at, &hook.key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    if !reply.is_success()
        || reply.body.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid)
    {
        // The next look knows that it is lost.
        stage.shared.mirror.doubt(&hook.key);
        return Ok(None);
    }
    if hook.key.group.is_empty() && hook.key.kind == "Pod" {
        // A pod that runs is well, and has not ended.
        let phase = reply.body.pointer("/status/phase").and_then(Value::as_str);
        return Ok(match phase {
            Some("Succeeded") => Some(HookResult::Succeeded),
            Some("Failed") => Some(HookResult::Failed),
            _ => None,
        });
    }
    let context = plan::HealthContext::at(stage.shared.clock.now());
    let verdict = plan::health(&reply.body, &context);
    Ok(match verdict.health {
        Health::Healthy => Some(HookResult::Succeeded),
        Health::Degraded => Some(HookResult::Failed),
        Health::Progressing | Health::Suspended | Health::Missing | Health::Unknown => None,
    })
}

/// Notes the end durably, then removes the object if its author wants that.
async fn end(
    stage: Stage<'_>,
    hook: &Hook,
    result: HookResult,
    ledger: &mut Ledger<'_>,
) -> Result<(), Trouble> {
    ledger.inventory.hook_ended(&hook.run, result);
    ledger.store(stage.shared).await?;
    tracing::info!(app = %stage.app, key = %hook.key, ?result, "hook ended");
    let run = ledger.inventory.runs().get(&hook.run).cloned();
    if let Some(run) = run.filter(|_| removes(hook, result)) {
        remove(stage, &run).await?;
    }
    Ok(())
}

/// Deletes the object of a run if it still is that object. True when nothing of it is left.
async fn remove(stage: Stage<'_>, run: &HookRun) -> Result<bool, Trouble> {
    let at = place(stage, &run.key, &run.version)?;
    let reply = stage.shared.cluster.metadata(&at, &run.key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    if reply.code == 404 {
        return Ok(true);
    }
    let Some(meta) = LiveMeta::read(&reply.body, &Ownership::of(stage.app)) else {
        return Ok(false);
    };
    let ours = meta.owner.as_deref() == Some(stage.app.as_str())
        && meta.id.as_deref() == Some(&run.key.id())
        && run.uid.as_ref().is_none_or(|uid| *uid == meta.uid);
    if !ours {
        return Ok(true);
    }
    let precondition = (meta.uid.as_str(), None);
    let reply = stage.writer.delete(&at, &run.key, precondition, Propagation::Background).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    stage.shared.mirror.doubt(&run.key);
    Ok(reply.code == 404)
}

/// Removes what hooks of earlier releases left, once the present one is through.
pub(super) async fn tidy(stage: Stage<'_>, ledger: &mut Ledger<'_>) -> Result<(), Trouble> {
    let earlier = stale_runs(&stage.release.desired, ledger.inventory);
    let earlier: Vec<(String, HookRun)> =
        earlier.into_iter().map(|(run, known)| (run.to_owned(), known.clone())).collect();
    let mut left = None;
    for (name, run) in earlier {
        if remove(stage, &run).await? {
            ledger.inventory.hook_forget(&name);
        } else {
            let why = "the hook of an earlier release is being removed";
            left = Some(Trouble::not_yet(Reason::Pruning, why).about(&run.key));
        }
    }
    ledger.store(stage.shared).await?;
    left.map_or(Ok(()), Err)
}

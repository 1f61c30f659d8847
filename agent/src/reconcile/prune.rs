//! Removes what is no longer desired: each object is looked at again just before, deleted with the uid that was
//! judged, and forgotten only when it was seen to be gone.

use std::time::Duration;

use futures::StreamExt as _;
use model::{ObjectKey, Reason};
use plan::{
    Entry, Forget, Hold, Keepers, LiveMeta, Ownership, Plan, Prune, PruneTask, Sight, Spread, Verb,
    prune_again,
};
use serde_json::Value;
use tokio::time::Instant;

use super::answer::understand;
use super::guard::clear;
use super::observe::resource;
use super::report::{Acted, Trouble};
use super::stage::{Ledger, Stage};
use super::terminating::terminating;
use crate::cluster::{Found, Propagation, Resource};

/// Longest wait, within one round, for a deleted object to go; what takes longer is looked at again later.
const GONE_MAX: Duration = Duration::from_secs(3);
/// First pause between two looks; doubles up to a second.
const LOOK_MIN: Duration = Duration::from_millis(30);

/// What became of one entry.
enum Removed {
    /// Drop it.
    Forget(&'static str),
    /// Keep it.
    Keep(Trouble),
}

/// Prunes step by step; a step begins when the one before is gone. What stays keeps back what it may need, and the
/// rest goes on.
pub(super) async fn prune(
    stage: Stage<'_>,
    plan: &Plan,
    ledger: &mut Ledger<'_>,
    acted: &mut Acted,
) {
    let mut keepers = Keepers::default();
    for step in &plan.prune {
        let mut started = Vec::new();
        let mut results = Vec::new();
        for task in step {
            let entry = ledger.inventory.get(&task.key).cloned();
            let keeper = entry.as_ref().and_then(|entry| keepers.keeper(&task.key, entry));
            match keeper.filter(|_| matches!(task.prune, Prune::Delete { .. })) {
                Some(by) => results.push((task, Removed::Keep(waits_for(by)))),
                None => started.push(async move { (task, remove(stage, task, entry).await) }),
            }
        }
        let mut tasks =
            futures::stream::iter(started).buffer_unordered(stage.shared.limits.in_flight_per_app);
        while let Some(result) = tasks.next().await {
            results.push(result);
        }
        drop(tasks);
        let mut silent = false;
        for (task, removed) in results {
            let (app, key) = (stage.app, &task.key);
            match removed {
                Removed::Forget(how) => {
                    tracing::info!(%app, %key, how, "pruned");
                    stage.shared.metrics.pruned(app, how);
                    ledger.inventory.forget(key);
                }
                Removed::Keep(trouble) => {
                    stage.shared.metrics.pruned(app, "waiting");
                    silent |= trouble.reason == Reason::ApiServerUnreachable;
                    acted.others.push(trouble.about(key));
                    if let Some(entry) = ledger.inventory.get(key) {
                        keepers.keep(key, entry);
                    }
                }
            }
        }
        // Whoever does not answer would be asked in vain for all the rest.
        if silent || stage.is_over() {
            acted.preempted |= stage.is_over();
            return;
        }
    }
}

/// What keeps it is told on its own, as bad as it is.
fn waits_for(by: &ObjectKey) -> Trouble {
    Trouble::not_yet(Reason::Pruning, format!("{by} stays for now and may need it"))
}

async fn remove(stage: Stage<'_>, task: &PruneTask, entry: Option<Entry>) -> Removed {
    let Some(entry) = entry else { return Removed::Forget("gone") };
    let place = match resource(&stage.observed.kinds, &task.key, &task.version) {
        Found::Served(resource) => resource,
        // The whole kind is confirmed gone, and its objects with it.
        Found::No => return Removed::Forget("gone"),
        Found::Unknown | Found::OtherVersions(_) => {
            return Removed::Keep(Trouble::waiting(
                Reason::PruneBlocked,
                "its kind cannot be looked at now",
            ));
        }
    };
    match &task.prune {
        Prune::Gone => Removed::Forget("gone"),
        Prune::Forget(forget) => forgotten(stage, task, forget),
        Prune::Hold(hold) => Removed::Keep(held(hold)),
        Prune::Deleting { .. } => gone(stage, &task.key, &place, &entry).await,
        Prune::Detach(_) | Prune::Delete { .. } => {
            again(stage, task, &place, &entry).await.unwrap_or_else(Removed::Keep)
        }
    }
}

fn forgotten(stage: Stage<'_>, task: &PruneTask, forget: &Forget) -> Removed {
    tracing::warn!(app = %stage.app, key = %task.key, ?forget, "not ours any more; left alone");
    Removed::Forget(match forget {
        Forget::Recreated => "recreated",
        Forget::Taken(_) => "taken",
        Forget::CopiedMarks => "copied",
        Forget::NeverWritten => "never_written",
    })
}

fn held(hold: &Hold) -> Trouble {
    let message = match hold {
        Hold::NotSeen => "its kind cannot be looked at now".to_owned(),
        Hold::Unconfirmed => {
            "our write of it was never answered, so it is not proven to be ours".to_owned()
        }
        Hold::AfterFailure => "the release is not applied in full yet".to_owned(),
        Hold::AwaitsApproval => "it asks that a person confirms its removal".to_owned(),
        Hold::Leaving(to) => {
            format!("it is handed over to App `{to}`, which has not taken it yet")
        }
        Hold::NeededBy(by) => format!("{by} needs it and stays; it goes when that goes"),
        Hold::MayBeNeededBy(by) => return waits_for(by),
    };
    Trouble::waiting(Reason::PruneBlocked, message)
}

/// Looks again, decides again, and only then touches it.
async fn again(
    stage: Stage<'_>,
    task: &PruneTask,
    place: &Resource,
    entry: &Entry,
) -> Result<Removed, Trouble> {
    let key = &task.key;
    let cluster = &stage.shared.cluster;
    let ownership = Ownership::of(stage.app);
    let reply = cluster.metadata(place, key).await.map_err(|e| Trouble::unreachable(&e))?;
    let meta = match reply.code {
        200 => LiveMeta::read(&reply.body, &ownership),
        404 => None,
        _ => return Err(Trouble::of(&understand(stage, key, Verb::Read, &reply))),
    };
    let sight = match (&meta, reply.code) {
        (Some(meta), _) => Sight::Present(meta),
        (None, 404) => Sight::Absent,
        (None, _) => Sight::Unknown,
    };
    match prune_again(task, entry, sight, stage.app) {
        Prune::Gone => {
            stage.shared.mirror.found(key, None);
            Ok(Removed::Forget("gone"))
        }
        Prune::Forget(forget) => Ok(forgotten(stage, task, &forget)),
        Prune::Hold(hold) => Err(held(&hold)),
        Prune::Deleting { .. } => Ok(gone(stage, key, place, entry).await),
        Prune::Detach(why) => {
            detach(stage, key, place, &ownership).await?;
            tracing::info!(app = %stage.app, %key, ?why, "kept, our marks taken off");
            Ok(Removed::Forget("orphaned"))
        }
        Prune::Delete { uid, spread, guard } => {
            if let Some(guard) = guard {
                clear(stage, key, guard, place).await?;
            }
            delete(stage, key, place, &uid, spread).await?;
            Ok(gone(stage, key, place, entry).await)
        }
    }
}

async fn delete(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    uid: &str,
    spread: Spread,
) -> Result<(), Trouble> {
    let propagation = match spread {
        // Pruning never plans this; a set that is replaced keeps its pods, one that goes does not.
        Spread::Background | Spread::Orphan => Propagation::Background,
        Spread::Foreground => Propagation::Foreground,
    };
    let reply = stage.writer.delete(place, key, (uid, None), propagation).await;
    let reply = reply.map_err(|e| Trouble::unreachable(&e))?;
    if reply.is_success() || reply.code == 404 {
        return Ok(());
    }
    stage.shared.mirror.doubt(key);
    Err(Trouble::of(&understand(stage, key, Verb::Delete, &reply)))
}

async fn detach(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    ownership: &Ownership,
) -> Result<(), Trouble> {
    let cluster = &stage.shared.cluster;
    let reply = cluster.object(place, key).await.map_err(|e| Trouble::unreachable(&e))?;
    let patch = ownership.detach_patch(&reply.body);
    if !reply.is_success() || patch.is_empty() {
        return Ok(());
    }
    // Another manager than ours, or the patch itself would make an entry of ours.
    let patched =
        stage.writer.patch(place, key, &Value::Array(patch), "tidegate-agent-detach").await;
    let patched = patched.map_err(|e| Trouble::unreachable(&e))?;
    if patched.is_success() || patched.code == 404 {
        Ok(())
    } else {
        Err(Trouble::waiting(Reason::PruneBlocked, "it changed while our marks were taken off"))
    }
}

/// Waits until it is gone, a little.
async fn gone(stage: Stage<'_>, key: &ObjectKey, place: &Resource, entry: &Entry) -> Removed {
    let until = Instant::now() + GONE_MAX;
    let mut pause = LOOK_MIN;
    loop {
        let reply = match stage.shared.cluster.metadata(place, key).await {
            Ok(reply) => reply,
            Err(fault) => return Removed::Keep(Trouble::unreachable(&fault)),
        };
        let text = |name: &str| {
            reply.body.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str)
        };
        if reply.code == 404 || text("uid").is_some_and(|uid| Some(uid) != entry.uid.as_deref()) {
            stage.shared.mirror.found(key, None);
            return Removed::Forget("deleted");
        }
        if stage.is_over() || Instant::now() >= until {
            let meta = LiveMeta::read(&reply.body, &Ownership::of(stage.app)).unwrap_or_default();
            let held = terminating(stage, key, &meta.finalizers).await;
            let since = text("deletionTimestamp").and_then(|t| t.parse::<jiff::Timestamp>().ok());
            let now = stage.shared.clock.now();
            let age = since.map(|since| now.duration_since(since)).unwrap_or_default();
            let overdue = age.unsigned_abs() > stage.shared.limits.gone;
            let message = format!("for {} s {held}", age.as_secs());
            return Removed::Keep(if overdue {
                Trouble::waiting(Reason::PruneBlocked, message)
            } else {
                Trouble::not_yet(Reason::Pruning, message)
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

//! Hooks: Jobs, Pods and other objects that run once a release, before it, after it, when it fails, or
//! before the App goes.
//!
//! Exactly once: a run is known by the release and the hook, noted in the inventory before the object is
//! made, and its end is noted before anything follows from it. Hence neither the clean-up of a finished
//! Job, nor a restart, nor a lost answer makes a hook run again or wait for ever.

use std::collections::BTreeSet;

use model::ObjectKey;

use crate::desired::{Desired, Hook, HookPhase, OnLost};
use crate::inventory::{HookResult, HookRun, Inventory};
use crate::live::{Live, Sight};

/// What to do about one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAction {
    /// Note it ([`Inventory::hook_announced`]), store, create it.
    Run,
    /// It runs: watch the object with this uid until it ends, note the end, store.
    Watch {
        /// The object's uid.
        uid: String,
    },
    /// It ended.
    Ended(HookResult),
    /// It was made, and vanished before its end was seen; taken for a failure, because running it twice
    /// may harm.
    Lost,
    /// An object of that name is there and is not ours.
    Taken,
    /// Its kind cannot be looked at now.
    NotSeen,
}

/// One hook of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct HookTask<'a> {
    /// The hook.
    pub hook: &'a Hook,
    /// What to do.
    pub action: HookAction,
}

/// The hooks of `phase`, in order: a hook starts when the one before it ended well.
pub fn hook_tasks<'a>(
    desired: &'a Desired,
    inventory: &Inventory,
    phase: HookPhase,
    live: &Live,
) -> Vec<HookTask<'a>> {
    let mut hooks: Vec<&Hook> = desired.hooks().filter(|hook| hook.phase == phase).collect();
    hooks.sort_by_key(|hook| (hook.wave, &hook.key));
    let app = desired.app().as_str();
    let judged = hooks.into_iter().map(|hook| {
        let action = judge(hook, inventory.runs().get(&hook.run), live.get(&hook.key), app);
        HookTask { hook, action }
    });
    judged.collect()
}

fn judge(hook: &Hook, run: Option<&HookRun>, live: Sight<'_>, app: &str) -> HookAction {
    if let Some(result) = run.and_then(|run| run.result) {
        return HookAction::Ended(result);
    }
    let started = run.and_then(|run| run.uid.as_ref());
    match (live, started) {
        (Sight::Unknown, _) => HookAction::NotSeen,
        (Sight::Present(meta), Some(uid)) if meta.uid == *uid => {
            HookAction::Watch { uid: uid.clone() }
        }
        // Made again by somebody, or vanished: what was ours ended unseen.
        (_, Some(_)) if hook.on_lost == OnLost::Fail => HookAction::Lost,
        (Sight::Absent, _) => HookAction::Run,
        (Sight::Present(meta), _) => {
            let ours = meta.owner.as_deref() == Some(app)
                && meta.id.as_deref() == Some(&hook.key.id())
                && meta.sig.is_some();
            if ours { HookAction::Watch { uid: meta.uid.clone() } } else { HookAction::Taken }
        }
    }
}

/// Runs of earlier releases: their objects are deleted (with their uid as precondition) when the next
/// release is applied, and then forgotten.
pub fn stale_runs<'a>(desired: &Desired, inventory: &'a Inventory) -> Vec<(&'a str, &'a HookRun)> {
    let current: BTreeSet<&str> = desired.hooks().map(|hook| hook.run.as_str()).collect();
    let runs = inventory.runs().iter().map(|(run, known)| (run.as_str(), known));
    runs.filter(|(run, _)| !current.contains(run)).collect()
}

/// Whether the object of a hook that ended goes at once.
pub fn removes(hook: &Hook, result: HookResult) -> bool {
    match result {
        HookResult::Succeeded => hook.remove_on_success,
        HookResult::Failed => hook.remove_on_failure,
    }
}

/// Whether `key` is the object of a remembered run.
pub fn is_hook(inventory: &Inventory, key: &ObjectKey) -> bool {
    inventory.runs().values().any(|run| run.key == *key)
}

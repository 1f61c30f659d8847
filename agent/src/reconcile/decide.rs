//! Step 3: gates, then the plan. No client; nothing is decided here that `plan` can decide.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ObjectKey};
use plan::{Desired, FightDetector, Gate, Inventory, Live, OnDrift, Plan, Policy, Sight};

use super::report::Trouble;
use crate::state::{Choices, Options, by_key};

/// What people asked for.
#[derive(Debug)]
pub(super) struct Wishes<'a> {
    pub(super) options: &'a Options,
    pub(super) choices: &'a Choices,
    /// Objects that other Apps of this cluster take over.
    pub(super) leaving: BTreeMap<ObjectKey, AppName>,
}

fn keys(ids: &BTreeSet<String>) -> BTreeSet<ObjectKey> {
    ids.iter().filter_map(|id| ObjectKey::parse_id(id).ok()).collect()
}

/// The plan, or the gate that holds.
pub(super) fn decide(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    wishes: Wishes<'_>,
    fights: &FightDetector,
    now: std::time::Duration,
) -> Result<Plan, Trouble> {
    let occupied: BTreeSet<String> = inventory
        .entries()
        .keys()
        .filter(|key| !key.namespace.is_empty())
        .filter(|key| !matches!(live.get(key), Sight::Absent))
        .map(|key| key.namespace.clone())
        .collect();
    let Wishes { options, choices, mut leaving } = wishes;
    let lifted = lifted(options);
    leaving.extend(by_key(&choices.leaving));
    let orphan = choices.orphan && desired.objects().is_empty();
    if orphan {
        // Nothing is deleted, so there is nothing to ask a person about.
    } else if let Err(blocked) = plan::gates(desired, inventory, &occupied, &lifted) {
        let reason = blocked.first().map_or(model::Reason::ContentInvalid, |b| b.reason);
        let text: Vec<&str> = blocked.iter().map(|b| b.message.as_str()).collect();
        return Err(Trouble::terminal(reason, text.join("; ")));
    }
    let policy = Policy {
        on_drift: if matches!(options.drift.as_str(), "report" | "ignore") {
            OnDrift::Report
        } else {
            OnDrift::Correct
        },
        purge: lifted.contains(&Gate::EmptySet),
        adopt: choices.adopt,
        recreate: choices.recreate,
        orphan,
        approved: keys(&choices.approved),
        take_from: by_key(&choices.take_from),
        leaving,
        slowed: fights.slowed(now).into_iter().map(|(key, _)| key).collect(),
    };
    let plan = plan::plan(desired, live, inventory, &policy);
    let notes = plan::check::check(desired, live, inventory, &policy, &plan);
    debug_assert!(notes.is_empty(), "the plan breaks its own laws: {notes:?}");
    Ok(plan)
}

/// Gates that a person lifted for this epoch. A name that is none lifts nothing.
fn lifted(options: &Options) -> BTreeSet<Gate> {
    let read = |name: &String| serde_json::from_value(serde_json::Value::from(name.as_str())).ok();
    options.allow.iter().filter_map(read).collect()
}

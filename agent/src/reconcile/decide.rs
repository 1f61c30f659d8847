//! Step 3: gates, then the plan. No client; nothing is decided here that `plan` can decide.

use std::collections::BTreeSet;

use plan::{Desired, FightDetector, Gate, Inventory, Live, OnDrift, Plan, Policy, Sight};

use super::report::Trouble;
use crate::state::Options;

/// The plan, or the gate that holds.
pub(super) fn decide(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    options: &Options,
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
    let lifted = lifted(options);
    if let Err(blocked) = plan::gates(desired, inventory, &occupied, &lifted) {
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
        slowed: fights.slowed(now).into_iter().map(|(key, _)| key).collect(),
        ..Policy::default()
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

//! Step 3: gates, then the plan. No client; nothing is decided here that `plan` can decide.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Choices, ObjectKey};
use plan::{
    Desired, FightDetector, Gate, GateInput, GateLimits, Inventory, Live, OnDrift, Plan, Policy,
    Sight,
};

use super::report::Trouble;
use crate::state::{Options, by_key};

/// What people asked for.
#[derive(Debug)]
pub(super) struct Wishes<'a> {
    pub(super) options: &'a Options,
    pub(super) choices: &'a Choices,
    /// Objects that other Apps of this cluster take over.
    pub(super) leaving: BTreeMap<ObjectKey, AppName>,
    /// Uid of the cluster in which the agent's state was made, and of this one.
    pub(super) cluster: Option<(&'a str, &'a str)>,
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
    let Wishes { options, choices, mut leaving, cluster } = wishes;
    let lifted = lifted(options);
    leaving.extend(by_key(&choices.leaving));
    let orphan = choices.orphan && desired.objects().is_empty();
    let input = GateInput {
        desired,
        inventory,
        occupied: &occupied,
        open: &lifted,
        limits: GateLimits::default(),
        cluster,
    };
    let mut blocked = plan::gates_with(&input).err().unwrap_or_default();
    if orphan {
        // Nothing is deleted, so there is nothing to ask a person about but where we are.
        blocked.retain(|blocked| blocked.gate == Gate::ForeignCluster);
    }
    if let Some(first) = blocked.first() {
        let text: Vec<&str> = blocked.iter().map(|b| b.message.as_str()).collect();
        return Err(Trouble::terminal(first.reason, text.join("; ")));
    }
    let policy = Policy {
        // The API server is asked instead, and says what holds a namespace.
        foresee: false,
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
    if cfg!(debug_assertions) {
        let notes = plan::check::check(desired, live, inventory, &policy, &plan);
        assert!(notes.is_empty(), "the plan breaks its own laws: {notes:?}");
    }
    Ok(plan)
}

/// Gates that a person lifted for this epoch. A name that is none lifts nothing.
fn lifted(options: &Options) -> BTreeSet<Gate> {
    let read = |name: &String| serde_json::from_value(serde_json::Value::from(name.as_str())).ok();
    options.allow.iter().filter_map(read).collect()
}

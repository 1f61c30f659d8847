//! The decisions with one check left out, for tests that show what each check is worth.
//! Not part of a shipped binary.

use std::collections::BTreeSet;

use model::{Directive, LeaseEpoch, ObjectKey};
use serde_json::Value;

use crate::accept::{Decision, Stored, accept_seeded};
use crate::gates::gates_seeded;
use crate::health::health_seeded;
use crate::plan::plan_seeded;
use crate::prune::prune_seeded;
use crate::{
    Blocked, Desired, Entry, GateInput, GateLimits, HealthContext, Inventory, Live, Plan, Policy,
    Prune, PruneContext, Sight, Verdict,
};

pub use crate::seeded::Bug;

/// [`crate::accept::accept`] with a bug.
pub fn accept(stored: &Stored, term: LeaseEpoch, directive: &Directive, bug: Bug) -> Decision {
    accept_seeded(stored, term, directive, Some(bug))
}

/// [`crate::gates`] with a bug.
pub fn gates(desired: &Desired, inventory: &Inventory, bug: Bug) -> Result<(), Vec<Blocked>> {
    let (occupied, open) = (BTreeSet::new(), BTreeSet::new());
    let limits = GateLimits::default();
    let input =
        GateInput { desired, inventory, occupied: &occupied, open: &open, limits, cluster: None };
    gates_seeded(&input, Some(bug))
}

/// [`crate::plan`] with a bug.
pub fn plan(desired: &Desired, live: &Live, inventory: &Inventory, bug: Bug) -> Plan {
    plan_seeded(desired, live, inventory, &Policy::default(), Some(bug))
}

/// [`crate::prune_decision`] with a bug.
pub fn prune_decision(
    key: &ObjectKey,
    entry: &Entry,
    live: Sight<'_>,
    context: &PruneContext,
    bug: Bug,
) -> Prune {
    prune_seeded(key, entry, live, context, Some(bug))
}

/// [`crate::health`] with a bug.
pub fn health(object: &Value, context: &HealthContext, bug: Bug) -> Verdict {
    health_seeded(object, context, bug)
}

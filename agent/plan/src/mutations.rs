//! The decisions with one check left out, for tests that show what each check is worth.
//! Not part of a shipped binary.

use std::collections::BTreeSet;

use model::{AppName, Directive, Epoch, LeaseEpoch, ObjectKey};
use serde_json::Value;

use crate::accept::{Decision, Stored, accept_seeded};
use crate::conflict::resolve_seeded;
use crate::diff::diff_seeded;
use crate::gates::gates_seeded;
use crate::health::health_seeded;
use crate::plan::plan_seeded;
use crate::prune::prune_seeded;
use crate::recreate::recreate_seeded;
use crate::{
    Blocked, ConflictCause, Desired, DesiredObject, Diff, DiffOptions, Entry, Failure, GateInput,
    GateLimits, HealthContext, Inventory, Live, LiveMeta, Plan, Policy, Prune, PruneContext,
    Recreate, Resolution, Sight, Verdict,
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

/// [`Inventory::claim`] with a bug.
pub fn claim(inventory: &Inventory, desired: &Desired, epoch: Epoch, bug: Bug) -> Inventory {
    inventory.claim_seeded(desired, epoch, Some(bug))
}

/// [`crate::resolve`] with a bug.
pub fn resolve(causes: &[ConflictCause], bug: Bug) -> Resolution {
    resolve_seeded(causes, Some(bug))
}

/// [`crate::diff`] with a bug.
pub fn diff(desired: &Value, live: &Value, options: &DiffOptions<'_>, bug: Bug) -> Diff {
    diff_seeded(desired, live, options, Some(bug))
}

/// [`crate::recreate_decision`] with a bug.
pub fn recreate_decision(
    object: (&DesiredObject, &Entry, &LiveMeta, &AppName),
    allowed: bool,
    failure: &Failure,
    bug: Bug,
) -> Recreate {
    recreate_seeded(object, allowed, failure, Some(bug))
}

/// [`crate::health`] with a bug.
pub fn health(object: &Value, context: &HealthContext, bug: Bug) -> Verdict {
    health_seeded(object, context, bug)
}

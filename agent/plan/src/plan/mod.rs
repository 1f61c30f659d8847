//! Desired × Live × Inventory → Plan. Total: whatever is wrong was found while admitting.
//!
//! `decide` judges one desired object, `prunes` all that is no longer desired.

mod decide;
mod prunes;

use std::collections::{BTreeMap, BTreeSet};

use model::{Adopt, AppName, ObjectKey, ObjectParts, Reason};

use crate::desired::{Desired, DesiredObject};
use crate::drift::Drift;
use crate::health::Until;
use crate::inventory::Inventory;
use crate::live::{Live, Sight};
use crate::order::Position;
use crate::prune::PruneTask;
use crate::seeded::Bug;

use decide::{Judge, decide, needs};
use prunes::prunes;

/// What to do about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDrift {
    /// Apply again.
    #[default]
    Correct,
    /// Say so and leave it.
    Report,
}

/// Choices of the App, and what the shell knows beside the cluster.
#[expect(clippy::struct_excessive_bools, reason = "answers of a person, each for itself")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For objects that exist and are not ours.
    pub adopt: Adopt,
    /// For objects that changed.
    pub on_drift: OnDrift,
    /// A person allowed, for this very grant, that an empty set deletes everything.
    pub purge: bool,
    /// Objects that a person confirmed to go, for this very grant.
    pub approved: BTreeSet<ObjectKey>,
    /// With an empty set: leave everything running and take our marks off.
    pub orphan: bool,
    /// Objects that the hub hands over to this App, and from which one.
    pub take_from: BTreeMap<ObjectKey, AppName>,
    /// Objects that the hub hands over to another App: not deleted here while that has not taken them.
    pub leaving: BTreeMap<ObjectKey, AppName>,
    /// Whether objects are replaced when a field changes that cannot; their own annotation counts too.
    pub recreate: bool,
    /// Foresee that an API server refuses what is made in a namespace that goes; otherwise it is asked,
    /// and says what holds it.
    pub foresee: bool,
    /// Objects whose correction has to wait ([`crate::FightDetector`]): drift is reported, not corrected.
    pub slowed: BTreeSet<ObjectKey>,
}

/// Why an object is applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is not there and never was.
    Create,
    /// Its body changed.
    Update,
    /// A write of ours was announced and never answered.
    Resume,
    /// Somebody changed it.
    Drift(Drift),
    /// It is there, belongs to nobody, and becomes ours.
    Adopt,
    /// It belongs to that App, which hands it over: its label and its fields become ours first
    /// ([`crate::migrate::transfer_patch`]).
    Transfer(AppName),
    /// We deleted it to replace it, and it was not made again yet.
    Recreate,
}

/// What to do with one desired object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Is as it shall be: no request.
    NoOp,
    /// Server-side apply, not forced.
    Apply {
        /// Why.
        why: Why,
        /// Goes into the body as precondition: a vanished or replaced object is refused, not revived.
        uid: Option<String>,
    },
    /// Belongs to nobody, and becomes ours only if applying it would change nothing but our marks.
    Compare {
        /// As in [`Action::Apply`].
        uid: String,
    },
    /// Is being deleted; applied again once it is gone. (Applying onto it would answer 200 and lose it.)
    WaitTerminating {
        /// What holds it.
        finalizers: Vec<String>,
    },
    /// Drifted, and is left so for now.
    Drifted(Drift),
    /// Belongs to somebody else; never written.
    Conflict {
        /// As reported.
        reason: Reason,
        /// For people.
        message: String,
    },
    /// Its kind could not be looked at; nothing is written until it can.
    NotSeen,
}

impl Action {
    /// Whether it costs a request.
    pub fn writes(&self) -> bool {
        matches!(self, Action::Apply { .. })
    }
}

/// Something that must hold before a task starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Of which object.
    pub key: ObjectKey,
    /// What.
    pub until: Until,
}

/// One desired object in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Which.
    pub key: ObjectKey,
    /// What to do.
    pub action: Action,
    /// What must hold first. When one of these failed, the task is skipped because of it.
    pub needs: Vec<Need>,
}

/// Tasks that may run side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Their common place in the order.
    pub position: Position,
    /// Whether all objects of earlier explicit waves must be healthy before this step.
    pub after_healthy_waves: bool,
    /// What to do, by key.
    pub tasks: Vec<Task>,
}

/// What to do, in order. Prune comes after apply: a renamed object must exist under its new name
/// before the old one goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Steps of applying, each after the one before.
    pub apply: Vec<Step>,
    /// Steps of pruning, each after the one before.
    pub prune: Vec<Vec<PruneTask>>,
}

impl Plan {
    /// Nothing to write, delete or wait for.
    pub fn is_empty(&self) -> bool {
        self.prune.is_empty() && self.tasks().all(|task| task.action == Action::NoOp)
    }

    /// All desired objects, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.apply.iter().flat_map(|step| &step.tasks)
    }

    /// All entries that are no longer desired, in order.
    pub fn prunes(&self) -> impl Iterator<Item = &PruneTask> {
        self.prune.iter().flatten()
    }
}

/// Decides what to do to one App in one cluster. The gates were asked before ([`crate::gates`]); an
/// empty `desired` deletes nothing here either, unless the policy says that a person wants it.
pub fn plan(desired: &Desired, live: &Live, inventory: &Inventory, policy: &Policy) -> Plan {
    plan_seeded(desired, live, inventory, policy, None)
}

/// [`plan`] with a bug on purpose.
pub(crate) fn plan_seeded(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    policy: &Policy,
    bug: Option<Bug>,
) -> Plan {
    let mut steps: BTreeMap<Position, Step> = BTreeMap::new();
    let first_wave = desired.objects().values().map(|o| o.position.wave).min().unwrap_or(0);
    let judge = Judge { app: desired.app(), policy, bug };
    for (key, object) in desired.objects() {
        let position =
            if bug == Some(Bug::NoOrder) { Position::default() } else { object.position };
        let action = decide(object, live.get(key), inventory.get(key), &judge);
        let action = if policy.foresee { later(action, object, live) } else { action };
        let task = Task { key: key.clone(), action, needs: needs(object) };
        let step = steps.entry(position).or_insert_with(|| Step {
            position,
            after_healthy_waves: position.wave > first_wave,
            tasks: Vec::new(),
        });
        step.tasks.push(task);
    }
    let asked = policy.purge || policy.orphan || bug == Some(Bug::PruneOnEmpty);
    let emptied = desired.objects().is_empty() && !asked;
    let prune = if emptied { Vec::new() } else { prunes(desired, live, inventory, policy, bug) };
    Plan { apply: steps.into_values().collect(), prune }
}

/// Nothing is made in a namespace, or of a definition, that is on its way out: the API server refuses
/// it, or loses it with the rest.
fn later(action: Action, object: &DesiredObject, live: &Live) -> Action {
    if !action.writes() {
        return action;
    }
    let namespace = ObjectParts {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: object.key.namespace.clone(),
    }
    .into();
    let holders = object
        .needs
        .iter()
        .filter(|need| need.kind == "Namespace" || need.kind == "CustomResourceDefinition");
    let going = holders.chain([&namespace]).find_map(|holder| match live.get(holder) {
        Sight::Present(meta) if meta.deleting => Some(meta.finalizers.clone()),
        Sight::Present(_) | Sight::Absent | Sight::Unknown => None,
    });
    going.map_or(action, |finalizers| Action::WaitTerminating { finalizers })
}

//! Desired × Live × Inventory → Plan. Total: whatever is wrong was found while admitting.

use std::collections::{BTreeMap, BTreeSet};

use model::{ObjectKey, Reason};

use crate::conflict::{Owner, owner_of};
use crate::desired::{Desired, DesiredObject};
use crate::drift::{Drift, drift};
use crate::health::Until;
use crate::inventory::{Entry, Inventory};
use crate::live::{Live, LiveMeta, Sight};
use crate::order::{Position, delete_class, layer};
use crate::prune::{PruneTask, prune_seeded};
use crate::seeded::Bug;

/// Depths are turned round this value for deletion; leaves room above for named dependencies.
const DEPTH_TURN: u16 = u16::MAX / 2;

/// What to do with an object that exists and carries no mark of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    /// Take it when no App and no other delivery tool owns it.
    #[default]
    IfUnowned,
    /// Never.
    Never,
    /// Also from another delivery tool; never from another App.
    Always,
}

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For objects that exist and are not ours.
    pub adopt: Adopt,
    /// For objects that changed.
    pub on_drift: OnDrift,
    /// A person allowed, for this very grant, that an empty set deletes everything.
    pub purge: bool,
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
    for (key, object) in desired.objects() {
        let position =
            if bug == Some(Bug::NoOrder) { Position::default() } else { object.position };
        let task = Task {
            key: key.clone(),
            action: decide(object, live.get(key), inventory.get(key), desired, policy),
            needs: needs(object),
        };
        let step = steps.entry(position).or_insert_with(|| Step {
            position,
            after_healthy_waves: position.wave > first_wave,
            tasks: Vec::new(),
        });
        step.tasks.push(task);
    }
    let emptied = desired.objects().is_empty() && !policy.purge && bug != Some(Bug::PruneOnEmpty);
    let prune = if emptied { Vec::new() } else { prunes(desired, live, inventory, bug) };
    Plan { apply: steps.into_values().collect(), prune }
}

/// The decision for one desired object.
fn decide(
    object: &DesiredObject,
    live: Sight<'_>,
    entry: Option<&Entry>,
    desired: &Desired,
    policy: &Policy,
) -> Action {
    let meta = match live {
        Sight::Unknown => return Action::NotSeen,
        Sight::Absent => return absent(object, entry, policy),
        Sight::Present(meta) => meta,
    };
    let app = desired.app().as_str();
    if let Some(owner) = meta.owner.as_deref().filter(|owner| *owner != app) {
        return Action::Conflict {
            reason: Reason::OwnedByAnotherApp,
            message: format!("{} belongs to App `{owner}`", object.key),
        };
    }
    if meta.deleting {
        return Action::WaitTerminating { finalizers: meta.finalizers.clone() };
    }
    let Some(entry) = entry.filter(|e| e.uid.as_ref() == Some(&meta.uid)) else {
        return adopt(object, meta, entry, policy);
    };
    let uid = Some(meta.uid.clone());
    if entry.pending {
        return Action::Apply { why: Why::Resume, uid };
    }
    if entry.applied != Some(object.fingerprint) || entry.version != object.version() {
        return Action::Apply { why: Why::Update, uid };
    }
    let drift = drift(entry, live);
    if drift == Drift::None { Action::NoOp } else { correct(drift, uid, &object.key, policy) }
}

/// Not there.
fn absent(object: &DesiredObject, entry: Option<&Entry>, policy: &Policy) -> Action {
    let Some(entry) = entry else { return Action::Apply { why: Why::Create, uid: None } };
    if entry.uid.is_none() {
        return Action::Apply { why: Why::Create, uid: None };
    }
    let changed = entry.pending || entry.applied != Some(object.fingerprint);
    let drift = drift(entry, Sight::Absent);
    match (drift == Drift::None, changed) {
        (true, false) => Action::NoOp,
        (true, true) => Action::Apply { why: Why::Update, uid: None },
        (false, true) => Action::Apply { why: Why::Drift(drift), uid: None },
        (false, false) => correct(drift, None, &object.key, policy),
    }
}

/// Drift, and nothing new to apply.
fn correct(drift: Drift, uid: Option<String>, key: &ObjectKey, policy: &Policy) -> Action {
    if policy.on_drift == OnDrift::Report || policy.slowed.contains(key) {
        Action::Drifted(drift)
    } else {
        Action::Apply { why: Why::Drift(drift), uid }
    }
}

/// There, and the inventory does not know this uid.
fn adopt(
    object: &DesiredObject,
    meta: &LiveMeta,
    entry: Option<&Entry>,
    policy: &Policy,
) -> Action {
    // Marked as ours with our own Apply entry: a write of ours whose answer was lost.
    let id = object.key.id();
    let ours = meta.owner.is_some() && meta.id.as_deref() == Some(&id) && meta.sig.is_some();
    let uid = Some(meta.uid.clone());
    if ours {
        return Action::Apply { why: Why::Resume, uid };
    }
    let tool = meta
        .managers
        .iter()
        .find(|m| matches!(owner_of(m), Owner::DeliveryTool | Owner::AnotherApp));
    let refusal = match (policy.adopt, tool) {
        (Adopt::Never, _) => Some("it exists already and adoption is off".to_owned()),
        (Adopt::IfUnowned, Some(tool)) => Some(format!("it is managed by `{tool}`")),
        (Adopt::IfUnowned, None) | (Adopt::Always, _) => None,
    };
    match refusal {
        Some(why) => Action::Conflict {
            reason: Reason::ExistsUnowned,
            message: format!("{} was not touched: {why}", object.key),
        },
        None if entry.is_some_and(|e| e.uid.is_some()) => {
            Action::Apply { why: Why::Drift(Drift::Recreated), uid }
        }
        None => Action::Apply { why: Why::Adopt, uid },
    }
}

/// What must hold before an object is applied.
fn needs(object: &DesiredObject) -> Vec<Need> {
    let natural = object.needs.iter().map(|key| Need { key: key.clone(), until: natural(key) });
    let named =
        object.depends_on.iter().map(|key| Need { key: key.clone(), until: Until::Healthy });
    natural.chain(named).collect()
}

/// What a kind must be for others to lean on it.
fn natural(key: &ObjectKey) -> Until {
    match key.kind.as_str() {
        "Namespace" => Until::NamespaceActive,
        "CustomResourceDefinition" => Until::DefinitionEstablished,
        "Service" => Until::EndpointReady,
        _ => Until::Applied,
    }
}

/// What is in the inventory and not desired, in reverse order.
fn prunes(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    bug: Option<Bug>,
) -> Vec<Vec<PruneTask>> {
    let dropped: BTreeMap<&ObjectKey, &Entry> =
        inventory.entries().iter().filter(|(key, _)| desired.get(key).is_none()).collect();
    // Same uid under another group or version in the new set: the object moves, it does not go.
    let kept: BTreeSet<&str> = desired
        .objects()
        .keys()
        .filter_map(|key| match live.get(key) {
            Sight::Present(meta) => Some(meta.uid.as_str()),
            Sight::Absent | Sight::Unknown => None,
        })
        .collect();
    let places = delete_places(&dropped, bug);
    let mut steps: BTreeMap<Position, Vec<PruneTask>> = BTreeMap::new();
    for (key, entry) in dropped {
        let moved = entry.uid.as_deref().is_some_and(|uid| kept.contains(uid));
        let sight = if moved { Sight::Absent } else { live.get(key) };
        let prune = prune_seeded(key, entry, sight, desired.app(), bug);
        let place = places.get(key).copied().unwrap_or_default();
        let task = PruneTask { key: key.clone(), version: entry.version.clone(), prune };
        steps.entry(place).or_default().push(task);
    }
    steps.into_values().collect()
}

/// The order of applying turned round; dependencies that an author named outrank it.
fn delete_places(
    dropped: &BTreeMap<&ObjectKey, &Entry>,
    bug: Option<Bug>,
) -> BTreeMap<ObjectKey, Position> {
    let turned = |key: &ObjectKey, entry: &Entry| {
        let at = entry.position;
        if bug == Some(Bug::NoReverse) {
            return at;
        }
        match delete_class(key) {
            1 => Position {
                wave: at.wave.saturating_neg(),
                rank: u16::MAX - at.rank,
                depth: DEPTH_TURN.saturating_sub(at.depth),
            },
            // What can block the rest is outside the waves, and so is what holds the rest.
            0 => Position { wave: i32::MIN, rank: 0, depth: 0 },
            class => Position { wave: i32::MAX, rank: class, depth: 0 },
        }
    };
    let places: BTreeMap<ObjectKey, Position> =
        dropped.iter().map(|(key, entry)| ((*key).clone(), turned(key, entry))).collect();
    let mut needs: BTreeMap<ObjectKey, BTreeSet<ObjectKey>> = BTreeMap::new();
    for (key, entry) in dropped {
        for dependency in &entry.depends_on {
            needs.entry(dependency.clone()).or_default().insert((*key).clone());
        }
    }
    // A ring can only come from two releases whose dependencies point in opposite ways.
    layer(&places, &needs).unwrap_or(places)
}

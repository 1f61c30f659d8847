//! The laws as data: what must hold for every plan, as sentences about what does not. Asserted by the
//! shell in debug builds and by every property test.

use std::collections::{BTreeMap, BTreeSet};

use model::ObjectKey;

use crate::desired::Desired;
use crate::inventory::{Entry, Inventory};
use crate::live::{Live, Sight};
use crate::order::delete_class;
use crate::plan::{Plan, Policy};
use crate::prune::{Prune, PruneTask};

/// A law that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Which.
    pub law: Law,
    /// On which object.
    pub key: ObjectKey,
    /// How.
    pub how: String,
}

/// The laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// Only what the inventory names is ever deleted.
    OnlyOurs,
    /// What is desired is never deleted.
    NotDesired,
    /// Uid of the inventory = live uid = precondition of the request.
    UidProof,
    /// The ownership label names this App.
    LabelProof,
    /// The tracking id names the object itself.
    IdProof,
    /// What asks to stay, or is handed over, is never deleted.
    Kept,
    /// An entry leaves the inventory only when its object was looked at.
    SeenBeforeForgotten,
    /// An empty set deletes nothing, unless a person asked for that.
    EmptyIsNoOrder,
    /// What an object needs comes in an earlier step.
    DependenciesFirst,
    /// What an object needed goes in a later step.
    DependenciesLast,
    /// What can block others goes first, definitions and namespaces go last.
    ContainersLast,
    /// What an object that stays needs stays with it: what it names, and its namespace.
    NeededStays,
    /// Another App's object, and one that is being deleted, is never applied.
    HandsOff,
    /// Every desired object and every dropped entry is in the plan once.
    Complete,
}

/// All laws that `plan` breaks; empty is right.
pub fn check(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    policy: &Policy,
    plan: &Plan,
) -> Vec<Note> {
    let mut notes = deletions(desired, live, inventory, policy, plan);
    notes.retain(|note| note.law != Law::EmptyIsNoOrder || !policy.purge);
    notes.extend(apply_order(desired, plan));
    notes.extend(prune_order(inventory, plan));
    notes.extend(needed_stays(desired, inventory, plan));
    notes.extend(hands_off(desired, live, policy, plan));
    notes.extend(completeness(desired, inventory, policy, plan));
    notes
}

fn note(law: Law, key: &ObjectKey, how: impl Into<String>) -> Note {
    Note { law, key: key.clone(), how: how.into() }
}

/// Every delete has its three proofs.
fn deletions(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    policy: &Policy,
    plan: &Plan,
) -> Vec<Note> {
    let mut notes = Vec::new();
    for PruneTask { key, prune, .. } in plan.prunes() {
        if *prune == Prune::Gone && live.get(key) == Sight::Unknown {
            notes.push(note(Law::SeenBeforeForgotten, key, "forgotten unseen"));
        }
        let Prune::Delete { uid, .. } = prune else { continue };
        if desired.objects().is_empty() {
            notes.push(note(Law::EmptyIsNoOrder, key, "deleted by an empty set"));
        }
        if desired.get(key).is_some() {
            notes.push(note(Law::NotDesired, key, "deleted while desired"));
        }
        let entry = inventory.get(key);
        if entry.is_none() {
            notes.push(note(Law::OnlyOurs, key, "deleted without an entry"));
        }
        let Sight::Present(meta) = live.get(key) else {
            notes.push(note(Law::UidProof, key, "deleted without being seen"));
            continue;
        };
        let known = entry.and_then(|entry| entry.uid.as_ref());
        if known != Some(uid) || meta.uid != *uid {
            notes.push(note(Law::UidProof, key, format!("uid {uid}, live {}", meta.uid)));
        }
        if meta.owner.as_deref() != Some(desired.app().as_str()) {
            notes.push(note(Law::LabelProof, key, format!("owner {:?}", meta.owner)));
        }
        if meta.keep.is_some() || policy.leaving.contains_key(key) || policy.orphan {
            notes.push(note(Law::Kept, key, "deleted although it shall stay"));
        }
        if meta.id.as_deref() != Some(&key.id()) {
            notes.push(note(Law::IdProof, key, format!("id {:?}", meta.id)));
        }
    }
    notes
}

/// Needs come first.
fn apply_order(desired: &Desired, plan: &Plan) -> Vec<Note> {
    let step_of: BTreeMap<&ObjectKey, usize> = plan
        .apply
        .iter()
        .enumerate()
        .flat_map(|(at, step)| step.tasks.iter().map(move |task| (&task.key, at)))
        .collect();
    let mut notes = Vec::new();
    for object in desired.objects().values() {
        for need in object.needs.union(&object.depends_on) {
            if step_of.get(need) >= step_of.get(&object.key) {
                notes.push(note(Law::DependenciesFirst, &object.key, format!("before {need}")));
            }
        }
        // Without a named dependency the rank of the kind decides.
        let waves = desired.objects().values().filter(|other| {
            (other.position.wave, other.position.rank)
                < (object.position.wave, object.position.rank)
        });
        for other in waves {
            if step_of.get(&other.key) >= step_of.get(&object.key) {
                let how = format!("before {}", other.key);
                notes.push(note(Law::DependenciesFirst, &object.key, how));
            }
        }
    }
    notes
}

/// Needs go last.
fn prune_order(inventory: &Inventory, plan: &Plan) -> Vec<Note> {
    let step_of: BTreeMap<&ObjectKey, usize> = plan
        .prune
        .iter()
        .enumerate()
        .flat_map(|(at, step)| step.iter().map(move |task| (task, at)))
        // What is let go goes nowhere.
        .filter(|(task, _)| !matches!(task.prune, Prune::Detach(_)))
        .map(|(task, at)| (&task.key, at))
        .collect();
    let named: BTreeSet<&ObjectKey> =
        inventory.entries().values().flat_map(|entry| &entry.depends_on).collect();
    let free = |key: &ObjectKey, entry: &Entry| entry.depends_on.is_empty() && !named.contains(key);
    // Of all that are alike the first to go: enough to find one that goes too early.
    let mut firsts: BTreeMap<(u16, i32, u16), (usize, &ObjectKey)> = BTreeMap::new();
    for (key, entry) in inventory.entries().iter().filter(|(key, entry)| free(key, entry)) {
        let Some(at) = step_of.get(key) else { continue };
        let alike = (delete_class(key), entry.position.wave, entry.position.rank);
        let first = firsts.entry(alike).or_insert((*at, key));
        *first = (*first).min((*at, key));
    }
    let mut notes = Vec::new();
    for (key, entry) in inventory.entries() {
        let Some(at) = step_of.get(key) else { continue };
        for need in &entry.depends_on {
            if step_of.get(need).is_some_and(|other| other <= at) {
                notes.push(note(Law::DependenciesLast, key, format!("after {need}")));
            }
        }
        if !free(key, entry) {
            continue;
        }
        let class = delete_class(key);
        for ((other_class, wave, rank), (place, other)) in &firsts {
            let inner = class == 1 && *other_class == 1;
            let earlier = (*wave, *rank) < (entry.position.wave, entry.position.rank);
            if place > at {
                continue;
            }
            if class < *other_class {
                notes.push(note(Law::ContainersLast, key, format!("after {other}")));
            } else if inner && earlier {
                notes.push(note(Law::DependenciesLast, key, format!("after {other}")));
            }
        }
    }
    notes
}

/// What stays keeps what it needs.
fn needed_stays(desired: &Desired, inventory: &Inventory, plan: &Plan) -> Vec<Note> {
    let goes = |task: &&PruneTask| matches!(task.prune, Prune::Delete { .. });
    let going: BTreeSet<&ObjectKey> = plan.prunes().filter(goes).map(|task| &task.key).collect();
    let mut notes = Vec::new();
    for key in going.iter().filter(|key| key.group.is_empty() && key.kind == "Namespace") {
        if let Some(inside) = desired.objects().keys().find(|one| one.namespace == key.name) {
            notes.push(note(Law::NeededStays, key, format!("deleted under {inside}")));
        }
    }
    for task in plan.prunes().filter(|t| matches!(t.prune, Prune::Hold(_) | Prune::Detach(_))) {
        let needs = inventory.get(&task.key).into_iter().flat_map(|entry| &entry.depends_on);
        for need in needs.filter(|need| going.contains(need)) {
            notes.push(note(Law::NeededStays, need, format!("{} needs it and stays", task.key)));
        }
    }
    notes
}

/// Nothing of others is written.
fn hands_off(desired: &Desired, live: &Live, policy: &Policy, plan: &Plan) -> Vec<Note> {
    let mut notes = Vec::new();
    for task in plan.tasks().filter(|task| task.action.writes()) {
        match live.get(&task.key) {
            Sight::Present(meta) => {
                let handed = |owner: &str| {
                    let said =
                        desired.get(&task.key).and_then(|o| o.choices.transfer_from.as_ref());
                    let from = policy.take_from.get(&task.key).or(said);
                    from.is_some_and(|from| from.as_str() == owner)
                };
                let owner = meta.owner.as_deref();
                let other = owner.is_some_and(|o| o != desired.app().as_str() && !handed(o));
                if other || meta.deleting {
                    notes.push(note(Law::HandsOff, &task.key, "applied"));
                }
            }
            Sight::Unknown => notes.push(note(Law::HandsOff, &task.key, "applied unseen")),
            Sight::Absent => {}
        }
    }
    notes
}

/// Nothing is lost on the way.
fn completeness(
    desired: &Desired,
    inventory: &Inventory,
    policy: &Policy,
    plan: &Plan,
) -> Vec<Note> {
    let mut times: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
    let keys = plan.tasks().map(|t| &t.key).chain(plan.prunes().map(|t| &t.key));
    for key in keys {
        *times.entry(key).or_default() += 1;
    }
    let empty = desired.objects().is_empty() && !policy.purge && !policy.orphan;
    let dropped = inventory.entries().keys().filter(|key| !empty && desired.get(key).is_none());
    let due = desired.objects().keys().chain(dropped);
    due.filter(|key| times.get(key) != Some(&1))
        .map(|key| note(Law::Complete, key, "not in the plan once"))
        .collect()
}

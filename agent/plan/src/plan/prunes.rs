//! What is in the inventory and no longer desired, judged one by one and put in reverse order.

use std::collections::{BTreeMap, BTreeSet};

use model::{ObjectKey, ObjectParts};

use super::Policy;
use crate::desired::Desired;
use crate::inventory::{Entry, Inventory};
use crate::live::{Live, Sight};
use crate::order::{Position, delete_class, layer};
use crate::prune::{
    Detach, Hold, Keepers, Prune, PruneContext, PruneTask, holds_data, prune_seeded,
};
use crate::seeded::Bug;

/// Depths are turned round this value for deletion; leaves room above for named dependencies.
const DEPTH_TURN: u16 = u16::MAX / 2;
/// The first step.
const FIRST: Position = Position { wave: i32::MIN, rank: 0, depth: 0 };

/// What is in the inventory and not desired, in reverse order.
pub(super) fn prunes(
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
    policy: &Policy,
    bug: Option<Bug>,
) -> Vec<Vec<PruneTask>> {
    let context = PruneContext {
        approved: policy.approved.clone(),
        leaving: policy.leaving.clone(),
        orphan: policy.orphan && desired.objects().is_empty(),
        ..PruneContext::of(inventory)
    };
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
    let sight = |key: &ObjectKey, entry: &Entry| {
        let moved = entry.uid.as_deref().is_some_and(|uid| kept.contains(uid));
        if moved { Sight::Absent } else { live.get(key) }
    };
    let judged = dropped
        .iter()
        .map(|(key, entry)| (*key, prune_seeded(key, entry, sight(key, entry), &context, bug)));
    let mut judged: BTreeMap<&ObjectKey, Prune> = judged.collect();
    if bug != Some(Bug::DropNeeded) {
        keep_needed(&mut judged, &dropped, desired);
    }
    let mut steps: BTreeMap<Position, Vec<PruneTask>> = BTreeMap::new();
    for (key, entry) in &dropped {
        let (key, sight) = (*key, sight(key, entry));
        let Some(prune) = judged.remove(key) else { continue };
        let owners = match sight {
            Sight::Present(meta) => meta.owner_uids.iter().cloned().collect(),
            Sight::Absent | Sight::Unknown => BTreeSet::new(),
        };
        // Before what needs it: who dies in between still knows why.
        let first = matches!(prune, Prune::Detach(Detach::NeededBy(_)));
        let place = if first { FIRST } else { places.get(key).copied().unwrap_or_default() };
        let (version, data) = (entry.version.clone(), holds_data(key));
        let task = PruneTask { key: key.clone(), version, prune, data, owners };
        steps.entry(place).or_default().push(task);
    }
    let mut steps: Vec<Vec<PruneTask>> = steps.into_values().collect();
    if bug != Some(Bug::DropNeeded) {
        hold_later(&mut steps, &dropped);
    }
    steps
}

/// What is held keeps back what comes later and may be needed by it, and that keeps back what it may need.
fn hold_later(steps: &mut [Vec<PruneTask>], dropped: &BTreeMap<&ObjectKey, &Entry>) {
    let mut keepers = Keepers::default();
    for step in steps {
        for task in step.iter_mut().filter(|task| matches!(task.prune, Prune::Delete { .. })) {
            let Some(entry) = dropped.get(&task.key) else { continue };
            let Some(by) = keepers.keeper(&task.key, entry) else { continue };
            task.prune = Prune::Hold(Hold::MayBeNeededBy(by.clone()));
        }
        for task in step.iter().filter(|task| matches!(task.prune, Prune::Hold(_))) {
            if let Some(entry) = dropped.get(&task.key) {
                keepers.keep(&task.key, entry);
            }
        }
    }
}

/// What stays keeps what it needs: the objects that its author named, and its namespace. What stays for
/// good takes them with it, because its own entry is dropped and nobody would remember why.
fn keep_needed(
    judged: &mut BTreeMap<&ObjectKey, Prune>,
    dropped: &BTreeMap<&ObjectKey, &Entry>,
    desired: &Desired,
) {
    let goes = |prune: Option<&Prune>| matches!(prune, Some(Prune::Delete { .. }));
    for wanted in desired.objects().keys() {
        let namespace: ObjectKey = ObjectParts {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: String::new(),
            name: wanted.namespace.clone(),
        }
        .into();
        if let Some(prune) = judged.get_mut(&namespace).filter(|p| goes(Some(*p))) {
            *prune = Prune::Hold(Hold::NeededBy(wanted.clone()));
        }
    }
    let mut left: Vec<ObjectKey> = judged.keys().map(|key| (*key).clone()).collect();
    // Each object is kept at most once, so this ends.
    while let Some(key) = left.pop() {
        let needed: fn(ObjectKey) -> Prune = match judged.get(&key) {
            Some(Prune::Hold(_)) => |by| Prune::Hold(Hold::NeededBy(by)),
            Some(Prune::Detach(_)) => |by| Prune::Detach(Detach::NeededBy(by)),
            _ => continue,
        };
        let Some(entry) = dropped.get(&key) else { continue };
        for need in &entry.depends_on {
            if let Some(prune) = judged.get_mut(need).filter(|p| goes(Some(*p))) {
                *prune = needed(key.clone());
                left.push(need.clone());
            }
        }
    }
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
            0 => FIRST,
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

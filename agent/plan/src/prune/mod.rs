//! Whether an object that is no longer desired may be deleted: the three proofs.
//!
//! Its uid is the one in the inventory, its ownership label names this App, its tracking id names
//! itself. Each of the three fails in practice: objects are made again by hand, taken over by another
//! App, and copied with all their labels by operators.
//!
//! `keepers` says what has to wait for an object that stays for now, `guard` what is in the way of deleting a
//! container of other objects.

mod keepers;

mod guard;

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ObjectKey};

use crate::gates::is_protected;
use crate::inventory::{Entry, Inventory};
use crate::live::{LiveMeta, Sight};
use crate::order::delete_class;
use crate::seeded::Bug;

pub use guard::{Definition, guard_holds, is_content};
pub use keepers::Keepers;

/// How the API server shall delete what belongs to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// Object first, children after (`propagationPolicy: Background`).
    Background,
    /// Children first (`propagationPolicy: Foreground`): what is deleted next needs the pods gone.
    Foreground,
    /// Children stay (`propagationPolicy: Orphan`): pods and claims outlive the object that is replaced.
    Orphan,
}

/// What must be looked at just before the delete request, because it changes during the prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// The namespace holds nothing but what Kubernetes itself puts there.
    NamespaceEmpty,
    /// The definition has no instance left, of anybody.
    NoInstances,
}

/// Why an entry is dropped and the live object left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forget {
    /// Somebody made it again: another uid.
    Recreated,
    /// Its label names another App, or none.
    Taken(Option<String>),
    /// Its tracking id names another object: its labels were copied.
    CopiedMarks,
    /// We announced a write that never happened: it has our marks, and nothing that we applied.
    NeverWritten,
}

/// Why an object stays, and our marks come off it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detach {
    /// The live object asks to be kept; the annotation.
    AsksToStay(String),
    /// No App may delete it.
    Protected,
    /// It belongs to other objects too, by owner references; their uids.
    OwnedByOthers(Vec<String>),
    /// The App lets everything go and leaves it running.
    Released,
    /// What stays for good needs it: what was named by a dependency, or what the namespace holds.
    NeededBy(ObjectKey),
}

/// Why nothing is done for now; the entry stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Its kind could not be looked at.
    NotSeen,
    /// Our write was never answered, so its uid is not known ([`crate::Inventory::confirm`]).
    Unconfirmed,
    /// The sync had failures, and what failed may still need it.
    AfterFailure,
    /// Its author wants a person to confirm that it goes.
    AwaitsApproval,
    /// It is on its way to this App, which has not taken it yet.
    Leaving(AppName),
    /// What stays for now needs it: what was named by a dependency, or what the namespace holds.
    NeededBy(ObjectKey),
    /// What stays for now may need it: it was applied before that, and is within its reach ([`Keepers`]).
    MayBeNeededBy(ObjectKey),
}

/// What to do with an inventory entry whose object is no longer desired.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prune {
    /// Delete, with this uid as precondition.
    Delete {
        /// `preconditions.uid` of the request.
        uid: String,
        /// `propagationPolicy` of the request.
        spread: Spread,
        /// What to look at just before.
        guard: Option<Guard>,
    },
    /// Is on its way out already; wait for it.
    Deleting {
        /// What holds it.
        finalizers: Vec<String>,
    },
    /// Is gone: drop the entry.
    Gone,
    /// Drop the entry, leave the object alone.
    Forget(Forget),
    /// Take our marks off, then drop the entry.
    Detach(Detach),
    /// Keep the entry, look again later.
    Hold(Hold),
}

/// One prune of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneTask {
    /// Which object.
    pub key: ObjectKey,
    /// Version to address it with.
    pub version: String,
    /// What to do.
    pub prune: Prune,
    /// Whether data of people may go with it: a volume, a claim, or what holds others.
    pub data: bool,
    /// Uids of its owners when it was judged; a new one is a reason to leave it alone.
    pub owners: BTreeSet<String>,
}

/// What a decision about pruning depends on beside the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneContext {
    /// The App whose inventory it is.
    pub app: AppName,
    /// Uids of everything in its inventory: an owner among these is no stranger.
    pub ours: BTreeSet<String>,
    /// Objects whose deletion a person confirmed.
    pub approved: BTreeSet<ObjectKey>,
    /// Objects that another App is about to take over.
    pub leaving: BTreeMap<ObjectKey, AppName>,
    /// Let go instead of deleting.
    pub orphan: bool,
}

impl PruneContext {
    /// Nothing confirmed, nothing handed over.
    pub fn of(inventory: &Inventory) -> PruneContext {
        let uids = inventory.entries().values().filter_map(|entry| entry.uid.clone());
        PruneContext {
            app: inventory.app().clone(),
            ours: uids.collect(),
            approved: BTreeSet::new(),
            leaving: BTreeMap::new(),
            orphan: false,
        }
    }
}

/// Judges one entry that is no longer desired, as it was seen when planning.
pub fn prune_decision(
    key: &ObjectKey,
    entry: &Entry,
    live: Sight<'_>,
    context: &PruneContext,
) -> Prune {
    prune_seeded(key, entry, live, context, None)
}

/// Judges one prune of a plan again, by what was read just before the request. Never does more than
/// was planned: what was to stay stays, whatever it looks like now.
pub fn prune_again(task: &PruneTask, entry: &Entry, live: Sight<'_>, app: &AppName) -> Prune {
    let context = PruneContext {
        app: app.clone(),
        ours: task.owners.clone(),
        approved: BTreeSet::from([task.key.clone()]),
        leaving: BTreeMap::new(),
        orphan: false,
    };
    match (&task.prune, prune_decision(&task.key, entry, live, &context)) {
        (Prune::Delete { spread, .. }, Prune::Delete { uid, guard, .. }) => {
            Prune::Delete { uid, spread: *spread, guard }
        }
        (Prune::Delete { .. }, now) => now,
        (planned, Prune::Delete { .. } | Prune::Detach(_)) => planned.clone(),
        (_, now) => now,
    }
}

/// [`prune_decision`] with a bug on purpose.
pub(crate) fn prune_seeded(
    key: &ObjectKey,
    entry: &Entry,
    live: Sight<'_>,
    context: &PruneContext,
    bug: Option<Bug>,
) -> Prune {
    let meta = match live {
        Sight::Unknown if bug == Some(Bug::StaleIsGone) => return Prune::Gone,
        Sight::Unknown => return Prune::Hold(Hold::NotSeen),
        Sight::Absent => return Prune::Gone,
        Sight::Present(meta) => meta,
    };
    if bug != Some(Bug::NoUidCheck) && entry.uid.as_ref().is_some_and(|uid| *uid != meta.uid) {
        return Prune::Forget(Forget::Recreated);
    }
    if bug != Some(Bug::NoLabelCheck) && meta.owner.as_deref() != Some(context.app.as_str()) {
        return Prune::Forget(Forget::Taken(meta.owner.clone()));
    }
    if bug != Some(Bug::NoIdCheck) && meta.id.as_deref() != Some(&key.id()) {
        return Prune::Forget(Forget::CopiedMarks);
    }
    if bug != Some(Bug::NoUidCheck) && entry.uid.is_none() {
        return match meta.sig {
            Some(_) => Prune::Hold(Hold::Unconfirmed),
            None => Prune::Forget(Forget::NeverWritten),
        };
    }
    if let Some(to) = context.leaving.get(key) {
        return Prune::Hold(Hold::Leaving(to.clone()));
    }
    if meta.deleting {
        return Prune::Deleting { finalizers: meta.finalizers.clone() };
    }
    keep(key, meta, context).unwrap_or_else(|| delete(key, meta))
}

/// What is proven to be ours, and stays all the same.
fn keep(key: &ObjectKey, meta: &LiveMeta, context: &PruneContext) -> Option<Prune> {
    if context.orphan {
        return Some(Prune::Detach(Detach::Released));
    }
    if is_protected(key) {
        return Some(Prune::Detach(Detach::Protected));
    }
    if let Some(annotation) = &meta.keep {
        return Some(Prune::Detach(Detach::AsksToStay(annotation.clone())));
    }
    let strangers = meta.owner_uids.iter().filter(|uid| !context.ours.contains(*uid));
    let strangers: Vec<String> = strangers.cloned().collect();
    if !strangers.is_empty() {
        return Some(Prune::Detach(Detach::OwnedByOthers(strangers)));
    }
    (meta.confirm && !context.approved.contains(key)).then_some(Prune::Hold(Hold::AwaitsApproval))
}

fn delete(key: &ObjectKey, meta: &LiveMeta) -> Prune {
    let guard = match delete_class(key) {
        2 => Some(Guard::NoInstances),
        3 => Some(Guard::NamespaceEmpty),
        _ => None,
    };
    Prune::Delete { uid: meta.uid.clone(), spread: Spread::Background, guard }
}

/// Whether data of people may go with an object.
pub(crate) fn holds_data(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        ("", "PersistentVolume" | "PersistentVolumeClaim" | "Namespace")
            | ("apps", "StatefulSet")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

//! Whether an object that is no longer desired may be deleted: the three proofs.
//!
//! Its uid is the one in the inventory, its ownership label names this App, its tracking id names
//! itself. Each of the three fails in practice: objects are made again by hand, taken over by another
//! App, and copied with all their labels by operators.

use model::{AppName, ObjectKey};

use crate::gates::is_protected;
use crate::inventory::Entry;
use crate::live::{LiveMeta, Sight};
use crate::order::delete_class;
use crate::seeded::Bug;

/// How the API server shall delete what belongs to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// Object first, children after (`propagationPolicy: Background`).
    Background,
    /// Children first (`propagationPolicy: Foreground`): what is deleted next needs the pods gone.
    Foreground,
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
}

/// Why nothing is done for now; the entry stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Its kind could not be looked at.
    NotSeen,
    /// Our write was never answered, so its uid is not known ([`crate::Inventory::confirm`]).
    Unconfirmed,
    /// The sync had failures, and what failed may still need it.
    AfterFailure,
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
}

/// Judges one entry that is no longer desired. `live` as re-read just now or as last seen.
pub fn prune_decision(key: &ObjectKey, entry: &Entry, live: Sight<'_>, app: &AppName) -> Prune {
    prune_seeded(key, entry, live, app, None)
}

/// [`prune_decision`] with a bug on purpose.
pub(crate) fn prune_seeded(
    key: &ObjectKey,
    entry: &Entry,
    live: Sight<'_>,
    app: &AppName,
    bug: Option<Bug>,
) -> Prune {
    let meta = match live {
        Sight::Unknown => return Prune::Hold(Hold::NotSeen),
        Sight::Absent => return Prune::Gone,
        Sight::Present(meta) => meta,
    };
    if bug != Some(Bug::NoUidCheck) && entry.uid.as_ref().is_some_and(|uid| *uid != meta.uid) {
        return Prune::Forget(Forget::Recreated);
    }
    if bug != Some(Bug::NoLabelCheck) && meta.owner.as_deref() != Some(app.as_str()) {
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
    if meta.deleting {
        return Prune::Deleting { finalizers: meta.finalizers.clone() };
    }
    if is_protected(key) {
        return Prune::Detach(Detach::Protected);
    }
    if let Some(annotation) = &meta.keep {
        return Prune::Detach(Detach::AsksToStay(annotation.clone()));
    }
    delete(key, meta)
}

fn delete(key: &ObjectKey, meta: &LiveMeta) -> Prune {
    let guard = match delete_class(key) {
        2 => Some(Guard::NoInstances),
        3 => Some(Guard::NamespaceEmpty),
        _ => None,
    };
    Prune::Delete { uid: meta.uid.clone(), spread: Spread::Background, guard }
}

/// Whether an object counts as content of a namespace that is about to be deleted. What Kubernetes
/// makes by itself, and what goes with an owner, does not.
pub fn is_content(key: &ObjectKey, meta: &LiveMeta) -> bool {
    let own = match (key.group.as_str(), key.kind.as_str()) {
        ("", "ServiceAccount") => key.name == "default",
        ("", "ConfigMap") => key.name == "kube-root-ca.crt",
        ("", "Event" | "Endpoints")
        | ("events.k8s.io", "Event")
        | ("discovery.k8s.io", "EndpointSlice") => true,
        _ => false,
    };
    !own && meta.owner_uids.is_empty() && !meta.deleting
}

//! Whether an object may be deleted in order to be made again, because a field changed that cannot
//! change on a live object.
//!
//! Only when its author asked for it, only when the API server itself showed that the manifest is right
//! and just the change is not ([`crate::probe_verdict`]), and never where data would go with it.

use model::AppName;

use crate::classify::{Class, Failure};
use crate::desired::DesiredObject;
use crate::gates::is_protected;
use crate::inventory::Entry;
use crate::live::LiveMeta;
use crate::prune::Spread;
use crate::seeded::Bug;

/// Kinds that are never replaced: what they hold would go with them.
const NEVER: &[(&str, &str)] = &[
    ("", "Namespace"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recreate {
    /// Leave it as it is; why, for people.
    Refuse(&'static str),
    /// Note it in the inventory, delete with both preconditions, wait until it is gone, create.
    Do {
        /// `preconditions.uid`.
        uid: String,
        /// `preconditions.resourceVersion`: what was judged is what goes.
        resource_version: String,
        /// `propagationPolicy`.
        spread: Spread,
    },
}

/// Judges one object whose update was refused with `failure`. `allowed` is the App's policy; the
/// object's own annotation counts too.
pub fn recreate_decision(
    object: &DesiredObject,
    entry: &Entry,
    meta: &LiveMeta,
    app: &AppName,
    allowed: bool,
    failure: &Failure,
) -> Recreate {
    recreate_seeded((object, entry, meta, app), allowed, failure, None)
}

/// [`recreate_decision`] with a bug on purpose.
pub(crate) fn recreate_seeded(
    (object, entry, meta, app): (&DesiredObject, &Entry, &LiveMeta, &AppName),
    allowed: bool,
    failure: &Failure,
    bug: Option<Bug>,
) -> Recreate {
    let key = &object.key;
    let kind = (key.group.as_str(), key.kind.as_str());
    let refused = bug == Some(Bug::RecreateOnInvalid) && failure.class == Class::Invalid;
    if failure.class != Class::Immutable && !refused {
        return Recreate::Refuse(
            "it is not shown that the manifest is right and only the change is not",
        );
    }
    if NEVER.contains(&kind) || is_protected(key) {
        return Recreate::Refuse(
            "what it holds would go with it; undo the change, or give the new one another name",
        );
    }
    if !allowed && !object.choices.recreate {
        return Recreate::Refuse(
            "nobody allowed it: set `tidegate.dev/recreate: \"true\"` on the object",
        );
    }
    let proven = entry.uid.as_ref() == Some(&meta.uid)
        && meta.owner.as_deref() == Some(app.as_str())
        && meta.id.as_deref() == Some(&key.id());
    if !proven {
        return Recreate::Refuse("it is not proven to be the object that this App applied");
    }
    if meta.keep.is_some() || meta.confirm {
        return Recreate::Refuse("the live object asks not to be deleted");
    }
    if meta.deleting {
        return Recreate::Refuse("it is being deleted already");
    }
    let spread = match kind {
        // Pods and claims stay and are taken over by the new set.
        ("apps", "StatefulSet") => Spread::Orphan,
        _ => Spread::Background,
    };
    Recreate::Do { uid: meta.uid.clone(), resource_version: meta.resource_version.clone(), spread }
}

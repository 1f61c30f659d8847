//! What to do with one desired object: the decision table.

use model::{Adopt, AppName, ObjectKey, Reason};

use super::{Action, Need, OnDrift, Policy, Why};
use crate::conflict::{Owner, owner_of};
use crate::desired::DesiredObject;
use crate::drift::{Drift, drift};
use crate::health::Until;
use crate::inventory::Entry;
use crate::live::{LiveMeta, Sight};
use crate::seeded::Bug;

/// What all decisions of one plan share.
pub(super) struct Judge<'a> {
    pub(super) app: &'a AppName,
    pub(super) policy: &'a Policy,
    pub(super) bug: Option<Bug>,
}

/// The decision for one desired object.
pub(super) fn decide(
    object: &DesiredObject,
    live: Sight<'_>,
    entry: Option<&Entry>,
    judge: &Judge<'_>,
) -> Action {
    let Judge { app, policy, bug } = *judge;
    let meta = match live {
        Sight::Unknown if bug == Some(Bug::StaleIsGone) => return absent(object, entry, policy),
        Sight::Unknown => return Action::NotSeen,
        Sight::Absent => return absent(object, entry, policy),
        Sight::Present(meta) => meta,
    };
    if let Some(owner) = meta.owner.as_deref().filter(|owner| *owner != app.as_str()) {
        return owned(object, meta, owner, policy);
    }
    if object.choices.once && !meta.deleting {
        return Action::NoOp;
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

/// There, and another App's.
fn owned(object: &DesiredObject, meta: &LiveMeta, owner: &str, policy: &Policy) -> Action {
    let handed = policy.take_from.get(&object.key).or(object.choices.transfer_from.as_ref());
    let from = handed.filter(|from| from.as_str() == owner);
    match from {
        Some(from) if !meta.deleting => {
            Action::Apply { why: Why::Transfer(from.clone()), uid: Some(meta.uid.clone()) }
        }
        _ => Action::Conflict {
            reason: Reason::OwnedByAnotherApp,
            message: format!("{} belongs to App `{owner}`", object.key),
        },
    }
}

/// Not there.
fn absent(object: &DesiredObject, entry: Option<&Entry>, policy: &Policy) -> Action {
    let Some(entry) = entry else { return Action::Apply { why: Why::Create, uid: None } };
    // Deleted by us, to replace it: its absence is half of our own work and no drift.
    if entry.recreating.is_some() {
        return Action::Apply { why: Why::Recreate, uid: None };
    }
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
        .find(|m| matches!(owner_of(m), Owner::DeliveryTool | Owner::AnotherApp))
        .map(|manager| format!("it is managed by `{manager}`"));
    let tool = tool.or_else(|| marked(object, meta));
    let adopt = object.choices.adopt.unwrap_or(policy.adopt);
    let refusal = match (adopt, tool) {
        (Adopt::Never, _) => {
            let allow = "`tidegate.dev/adopt: if-unowned` on the object turns it on";
            Some(format!("it exists already and adoption is off; {allow}"))
        }
        (Adopt::IfUnowned | Adopt::IfIdentical, Some(tool)) => {
            let allow = "`tidegate.dev/adopt: always` on the object takes it over";
            Some(format!("{tool}; {allow}"))
        }
        (Adopt::IfUnowned | Adopt::IfIdentical, None) | (Adopt::Always, _) => None,
    };
    match refusal {
        Some(why) => Action::Conflict {
            reason: Reason::ExistsUnowned,
            message: format!("{} was not touched: {why}", object.key),
        },
        None if entry.is_some_and(|e| e.uid.is_some()) => {
            Action::Apply { why: Why::Drift(Drift::Recreated), uid }
        }
        None if adopt == Adopt::IfIdentical => Action::Compare { uid: meta.uid.clone() },
        None => Action::Apply { why: Why::Adopt, uid },
    }
}

/// By which mark another delivery tool calls it its own. A mark that the desired object carries as well
/// came with a copied manifest.
fn marked(object: &DesiredObject, meta: &LiveMeta) -> Option<String> {
    let wanted = |map: &str, name: &str| object.body.get("metadata")?.get(map)?.get(name)?.as_str();
    let mark = meta.marks.iter().find(|m| wanted(m.map, m.name) != Some(m.value.as_str()))?;
    let kind = mark.map.trim_end_matches('s');
    Some(format!("its {kind} `{}: {}` says that another tool delivers it", mark.name, mark.value))
}

/// What must hold before an object is applied.
pub(super) fn needs(object: &DesiredObject) -> Vec<Need> {
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

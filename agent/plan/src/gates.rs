//! Catches before a sync: what looks like an accident waits for a person.

use std::collections::BTreeSet;
use std::fmt;

use model::{Epoch, ObjectKey, Reason};
use serde::{Deserialize, Serialize};

use crate::desired::Desired;
use crate::inventory::Inventory;
use crate::seeded::Bug;

/// How many objects a message names.
const NAMED_MAX: usize = 5;

/// Namespaces without which there is no cluster.
pub(crate) const SYSTEM_NAMESPACES: &[&str] =
    &["kube-system", "kube-public", "kube-node-lease", "default"];

/// Which catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Gate {
    /// The new set is empty and the inventory is not.
    EmptySet,
    /// The new set drops every namespace of the App while some hold objects.
    NamespaceWipe,
    /// The new set drops more objects at once than an honest change does.
    MassPrune,
    /// The set holds, or drops, an object that no App may touch.
    Protected,
    /// The cluster is not the one that this agent was enrolled for: it was cloned or restored.
    ForeignCluster,
}

/// A catch that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub gate: Gate,
    /// As reported.
    pub reason: Reason,
    /// What and how much, for people.
    pub message: String,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gate::EmptySet => "empty set",
            Gate::NamespaceWipe => "namespace wipe",
            Gate::MassPrune => "mass prune",
            Gate::Protected => "protected object",
            Gate::ForeignCluster => "foreign cluster",
        })
    }
}

/// Gates that a person opened, for one grant and no other: what was right for this release says
/// nothing about the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overrides {
    /// The grant that the person looked at.
    pub epoch: Epoch,
    /// What they opened.
    pub gates: BTreeSet<Gate>,
}

impl Overrides {
    /// The gates that are open at `epoch`: none at any other than the one that was looked at.
    pub fn at(&self, epoch: Epoch) -> BTreeSet<Gate> {
        if self.epoch == epoch { self.gates.clone() } else { BTreeSet::new() }
    }
}

/// From which size on a prune is "mass": more objects than the one and a larger share than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// A prune set up to this size never is: small Apps lose half their objects in honest changes.
    pub mass_objects: usize,
    /// Share of the inventory, in percent, that may go at once.
    pub mass_percent: usize,
}

impl Default for GateLimits {
    fn default() -> GateLimits {
        GateLimits { mass_objects: 10, mass_percent: 30 }
    }
}

/// What the gates look at.
#[derive(Debug, Clone, Copy)]
pub struct GateInput<'a> {
    /// The new set.
    pub desired: &'a Desired,
    /// What the App has.
    pub inventory: &'a Inventory,
    /// Namespaces known to hold objects.
    pub occupied: &'a BTreeSet<String>,
    /// Gates that are open for exactly this grant ([`Overrides::at`]).
    pub open: &'a BTreeSet<Gate>,
    /// Limits of the mass prune.
    pub limits: GateLimits,
    /// Uid of the `kube-system` namespace when the agent was enrolled, and now. `None` when one of
    /// them is not known.
    pub cluster: Option<(&'a str, &'a str)>,
}

/// Which catches hold. `occupied` are namespaces known to hold objects; `overrides` are the gates that
/// a person opened for exactly this grant epoch.
pub fn gates(
    desired: &Desired,
    inventory: &Inventory,
    occupied: &BTreeSet<String>,
    overrides: &BTreeSet<Gate>,
) -> Result<(), Vec<Blocked>> {
    let limits = GateLimits::default();
    gates_with(&GateInput { desired, inventory, occupied, open: overrides, limits, cluster: None })
}

/// [`gates`] with limits of one's own and the identity of the cluster.
pub fn gates_with(input: &GateInput<'_>) -> Result<(), Vec<Blocked>> {
    gates_seeded(input, None)
}

/// [`gates_with`] with a bug on purpose.
pub(crate) fn gates_seeded(input: &GateInput<'_>, bug: Option<Bug>) -> Result<(), Vec<Blocked>> {
    let GateInput { desired, inventory, .. } = input;
    let dropped: Vec<&ObjectKey> =
        inventory.entries().keys().filter(|key| desired.get(key).is_none()).collect();
    let mut blocked = Vec::new();
    blocked.extend(input.cluster.and_then(foreign_cluster));
    blocked.extend(protected(desired, &dropped));
    if desired.objects().is_empty() && !inventory.entries().is_empty() {
        if bug != Some(Bug::PruneOnEmpty) {
            blocked.push(empty_set(inventory));
        }
    } else {
        blocked.extend(mass_prune(&dropped, inventory.entries().len(), input.limits));
    }
    blocked.extend(namespace_wipe(desired, inventory, input.occupied));
    blocked.retain(|b| !input.open.contains(&b.gate));
    if blocked.is_empty() { Ok(()) } else { Err(blocked) }
}

/// A cluster that was cloned or restored carries our state, and its objects only look like ours.
fn foreign_cluster((enrolled, present): (&str, &str)) -> Option<Blocked> {
    (enrolled != present).then(|| Blocked {
        gate: Gate::ForeignCluster,
        reason: Reason::ClusterReplaced,
        message: format!(
            "the namespace `kube-system` has uid {present}, this agent was enrolled for {enrolled}: \
             the cluster was cloned, restored or made again; nothing was changed"
        ),
    })
}

fn empty_set(inventory: &Inventory) -> Blocked {
    Blocked {
        gate: Gate::EmptySet,
        reason: Reason::EmptySetBlocked,
        message: format!(
            "the release has no object, the cluster runs {} of `{}`; nothing was changed",
            inventory.entries().len(),
            inventory.app()
        ),
    }
}

fn mass_prune(dropped: &[&ObjectKey], total: usize, limits: GateLimits) -> Option<Blocked> {
    let mass =
        dropped.len() > limits.mass_objects && dropped.len() * 100 > total * limits.mass_percent;
    mass.then(|| Blocked {
        gate: Gate::MassPrune,
        reason: Reason::MassPruneBlocked,
        message: format!(
            "the release would delete {} of {total} objects: {}; nothing was changed",
            dropped.len(),
            named(dropped)
        ),
    })
}

fn namespace_wipe(
    desired: &Desired,
    inventory: &Inventory,
    occupied: &BTreeSet<String>,
) -> Option<Blocked> {
    let is_namespace = |key: &&ObjectKey| key.group.is_empty() && key.kind == "Namespace";
    let held: Vec<&ObjectKey> = inventory.entries().keys().filter(is_namespace).collect();
    let keeps_one = held.iter().any(|key| desired.get(key).is_some());
    let full: Vec<&ObjectKey> =
        held.iter().filter(|key| occupied.contains(&key.name)).copied().collect();
    (!keeps_one && !full.is_empty()).then(|| Blocked {
        gate: Gate::NamespaceWipe,
        reason: Reason::NamespaceWipeBlocked,
        message: format!(
            "the release drops all {} namespaces of the App, and {} still hold objects: {}",
            held.len(),
            full.len(),
            named(&full)
        ),
    })
}

fn protected(desired: &Desired, dropped: &[&ObjectKey]) -> Option<Blocked> {
    let local = |key: &ObjectKey| {
        let body = desired.get(key).map(|o| &o.body);
        body.is_some_and(|b| b.pointer("/spec/service").is_none_or(serde_json::Value::is_null))
    };
    let touched: Vec<&ObjectKey> = desired
        .objects()
        .keys()
        .chain(dropped.iter().copied())
        .filter(|key| is_protected(key) || (key.kind == "APIService" && local(key)))
        .collect();
    (!touched.is_empty()).then(|| Blocked {
        gate: Gate::Protected,
        reason: Reason::ProtectedBlocked,
        message: format!("the release touches {}, which no App may touch", named(&touched)),
    })
}

/// Objects without which there is no cluster.
pub(crate) fn is_protected(key: &ObjectKey) -> bool {
    let core = key.group.is_empty() && key.namespace.is_empty();
    core && (key.kind == "Node"
        || (key.kind == "Namespace" && SYSTEM_NAMESPACES.contains(&key.name.as_str())))
}

/// The first few, and how many more.
fn named(keys: &[&ObjectKey]) -> String {
    let mut text =
        keys.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if keys.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", keys.len() - NAMED_MAX));
    }
    text
}

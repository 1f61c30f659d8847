//! What a change of the repository would do to the fleet, before it is merged.
//!
//! Clusters that get the same change are one group: 412 clusters and three lines are read once. Values of
//! Secrets never appear.

mod sketch;
mod diff;

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ClusterName, ClusterUid, Digest, Reason};
use serde::Serialize;

use crate::{
    app::App,
    apps::{self, Found},
    diagnostic::Diagnostic,
    fleet::FleetCluster,
    kit::Kit,
    place::{Placement, place},
    release::{Rendered, Variants},
    tree::Tree,
};

pub use diff::{Change, ChangeKind};

/// All that a change would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// Clusters in the fleet that was asked about.
    pub clusters: usize,
    /// Apps for which something changes.
    pub apps: Vec<AppChange>,
    /// Faults that belong to no App.
    pub diagnostics: Vec<Diagnostic>,
}

/// What changes for one App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppChange {
    /// Its name.
    pub app: AppName,
    /// Its targets after the change.
    pub clusters: usize,
    /// Clusters that get the same change, the largest group first.
    pub groups: Vec<Group>,
    /// Clusters that are selected and were not.
    pub joining: Vec<ClusterName>,
    /// Clusters that were selected and are not; they keep what they run.
    pub leaving: Vec<ClusterName>,
    /// The waves in which it would go out.
    pub waves: Vec<WaveChange>,
    /// Why it cannot go out, policy included: clusters keep what they run.
    pub faults: Vec<Diagnostic>,
    /// What is to be known beside that.
    pub notes: Vec<Diagnostic>,
    /// The App is no longer in the repository; clusters keep what they run.
    pub removed: bool,
}

/// Clusters that get the same change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Who.
    pub clusters: Vec<ClusterName>,
    /// What.
    pub changes: Vec<Change>,
}

/// A wave and what holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveChange {
    /// Its name.
    pub name: String,
    /// Clusters of the wave.
    pub clusters: usize,
    /// How many of them change.
    pub changing: usize,
    /// What must hold before the next.
    pub gates: Vec<String>,
}

impl Preview {
    /// Whether anything at all would happen.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.diagnostics.is_empty()
    }

    /// Every fault.
    pub fn faults(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().chain(self.apps.iter().flat_map(|app| &app.faults))
    }
}

/// Compares two states of a repository over a fleet.
pub fn preview(
    kit: &Kit<'_>,
    base: &dyn Tree,
    head: &dyn Tree,
    clusters: &[FleetCluster],
    only: Option<&AppName>,
) -> Preview {
    let before = apps::apps(base);
    let Found { apps: mut after, diagnostics, refused } = apps::apps(head);
    let mut all = Preview { clusters: clusters.len(), diagnostics, ..Preview::default() };
    if refused {
        return all;
    }
    let names: BTreeSet<AppName> = before.apps.keys().chain(after.keys()).cloned().collect();
    for name in names.into_iter().filter(|name| only.is_none_or(|only| only == name)) {
        let old = before.apps.get(&name).and_then(|app| app.as_ref().ok());
        let change = match after.remove(&name) {
            Some(Ok(new)) => one(kit, (old, base), (&new, head), clusters),
            Some(Err(faults)) => Some(AppChange { faults, ..nothing(&name) }),
            None => Some(AppChange { removed: true, ..nothing(&name) }),
        };
        all.apps.extend(change);
    }
    all
}

fn nothing(app: &AppName) -> AppChange {
    AppChange {
        app: app.clone(),
        clusters: 0,
        groups: Vec::new(),
        joining: Vec::new(),
        leaving: Vec::new(),
        waves: Vec::new(),
        faults: Vec::new(),
        notes: Vec::new(),
        removed: false,
    }
}

/// One App that is there afterwards; `None` when nothing changes for it.
fn one(
    kit: &Kit<'_>,
    (old, base): (Option<&App>, &dyn Tree),
    (new, head): (&App, &dyn Tree),
    clusters: &[FleetCluster],
) -> Option<AppChange> {
    if old == Some(new) && sketch::untouched(kit, new, (base, head), clusters) {
        return None;
    }
    let before = old.map(|old| place(kit, old, base, clusters)).unwrap_or_default();
    let after = place(kit, new, head, clusters);
    let mut change = nothing(&new.name);
    change.clusters = after.targets.len();
    change.faults.clone_from(&after.faults);
    let selected: BTreeSet<&ClusterUid> = before.targets.iter().map(|c| &c.uid).collect();
    let selects: BTreeSet<&ClusterUid> = after.targets.iter().map(|c| &c.uid).collect();
    let missing = |of: &[&FleetCluster], from: &BTreeSet<&ClusterUid>| -> Vec<ClusterName> {
        of.iter().filter(|c| !from.contains(&c.uid)).map(|c| c.name.clone()).collect()
    };
    if old.is_some() {
        change.joining = missing(&after.targets, &selected);
        change.leaving = missing(&before.targets, &selects);
    }
    if before.variants.faults.is_empty() {
        change.groups = groups(&before.variants, &after);
    } else {
        let message = "the state before cannot be rendered, so what changes cannot be told";
        let note = Diagnostic::warning(Reason::ToolFailed, &new.file, message);
        change.notes.push(note.hint("look at the faults of the state before with `tidegate lint`"));
    }
    // A fault that was there before is no change; it is told by `lint`.
    let same_faults = change.faults == before.faults;
    let moved = !change.joining.is_empty() || !change.leaving.is_empty();
    let touched = old.is_none() || moved || !change.groups.is_empty() || !same_faults;
    if !touched {
        return None;
    }
    change.notes.extend(after.variants.rendered.values().flat_map(|r| r.notes.iter().cloned()));
    change.notes.sort();
    change.notes.dedup();
    change.waves = waves(&after, &change.groups);
    Some(change)
}

fn groups(before: &Variants, after: &Placement<'_>) -> Vec<Group> {
    type Pair = (Option<Digest>, Digest);
    let mut pairs: BTreeMap<Pair, Vec<ClusterName>> = BTreeMap::new();
    for cluster in &after.targets {
        let Some(new) = after.variants.by_cluster.get(&cluster.uid) else { continue };
        let old = before.by_cluster.get(&cluster.uid);
        if old != Some(new) {
            pairs.entry((old.copied(), *new)).or_default().push(cluster.name.clone());
        }
    }
    let mut merged: BTreeMap<Vec<Change>, Vec<ClusterName>> = BTreeMap::new();
    for ((old, new), clusters) in pairs {
        let side = |of: &BTreeMap<Digest, Rendered>, digest: Option<Digest>| {
            digest.and_then(|digest| of.get(&digest).cloned())
        };
        let old = side(&before.rendered, old);
        let Some(new) = side(&after.variants.rendered, Some(new)) else { continue };
        merged.entry(diff::changes(old.as_ref(), &new)).or_default().extend(clusters);
    }
    let mut groups: Vec<Group> = merged
        .into_iter()
        .map(|(changes, mut clusters)| {
            clusters.sort();
            Group { clusters, changes }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.clusters.len()));
    groups
}

fn waves(after: &Placement<'_>, groups: &[Group]) -> Vec<WaveChange> {
    let changing: BTreeSet<&ClusterName> = groups.iter().flat_map(|g| &g.clusters).collect();
    let one = |(spec, members): &(rollout::WaveSpec, Vec<&FleetCluster>)| {
        let settings = &spec.settings;
        let mut gates = vec![format!("max in flight {}", settings.max_in_flight)];
        gates.push(format!("max failures {}", settings.max_failures));
        if !settings.soak.is_zero() {
            let soak = jiff::SignedDuration::try_from(settings.soak).unwrap_or_default();
            gates.push(format!("soak {soak:#}"));
        }
        WaveChange {
            name: spec.name.to_string(),
            clusters: members.len(),
            changing: members.iter().filter(|c| changing.contains(&c.name)).count(),
            gates,
        }
    };
    after.waves.iter().map(one).collect()
}

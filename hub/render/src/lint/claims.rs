//! Two Apps that claim one object on one cluster would undo each other's work for ever.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ClusterName, Manifest, ObjectKey, Reason};
use rollout::Targets;

use super::overlap::{self, Overlap};
use crate::{app::App, diagnostic::Diagnostic, limits};

/// Clusters named in one fault; the others are counted.
const NAMED_MAX: usize = 3;

/// Objects of one pair of Apps that are named each; more help nobody.
const OBJECTS_PER_PAIR_MAX: usize = 5;

/// Who claims what, and where.
#[derive(Default)]
pub(super) struct Claims {
    /// With a fleet: the clusters on which an App holds an object.
    on: BTreeMap<ObjectKey, BTreeMap<AppName, BTreeSet<ClusterName>>>,
    /// Without one: the Apps that may hold an object.
    somewhere: BTreeMap<ObjectKey, BTreeSet<AppName>>,
    apps: BTreeMap<AppName, (String, Targets)>,
}

impl Claims {
    /// An App holds these objects on a cluster.
    pub(super) fn on(&mut self, app: &App, cluster: &ClusterName, manifest: &Manifest) {
        self.know(app);
        for entry in manifest.entries() {
            let holders = self.on.entry(entry.key.clone()).or_default();
            holders.entry(app.name.clone()).or_default().insert(cluster.clone());
        }
    }

    /// An App may hold these objects on some of its clusters.
    pub(super) fn somewhere(&mut self, app: &App, manifest: &Manifest) {
        self.know(app);
        for entry in manifest.entries() {
            self.somewhere.entry(entry.key.clone()).or_default().insert(app.name.clone());
        }
    }

    fn know(&mut self, app: &App) {
        if !self.apps.contains_key(&app.name) {
            self.apps.insert(app.name.clone(), (app.file.clone(), app.targets.clone()));
        }
    }

    /// A fault for every object that two Apps claim.
    pub(super) fn faults(&self) -> Vec<Diagnostic> {
        let mut found: BTreeMap<(&AppName, &AppName), Vec<Diagnostic>> = BTreeMap::new();
        for (key, holders) in self.on.iter().filter(|(_, holders)| holders.len() > 1) {
            for ((one, here), (other, there)) in pairs(holders.iter()) {
                let both: Vec<_> = here.intersection(there).collect();
                if !both.is_empty() {
                    let places = format!("on {}", named(&both));
                    found
                        .entry((one, other))
                        .or_default()
                        .push(self.fault(key, one, other, &places));
                }
            }
        }
        let mut known: BTreeMap<(&AppName, &AppName), Overlap> = BTreeMap::new();
        for (key, holders) in self.somewhere.iter().filter(|(_, holders)| holders.len() > 1) {
            for (one, other) in pairs(holders.iter()) {
                let overlap = known.entry((one, other)).or_insert_with(|| self.overlap(one, other));
                let fault = match overlap {
                    Overlap::Never => continue,
                    Overlap::On(example) => {
                        self.fault(key, one, other, &format!("on every cluster with {example}"))
                    }
                    Overlap::Maybe => {
                        let fault = self.fault(key, one, other, "wherever both are selected");
                        Diagnostic { severity: crate::diagnostic::Severity::Warning, ..fault }
                    }
                };
                found.entry((one, other)).or_default().push(fault);
            }
        }
        let shown = found.into_values().flat_map(|f| f.into_iter().take(OBJECTS_PER_PAIR_MAX));
        shown.take(limits::DIAGNOSTICS_MAX).collect()
    }

    fn overlap(&self, one: &AppName, other: &AppName) -> Overlap {
        match (self.apps.get(one), self.apps.get(other)) {
            (Some((_, one)), Some((_, other))) => overlap::overlap(one, other),
            _ => Overlap::Maybe,
        }
    }

    fn fault(&self, key: &ObjectKey, one: &AppName, other: &AppName, places: &str) -> Diagnostic {
        let file = self.apps.get(other).map_or("apps", |(file, _)| file.as_str());
        let message = format!("App `{other}` and App `{one}` both hold {key} {places}");
        Diagnostic::error(Reason::ObjectClaimedTwice, file, message)
    }
}

/// Every pair, the earlier first.
fn pairs<'a, T: Copy + 'a>(
    items: impl Iterator<Item = T> + Clone + 'a,
) -> impl Iterator<Item = (T, T)> + 'a {
    items
        .clone()
        .enumerate()
        .flat_map(move |(at, one)| items.clone().skip(at + 1).map(move |other| (one, other)))
}

fn named(clusters: &[&ClusterName]) -> String {
    let list: Vec<_> = clusters.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match clusters.len().saturating_sub(NAMED_MAX) {
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

//! Everything that can be said about a repository before a hub sees it.

use std::collections::BTreeMap;

use model::{ClusterName, ClusterUid, Facts, Labels, Reason};
use rollout::ClusterObs;

use crate::{
    app::App,
    apps::{self, Found},
    diagnostic::Diagnostic,
    release::{self, render_all},
    tree::Tree,
};

/// A cluster to check against, as the hub knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetCluster {
    /// Its identity.
    pub uid: ClusterUid,
    /// Its name.
    pub name: ClusterName,
    /// Its labels.
    pub labels: Labels,
    /// What its agent says of it.
    pub facts: Facts,
}

/// Checks a repository without a fleet: every App, and every folder that its path can lead to.
pub fn lint(tree: &dyn Tree) -> Vec<Diagnostic> {
    check(tree, |app| variants(app, tree))
}

/// Checks a repository against a fleet: what each cluster would run, and in which wave.
pub fn lint_fleet(tree: &dyn Tree, clusters: &[FleetCluster]) -> Vec<Diagnostic> {
    check(tree, |app| {
        let mut faults = variants(app, tree);
        faults.extend(plan(app, tree, clusters));
        faults
    })
}

fn check(tree: &dyn Tree, mut one: impl FnMut(&App) -> Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Found { apps, mut diagnostics, .. } = apps::apps(tree);
    for app in apps.into_values() {
        match app {
            Ok(app) => diagnostics.extend(one(&app)),
            Err(faults) => diagnostics.extend(faults),
        }
    }
    diagnostics.sort();
    diagnostics.dedup();
    diagnostics
}

/// Renders every folder that the App's path can lead to.
fn variants(app: &App, tree: &dyn Tree) -> Vec<Diagnostic> {
    let folders = |path: &str| match apps::folders(tree, path) {
        Ok(names) => Ok(names),
        Err(crate::walk::Lost::NotFound(_)) => Ok(Vec::new()),
        Err(lost) => Err(lost.fault(Reason::VariantMissing)),
    };
    let paths = match app.path.every(app.folder(), folders) {
        Ok(paths) => paths,
        Err(fault) => return vec![fault],
    };
    if paths.is_empty() {
        let message = format!("no folder fits `spec.source.path` `{}`", app.path);
        let fault = Diagnostic::error(Reason::VariantMissing, &app.file, message);
        return vec![fault.at(app.path_at).hint("add a folder for each value of the label")];
    }
    let rendered = paths.iter().map(|path| release::folder(app, tree, path));
    rendered.flat_map(|result| result.map_or_else(|faults| faults, |done| done.notes)).collect()
}

fn plan(app: &App, tree: &dyn Tree, clusters: &[FleetCluster]) -> Vec<Diagnostic> {
    let fault = |reason, message: String| Diagnostic::error(reason, &app.file, message);
    let mut targets = Vec::new();
    for cluster in clusters {
        match app.targets.selects(&cluster.labels, &cluster.facts) {
            Ok(true) => targets.push(cluster),
            Ok(false) => {}
            Err(error) => {
                let message = format!("for cluster {}: {error}", cluster.name);
                return vec![fault(Reason::AppInvalid, message)];
            }
        }
    }
    let variants = render_all(app, tree, targets.iter().map(|c| (&c.uid, &c.name, &c.labels)));
    if !variants.faults.is_empty() {
        return variants.faults;
    }
    let seen: BTreeMap<ClusterUid, ClusterObs> = targets.iter().map(|c| observed(c)).collect();
    let fresh = rollout::App::new(app.name.clone());
    let digests = variants.by_cluster.into();
    match rollout::plan(&fresh, &app.targets, &app.strategy, &digests, &seen) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|f| fault(f.reason, f.message)).collect(),
    }
}

fn observed(cluster: &FleetCluster) -> (ClusterUid, ClusterObs) {
    let observed = ClusterObs {
        name: cluster.name.clone(),
        labels: cluster.labels.clone(),
        facts: cluster.facts.clone(),
        connected: false,
        last_heard: None,
        report: None,
        deleted: false,
        cordon: None,
        pin: None,
        busy: 0,
    };
    (cluster.uid.clone(), observed)
}

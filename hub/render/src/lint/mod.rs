//! Everything that can be said about a repository before a hub sees it.

mod claims;
mod gates;
mod overlap;

use std::collections::BTreeSet;

use model::Reason;

use crate::{
    app::App,
    apps::{self, Found},
    diagnostic::Diagnostic,
    fleet::FleetCluster,
    kit::Kit,
    place::place,
    recipe, release,
    tree::Tree,
};
use claims::Claims;
use gates::Waits;
pub use gates::circular;

/// Checks a repository without a fleet: every App, and every folder that its path can lead to. A wave that waits
/// for a blocker which is not among those that the hub knows is a fault, when these are given.
pub fn lint(
    kit: &Kit<'_>,
    tree: &dyn Tree,
    blockers: Option<&BTreeSet<String>>,
) -> Vec<Diagnostic> {
    let mut claims = Claims::default();
    let mut waits = Waits::default();
    let mut faults = check(tree, |app| {
        waits.learn(app);
        variants(kit, app, tree, &mut claims)
    });
    faults.extend(claims.faults());
    faults.extend(waits.circle());
    if blockers.is_some() {
        faults.extend(waits.unproduced(blockers));
    }
    sorted(faults)
}

/// Checks a repository against a fleet: what each cluster would run, and in which wave.
pub fn lint_fleet(
    kit: &Kit<'_>,
    tree: &dyn Tree,
    blockers: Option<&BTreeSet<String>>,
    clusters: &[FleetCluster],
) -> Vec<Diagnostic> {
    let mut claims = Claims::default();
    let mut waits = Waits::default();
    let mut faults = check(tree, |app| {
        waits.learn(app);
        let mut faults = variants(kit, app, tree, &mut Claims::default());
        faults.extend(plan(kit, app, tree, clusters, &mut claims));
        faults
    });
    faults.extend(claims.faults());
    faults.extend(waits.circle());
    faults.extend(waits.unproduced(blockers));
    faults.extend(waits.elsewhere());
    sorted(faults)
}

fn check(tree: &dyn Tree, mut one: impl FnMut(&App) -> Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Found { apps, mut diagnostics, .. } = apps::apps(tree);
    for app in apps.into_values() {
        match app {
            Ok(app) => diagnostics.extend(one(&app)),
            Err(faults) => diagnostics.extend(faults),
        }
    }
    diagnostics
}

fn sorted(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort();
    diagnostics.dedup();
    diagnostics
}

/// Renders every folder that the App's path can lead to.
fn variants(kit: &Kit<'_>, app: &App, tree: &dyn Tree, claims: &mut Claims) -> Vec<Diagnostic> {
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
    let mut faults = Vec::new();
    for path in &paths {
        // What depends on more than the folder is for a check with a fleet.
        let Some(recipe) = recipe::without_cluster(app, path) else { continue };
        match release::one(kit, app, tree, &recipe) {
            Ok(done) => {
                claims.somewhere(app, &done.manifest);
                if let Some(policy) = kit.policy {
                    faults.extend(policy.check(kit.source, app, &done.objects, &[]));
                }
                faults.extend(done.notes);
            }
            Err(more) => faults.extend(more),
        }
    }
    faults
}

fn plan(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    clusters: &[FleetCluster],
    claims: &mut Claims,
) -> Vec<Diagnostic> {
    let placed = place(kit, app, tree, clusters);
    for cluster in &placed.targets {
        if let Some(rendered) = placed.variants.of(&cluster.uid) {
            claims.on(app, &cluster.name, &rendered.manifest);
        }
    }
    placed.faults
}

//! From files to releases, as a person who keeps a fleet repository meets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]
#![expect(clippy::format_collect, reason = "texts of tests are short")]

mod corpus;
mod app;
mod objects;
mod bounds;
mod variants;
mod links;
mod repository;
mod choices;
mod claims;
mod gates;
mod policy;
mod preview;
mod import;

use std::collections::BTreeMap;

use model::{AppName, ClusterName, ClusterUid, Facts, Labels, Reason};
use render::{App, Diagnostic, FleetCluster, Kit, MemoryTree, Rendered, Tree};

/// An `app.yaml` that takes every cluster and reads `path`.
fn app_yaml(path: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\nspec:\n  \
         source: {{path: \"{path}\"}}\n  targets: {{select: \"true\"}}\n"
    )
}

fn app(path: &str) -> App {
    render::parse_app("apps/web/app.yaml", &app_yaml(path)).unwrap()
}

/// A repository with one App whose manifests are in `m/`.
fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let tree = MemoryTree::new().file("apps/web/app.yaml", app_yaml("m"));
    files.iter().fold(tree, |tree, (name, text)| tree.file(&format!("apps/web/m/{name}"), *text))
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\n")
}

fn rendered(tree: &MemoryTree) -> Result<Rendered, Vec<Diagnostic>> {
    rendered_for(&app("m"), tree, &Labels::new())
}

/// Renders for a cluster with these labels, without tools.
fn rendered_for(app: &App, tree: &dyn Tree, labels: &Labels) -> Result<Rendered, Vec<Diagnostic>> {
    let (uid, name) = cluster(0);
    let cluster = FleetCluster { uid, name, labels: labels.clone(), facts: Facts::Null };
    render::render(&Kit::plain(), app, tree, (&cluster).into())
}

fn lint(tree: &dyn Tree) -> Vec<Diagnostic> {
    render::lint(&Kit::plain(), tree, None)
}

fn lint_fleet(tree: &dyn Tree, clusters: &[FleetCluster]) -> Vec<Diagnostic> {
    render::lint_fleet(&Kit::plain(), tree, None, clusters)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn cluster(number: usize) -> (ClusterUid, ClusterName) {
    let uid = ClusterUid::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    (uid, ClusterName::parse(&format!("k{number}")).unwrap())
}

fn reasons(faults: &[Diagnostic]) -> Vec<Reason> {
    faults.iter().map(|fault| fault.reason).collect()
}

fn texts(faults: &[Diagnostic]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// The Apps that were found, by name, as names of reasons or `ok`.
fn overview(apps: &BTreeMap<AppName, Result<App, Vec<Diagnostic>>>) -> Vec<(String, String)> {
    let word = |app: &Result<App, Vec<Diagnostic>>| match app {
        Ok(_) => "ok".to_owned(),
        Err(faults) => faults[0].reason.code().to_owned(),
    };
    apps.iter().map(|(name, app)| (name.to_string(), word(app))).collect()
}

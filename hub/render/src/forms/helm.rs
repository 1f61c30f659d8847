//! `helm template`: a chart of this repository, its values, and what of its output goes to the clusters.

use model::Reason;

use super::{
    closure::{Closure, relative},
    dependencies::{self, is_packed},
    hooks,
};
use crate::{
    app::{App, HelmSettings},
    diagnostic::{Diagnostic, Position},
    guard::{Guard, stands},
    kit::Kit,
    limits,
    objects::Objects,
    recipe::{Chart, Recipe, ValuesPart},
    template_calls as calls,
    tools::{Job, Tool},
    tree::Tree,
    walk::{self, Place, PlaceKind},
    yaml::{self, clip},
};

/// Where the chart stands for the tool.
const CHART: &str = "chart";

pub(super) fn objects(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    recipe: &Recipe,
    settings: &HelmSettings,
    notes: &mut Vec<Diagnostic>,
) -> Result<Objects, Vec<Diagnostic>> {
    let path = recipe.path.as_str();
    let mut closure = Closure::default();
    closure.folder(tree, path, CHART)?;
    dependencies::bring(kit.charts, tree, path, CHART, &mut closure)?;
    let twice = templates(&closure, path, settings)?;
    let chart = recipe.chart.clone().unwrap_or_else(|| Chart::of(app));
    let mut arguments = vec!["template".to_owned(), chart.release.clone(), format!("./{CHART}")];
    arguments.extend(["--namespace".to_owned(), chart.namespace.clone()]);
    if settings.include_crds {
        arguments.push("--include-crds".to_owned());
    }
    if let Some(version) = &chart.kube_version {
        arguments.extend(["--kube-version".to_owned(), version.clone()]);
    }
    for api in &settings.api_versions {
        if stands(Guard::Options) {
            arguments.push(format!("--api-versions={api}"));
        } else {
            arguments.push(api.clone());
        }
    }
    for (number, part) in chart.values.iter().enumerate() {
        let (name, bytes) = match part {
            ValuesPart::File(file) => {
                let bytes = values_file(app, tree, path, file, settings.at)?;
                (format!("values/{number}-file.yaml"), bytes)
            }
            ValuesPart::Inline(json) => {
                (format!("values/{number}-inline.json"), json.clone().into_bytes())
            }
        };
        closure.put(&name, bytes);
        arguments.extend(["--values".to_owned(), name]);
    }
    let mut job = Job::new(Tool::Helm, arguments);
    job.files = closure.files;
    job.twice = twice && stands(Guard::Random);
    let file = walk::join(path, "Chart.yaml");
    let output = kit.tools.run(&job).map_err(|error| {
        let fault = error.fault(Tool::Helm, &file);
        let message = fault.message.replace(&format!("{CHART}/"), &format!("{path}/"));
        vec![Diagnostic { message, ..fault }]
    })?;
    read(app, path, &chart, &output, notes)
}

/// Takes the output apart: objects, hooks and what is left out.
fn read(
    app: &App,
    path: &str,
    chart: &Chart,
    output: &[u8],
    notes: &mut Vec<Diagnostic>,
) -> Result<Objects, Vec<Diagnostic>> {
    let shown = |text: &str| {
        let source = text.lines().find_map(|line| line.strip_prefix("# Source: "));
        match source.and_then(|source| source.trim().split_once('/')) {
            Some((_, below)) => walk::join(path, below),
            None => walk::join(path, "Chart.yaml"),
        }
    };
    let mut objects = Objects::of_output(!app.plain_secrets);
    let mut seen = hooks::Notes::default();
    for (file, mut node) in yaml::documents_of(output, shown)? {
        if hooks::mapped(&mut node, &file, &mut seen) {
            hooks::settle(&mut node, &chart.namespace);
            objects.take(&file, &node);
        }
    }
    notes.extend(seen.into_list());
    Ok(objects)
}

/// A file with values: beside the chart, or else beside the `app.yaml`.
fn values_file(
    app: &App,
    tree: &dyn Tree,
    chart: &str,
    file: &str,
    at: Position,
) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let fault = |message: String| {
        if !stands(Guard::Values) {
            return Ok(Vec::new());
        }
        let fault = Diagnostic::error(Reason::PathMissing, &app.file, message).at(at);
        Err(vec![fault.hint("correct the path, or add the file")])
    };
    for folder in [chart, app.folder()] {
        let Some(path) = relative(folder, file) else { continue };
        match walk::resolve(tree, &path) {
            Ok(Place { real, kind: PlaceKind::File { .. } }) => {
                return tree.read(&real).map_err(|error| vec![walk::tree_fault(&error)]);
            }
            Ok(_) | Err(walk::Lost::NotFound(_)) => {}
            Err(lost) => return Err(vec![lost.fault(Reason::PathMissing)]),
        }
    }
    if relative(chart, file).is_none() {
        return fault(format!("values file `{}` leaves the repository", clip(file)));
    }
    let places = if chart == app.folder() {
        format!("`{chart}`")
    } else {
        format!("`{chart}` or `{}`", app.folder())
    };
    fault(format!("values file `{}` is not in {places}", clip(file)))
}

/// Looks into the templates: refuses a look into the cluster, tells whether two runs could differ.
fn templates(
    closure: &Closure,
    path: &str,
    settings: &HelmSettings,
) -> Result<bool, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let mut twice = false;
    for (file, bytes) in &closure.files {
        // A packed chart is not opened: two runs tell as much.
        twice |= is_packed(file);
        if !file.contains("/templates/") {
            continue;
        }
        let text = String::from_utf8_lossy(bytes);
        for call in calls::calls(&text) {
            twice |= calls::CHANGING.contains(&call.name);
            if call.name == "lookup" && !settings.empty_lookup && stands(Guard::Lookup) {
                let shown = format!("{path}{}", file.strip_prefix(CHART).unwrap_or(file));
                let message = "`lookup` asks the cluster, and there is none while rendering";
                let at = Position { line: call.line, column: 1 };
                let hint = "write `helm: {lookup: empty}` when the chart works without an answer";
                let fault = Diagnostic::error(Reason::RenderForbidden, &shown, message);
                faults.push(fault.at(at).hint(hint));
            }
        }
        if faults.len() >= limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok(twice) } else { Err(faults) }
}

//! What makes objects of the files of a folder: nothing, Kustomize or Helm, and patches on top.
//!
//! The tools are the real ones, so that what people see by hand is what is rendered. They see the files that
//! the folder reaches and nothing else; what reaches further is refused here, with its place, before any
//! program runs.

mod helm;
mod hooks;
mod kustomize;
mod patches;
mod plain;
mod dependencies;
mod lock;
mod closure;

use model::Reason;

use crate::{
    app::{App, Form, HelmSettings},
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    kit::Kit,
    objects::Objects,
    recipe::Recipe,
    tree::Tree,
    walk,
};

/// Names under which Kustomize looks for its file.
pub(crate) const KUSTOMIZATIONS: &[&str] =
    &["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Renders one variant into objects.
pub(crate) fn objects(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    recipe: &Recipe,
) -> Result<(Objects, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut notes = Vec::new();
    let objects = match detect(app, tree, &recipe.path)? {
        Detected::Plain => plain::objects(app, tree, &recipe.path)?,
        Detected::Kustomize => kustomize::objects(kit, app, tree, &recipe.path)?,
        Detected::Helm(settings) => helm::objects(kit, app, tree, recipe, &settings, &mut notes)?,
    };
    let objects = if recipe.patches.is_empty() || !objects.faults.is_empty() {
        objects
    } else {
        patches::patched(kit, app, tree, recipe, &objects)?
    };
    Ok((objects, notes))
}

/// Whether rendering an App runs a tool, told cheaply: a wrong guess costs nothing but its place in a queue.
pub fn wants_tools(app: &App, tree: &dyn Tree) -> bool {
    if app.overrides.iter().any(|one| !one.patches.is_empty()) {
        return true;
    }
    let Some(path) = crate::apps::some_path(app, tree) else { return false };
    !matches!(detect(app, tree, &path), Ok(Detected::Plain) | Err(_))
}

/// What the folder is for.
pub(crate) enum Detected {
    Plain,
    Kustomize,
    Helm(Box<HelmSettings>),
}

pub(crate) fn detect(app: &App, tree: &dyn Tree, path: &str) -> Result<Detected, Vec<Diagnostic>> {
    let place = walk::resolve(tree, path)
        .map_err(|lost| plain::missing(app, path, vec![lost.fault(Reason::PathMissing)]))?;
    let names: Vec<String> = match tree.list(&place.real) {
        Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
        // It is a file; the walk of plain files says so.
        Err(_) => return Ok(Detected::Plain),
    };
    let chart = names.iter().any(|name| name == "Chart.yaml");
    let kustomization = names.iter().any(|name| KUSTOMIZATIONS.contains(&name.as_str()));
    let fault = |what: &str, hint: &str| {
        let message = format!("`spec.source.{what}` is set, but `{path}` holds no such thing");
        let fault = Diagnostic::error(Reason::AppInvalid, &app.file, message);
        Err(vec![fault.at(app.path_at).hint(hint)])
    };
    if !stands(Guard::Form) {
        return Ok(Detected::Plain);
    }
    match (&app.form, chart, kustomization) {
        (Form::Helm(settings), true, _) => Ok(Detected::Helm(settings.clone())),
        (Form::Helm(_), false, _) => fault("helm", "point `path` to the folder of `Chart.yaml`"),
        (Form::Kustomize, _, true) | (Form::Detected, false, true) => Ok(Detected::Kustomize),
        (Form::Kustomize, _, false) => {
            fault("kustomize", "point `path` to the folder of `kustomization.yaml`")
        }
        (Form::Plain, _, _) | (Form::Detected, false, false) => Ok(Detected::Plain),
        (Form::Detected, true, false) => {
            Ok(Detected::Helm(Box::new(HelmSettings::at(app.path_at))))
        }
        (Form::Detected, true, true) => {
            let message = format!("`{path}` holds both `Chart.yaml` and a kustomization");
            let fault = Diagnostic::error(Reason::AppInvalid, &app.file, message).at(app.path_at);
            Err(vec![fault.hint("write `helm: {}` or `kustomize: {}` below `spec.source`")])
        }
    }
}

//! Patches of overrides, on top of whatever rendered the objects, by Kustomize: strategic merge and JSON
//! patches then mean what they mean everywhere else.

use model::Reason;
use serde_json::json;

use super::closure::relative;
use crate::{
    app::App,
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    kit::Kit,
    objects::Objects,
    recipe::Recipe,
    tools::{Job, Tool},
    tree::Tree,
    walk::{self, Place, PlaceKind},
    yaml,
};

pub(super) fn patched(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    recipe: &Recipe,
    objects: &Objects,
) -> Result<Objects, Vec<Diagnostic>> {
    let mut patches = Vec::new();
    let mut faults = Vec::new();
    for patch in &recipe.patches {
        let text = match &patch.file {
            Some(file) => read(app, tree, file),
            None => Ok(patch.inline.clone().unwrap_or_default()),
        };
        match text {
            Ok(text) => {
                let mut entry = json!({"patch": text});
                if let Some(target) =
                    patch.target.as_deref().and_then(|t| serde_json::from_str(t).ok())
                {
                    let target: serde_json::Value = target;
                    entry["target"] = target;
                }
                patches.push(entry);
            }
            Err(fault) if stands(Guard::Patches) => faults.push(fault),
            Err(_) => {}
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut job = Job::new(Tool::Kustomize, vec!["build".to_owned(), ".".to_owned()]);
    let kustomization = json!({"resources": ["objects.yaml"], "patches": patches});
    let files = [
        ("kustomization.yaml", kustomization.to_string().into_bytes()),
        ("objects.yaml", objects.stream()),
    ];
    job.files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
    let output = kit.tools.run(&job).map_err(|e| {
        let fault = e.fault(Tool::Kustomize, &app.file);
        vec![
            Diagnostic { message: format!("`spec.overrides`: {}", fault.message), ..fault }
                .at(recipe.patches_at),
        ]
    })?;
    let mut after = Objects::of_output(!app.plain_secrets);
    match yaml::documents(&app.file, &output) {
        Ok(documents) => documents.iter().for_each(|node| after.take(&app.file, node)),
        Err(faults) => after.faults.extend(faults),
    }
    Ok(after)
}

fn read(app: &App, tree: &dyn Tree, file: &str) -> Result<String, Diagnostic> {
    let fault = |message: String| {
        Diagnostic::error(Reason::PathMissing, &app.file, format!("`spec.overrides`: {message}"))
    };
    let path = relative(app.folder(), file)
        .ok_or_else(|| fault(format!("patch `{file}` leaves the repository")))?;
    match walk::resolve(tree, &path) {
        Ok(Place { real, kind: PlaceKind::File { .. } }) => {
            let bytes = tree.read(&real).map_err(|error| walk::tree_fault(&error))?;
            String::from_utf8(bytes).map_err(|_| fault(format!("patch `{path}` is not UTF-8 text")))
        }
        Ok(_) => Err(fault(format!("patch `{path}` is not a file"))),
        Err(walk::Lost::NotFound(_)) => {
            Err(fault(format!("patch `{path}` does not exist in this commit")))
        }
        Err(lost) => Err(lost.fault(Reason::PathMissing)),
    }
}

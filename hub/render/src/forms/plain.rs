//! Plain YAML: the files are the objects.

use model::Reason;

use super::KUSTOMIZATIONS;
use crate::{
    app::App,
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    limits,
    objects::Objects,
    tree::Tree,
    walk::{self, Found},
    yaml::{self, Node},
};

pub(super) fn objects(app: &App, tree: &dyn Tree, path: &str) -> Result<Objects, Vec<Diagnostic>> {
    let found = walk::files(tree, path).map_err(|faults| missing(app, path, faults))?;
    // Nearly always there is nothing to say, and then nobody asks where anything stands.
    let quick = yaml::with_stack(|| collected(app, tree, path, &found, yaml::unplaced));
    match quick {
        Ok(quick) if quick.faults.is_empty() && quick.notes.is_empty() => Ok(quick),
        Ok(_) | Err(_) => yaml::with_stack(|| collected(app, tree, path, &found, yaml::documents)),
    }
}

/// Reads the documents of a file.
type Reader = fn(&str, &[u8]) -> Result<Vec<Node>, Vec<Diagnostic>>;

fn collected(
    app: &App,
    tree: &dyn Tree,
    path: &str,
    found: &[Found],
    documents: Reader,
) -> Result<Objects, Vec<Diagnostic>> {
    let mut objects = Objects::of_files(!app.plain_secrets);
    let mut bytes = 0;
    for file in found {
        match sort(app, file) {
            Sort::Skip => continue,
            Sort::Refuse(fault) => {
                objects.faults.push(fault);
                continue;
            }
            Sort::Manifest => {}
        }
        bytes +=
            usize::try_from(file.bytes).unwrap_or(usize::MAX).min(limits::RELEASE_BYTES_MAX + 1);
        if bytes > limits::RELEASE_BYTES_MAX {
            let size = limits::RELEASE_BYTES_MAX >> 20;
            let message = format!("the manifests have more than {size} MiB from here on");
            objects.faults.push(Diagnostic::error(Reason::RenderTooLarge, &file.shown, message));
            break;
        }
        read(tree, file, documents, &mut objects);
        if objects.faults.len() >= limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    if objects.is_empty() && objects.faults.is_empty() {
        let message = format!("`{path}` holds no object in a `.yaml`, `.yml` or `.json` file");
        let fault = Diagnostic::error(Reason::RenderEmpty, &app.file, message).at(app.path_at);
        return Err(vec![fault]);
    }
    Ok(objects)
}

/// The folder itself is missing: the place to look is the `app.yaml`.
pub(super) fn missing(app: &App, path: &str, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let reason = if app.path.is_fixed() { Reason::PathMissing } else { Reason::VariantMissing };
    let point = |fault: Diagnostic| {
        if fault.reason != Reason::PathMissing {
            return fault;
        }
        let what = if fault.file == path { "it" } else { fault.file.as_str() };
        let message = match what {
            "it" => format!("folder `{path}` does not exist in this commit"),
            _ => format!("folder `{path}`: `{what}` does not exist in this commit"),
        };
        Diagnostic::error(reason, &app.file, message).at(app.path_at)
    };
    faults.into_iter().map(point).collect()
}

enum Sort {
    Manifest,
    Skip,
    Refuse(Diagnostic),
}

fn sort(app: &App, file: &Found) -> Sort {
    let name = file.shown.rsplit('/').next().unwrap_or_default();
    let refuse = |what: &str| {
        let message = format!("{what}, and stands below a folder of plain manifests");
        let hint = "point `source.path` of an App to that folder, or move it elsewhere";
        let fault = Diagnostic::error(Reason::ObjectInvalid, &file.shown, message);
        Sort::Refuse(fault.hint(hint))
    };
    let dot = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match name {
        _ if file.real == app.file => Sort::Skip,
        "Chart.yaml" if !stands(Guard::Form) => Sort::Skip,
        _ if KUSTOMIZATIONS.contains(&name) => refuse("the folder is for Kustomize"),
        "Chart.yaml" => refuse("the folder is a Helm chart"),
        _ if ["yaml", "yml", "json"].contains(&dot.to_ascii_lowercase().as_str()) => Sort::Manifest,
        _ => Sort::Skip,
    }
}

fn read(tree: &dyn Tree, file: &Found, documents: Reader, objects: &mut Objects) {
    let bytes = match tree.read(&file.real) {
        Ok(bytes) => bytes,
        Err(error) => return objects.faults.push(walk::tree_fault(&error)),
    };
    match documents(&file.shown, &bytes) {
        Ok(documents) => documents.iter().for_each(|node| objects.take(&file.shown, node)),
        Err(faults) => objects.faults.extend(faults),
    }
}

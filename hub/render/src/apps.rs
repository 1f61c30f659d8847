//! Which Apps a commit holds: every `apps/NAME/app.yaml`.
//!
//! A broken App never hides the others. That an App is not in the list is no decision to delete it.

use std::collections::BTreeMap;

use model::{AppName, Reason};

use crate::{
    app::{self, App},
    diagnostic::Diagnostic,
    limits,
    settings::{self, Settings},
    tree::Tree,
    walk::{self, Lost, Place, PlaceKind},
};

/// The folder whose folders are Apps.
const APPS: &str = "apps";

/// What a commit holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Every App, or what is wrong with it.
    pub apps: BTreeMap<AppName, Result<App, Vec<Diagnostic>>>,
    /// Faults that belong to no App.
    pub diagnostics: Vec<Diagnostic>,
    /// The commit as a whole is refused, or could not be read: `apps` is not the whole list, so nothing
    /// of this commit may be used and no App counts as removed.
    pub refused: bool,
}

/// Finds and reads the Apps of a commit.
pub fn apps(tree: &dyn Tree) -> Found {
    let mut found = Found::default();
    let settings = settings::read(tree).unwrap_or_else(|faults| {
        found.diagnostics.extend(faults);
        found.refused = true;
        Settings::default()
    });
    let names = match folders(tree, APPS) {
        Ok(names) => names,
        Err(Lost::NotFound(_)) => {
            let message = "the folder does not exist in this commit, so there is no App";
            let hint = "put each App into `apps/NAME/app.yaml`";
            let fault = Diagnostic::warning(Reason::PathMissing, APPS, message).hint(hint);
            found.diagnostics.push(fault);
            return found;
        }
        Err(lost) => {
            found.diagnostics.push(lost.fault(Reason::PathMissing));
            found.refused = true;
            return found;
        }
    };
    for (count, folder) in names.iter().enumerate() {
        if count == limits::APPS_MAX {
            let message = format!("more than {} Apps", limits::APPS_MAX);
            found.diagnostics.push(Diagnostic::error(Reason::RenderTooLarge, APPS, message));
            found.refused = true;
            break;
        }
        one(tree, folder, &settings, &mut found);
    }
    found
}

/// A folder that the path of an App can lead to.
pub(crate) fn some_path(app: &App, tree: &dyn Tree) -> Option<String> {
    let every = app.path.every(app.folder(), |path| folders(tree, path).or(Err(())));
    every.ok()?.into_iter().next()
}

/// Names of the folders in a folder, links followed, hidden ones left out.
pub(crate) fn folders(tree: &dyn Tree, folder: &str) -> Result<Vec<String>, Lost> {
    let place = walk::resolve(tree, folder)?;
    if place.kind != PlaceKind::Dir {
        return Err(Lost::NotFound(folder.to_owned()));
    }
    let mut names = Vec::new();
    for entry in tree.list(&place.real)? {
        use crate::tree::EntryKind::{Dir, File, Link, Submodule};
        let is_dir = match entry.kind {
            Dir => true,
            File | Submodule => false,
            Link { .. } => {
                let path = walk::join(&place.real, &entry.name);
                matches!(walk::resolve(tree, &path), Ok(Place { kind: PlaceKind::Dir, .. }))
            }
        };
        if is_dir && !entry.name.starts_with('.') {
            names.push(entry.name);
        }
    }
    names.sort();
    Ok(names)
}

fn one(tree: &dyn Tree, folder: &str, settings: &Settings, found: &mut Found) {
    let file = format!("{APPS}/{folder}/app.yaml");
    let read = match walk::resolve(tree, &file) {
        Ok(Place { real, kind: PlaceKind::File { .. } }) => {
            tree.read(&real).map_err(|error| walk::tree_fault(&error))
        }
        Ok(_) | Err(Lost::NotFound(_)) => {
            found.diagnostics.extend(without(tree, folder));
            return;
        }
        Err(lost) => Err(lost.fault(Reason::PathMissing)),
    };
    let name = match AppName::parse(folder) {
        Ok(name) => name,
        Err(error) => {
            let fault = Diagnostic::error(Reason::AppInvalid, &file, error.to_string());
            found
                .diagnostics
                .push(fault.hint("rename the folder; until then this App is not read"));
            return;
        }
    };
    let app = read.map_err(|fault| vec![fault]).and_then(|bytes| match String::from_utf8(bytes) {
        Ok(text) => app::parse_app(&file, &text),
        Err(_) => {
            Err(vec![Diagnostic::error(Reason::YamlInvalid, &file, "the file is not UTF-8 text")])
        }
    });
    let app = app.map(|mut app| {
        app.asked.health.splice(..0, settings.health.iter().cloned());
        app
    });
    found.apps.insert(name, app);
}

/// A folder of Apps that holds no App is most likely a slip, and one that nobody would notice. A name that
/// no App can have, such as `_shared`, is for what Apps share.
fn without(tree: &dyn Tree, folder: &str) -> Option<Diagnostic> {
    let path = format!("{APPS}/{folder}");
    let other = format!("{path}/app.yml");
    if walk::resolve(tree, &other).is_ok() {
        let message = "it is not read: the file of an App is called `app.yaml`";
        return Some(Diagnostic::error(Reason::AppInvalid, &other, message).hint("rename it"));
    }
    AppName::parse(folder).ok()?;
    let message = "there is no `app.yaml` in this folder, so nothing of it is deployed";
    let fault = Diagnostic::error(Reason::AppInvalid, &path, message);
    let nested = folders(tree, &path)
        .unwrap_or_default()
        .into_iter()
        .find(|inner| walk::resolve(tree, &format!("{path}/{inner}/app.yaml")).is_ok());
    Some(match nested {
        Some(inner) => fault.hint(format!("move `{inner}` up, below `{APPS}`: Apps do not nest")),
        None => fault.hint("add one, or begin the folder's name with `_` when Apps share it"),
    })
}

//! `kustomize build`: finds all that a kustomization reaches, refuses what leads out, runs the tool.

use std::collections::BTreeSet;

use model::Reason;

use super::{
    KUSTOMIZATIONS,
    closure::{Closure, relative},
};
use crate::{
    app::App,
    diagnostic::{Diagnostic, Position},
    guard::{Guard, stands},
    kit::Kit,
    limits,
    objects::Objects,
    secrets,
    tools::{Job, Tool},
    tree::Tree,
    walk::{self, Place, PlaceKind},
    yaml::{self, Node, Value, clip},
};

/// Fields that name folders or files.
const REACHES: &[&str] =
    &["resources", "bases", "components", "generators", "transformers", "validators", "crds"];

/// Fields that make Kustomize run Helm, which would fetch charts.
const RUNS_HELM: &[&str] = &["helmCharts", "helmChartInflationGenerator", "helmGlobals"];

/// Names that begin a remote address without a scheme.
const HOSTS: &[&str] = &["github.com", "gitlab.com", "bitbucket.org", "git@", "git::", "gh:"];

pub(super) fn objects(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    path: &str,
) -> Result<Objects, Vec<Diagnostic>> {
    let mut reach =
        Reach { tree, closure: Closure::default(), seen: BTreeSet::new(), faults: Vec::new() };
    reach.all(path);
    if !reach.faults.is_empty() {
        return Err(reach.faults);
    }
    let file = reach.file(path).map_or_else(|| path.to_owned(), |(name, _)| name);
    let mut job = Job::new(Tool::Kustomize, vec!["build".to_owned(), here(path)]);
    for (guard, option) in [
        (Guard::Root, "--load-restrictor=LoadRestrictionsNone"),
        (Guard::Plugins, "--enable-alpha-plugins"),
    ] {
        if !stands(guard) {
            job.arguments.push(option.to_owned());
        }
    }
    job.files = reach.closure.files.clone();
    let output = kit.tools.run(&job).map_err(|e| vec![e.fault(Tool::Kustomize, &file)])?;
    let mut objects = Objects::of_output(!app.plain_secrets);
    match yaml::documents(&file, &output) {
        Ok(documents) => documents.iter().for_each(|node| objects.take(&file, node)),
        Err(faults) => objects.faults.extend(faults),
    }
    secrets::place(&mut objects.faults, &reach.closure.files);
    Ok(objects)
}

/// The folder as an argument: it can never be taken for an option.
fn here(path: &str) -> String {
    format!("./{path}")
}

struct Reach<'a> {
    tree: &'a dyn Tree,
    closure: Closure,
    seen: BTreeSet<String>,
    faults: Vec<Diagnostic>,
}

impl Reach<'_> {
    /// Every folder that the one at `path` reaches.
    fn all(&mut self, path: &str) {
        let mut open = vec![path.to_owned()];
        while let Some(folder) = open.pop() {
            if !self.seen.insert(folder.clone()) {
                continue;
            }
            if self.seen.len() > limits::BASES_MAX {
                let message = format!("it reaches more than {} folders", limits::BASES_MAX);
                self.faults.push(Diagnostic::error(Reason::RenderTooLarge, path, message));
                return;
            }
            if let Err(faults) = self.closure.folder(self.tree, &folder, &folder) {
                self.faults.extend(faults);
                return;
            }
            open.extend(self.folder(&folder));
            if self.faults.len() >= limits::DIAGNOSTICS_MAX {
                return;
            }
        }
    }

    /// Name and text of a folder's kustomization.
    fn file(&self, folder: &str) -> Option<(String, Vec<u8>)> {
        let paths = KUSTOMIZATIONS.iter().map(|name| walk::join(folder, name));
        paths.into_iter().find_map(|path| {
            let bytes = self.closure.files.get(&path)?.to_vec();
            Some((path, bytes))
        })
    }

    /// Checks one folder; the folders that it reaches.
    fn folder(&mut self, folder: &str) -> Vec<String> {
        let Some((file, bytes)) = self.file(folder) else {
            let message = "there is no `kustomization.yaml` in this folder";
            let fault = Diagnostic::error(Reason::PathMissing, folder, message);
            self.faults.push(fault.hint("add one, or name the files one by one"));
            return Vec::new();
        };
        let documents = match yaml::documents(&file, &bytes) {
            Ok(documents) => documents,
            Err(faults) => {
                self.faults.extend(faults);
                return Vec::new();
            }
        };
        let mut next = Vec::new();
        for document in &documents {
            self.forbidden(&file, document);
            for field in REACHES {
                let Some(Value::List(items)) = document.get(field).map(|node| &node.value) else {
                    continue;
                };
                for item in items {
                    next.extend(self.entry(&file, folder, field, item));
                }
            }
            let configurations = document.get("configurations").map(|node| &node.value);
            if let Some(Value::List(items)) = configurations {
                for item in items {
                    drop(self.entry(&file, folder, "configurations", item));
                }
            }
        }
        next
    }

    fn forbidden(&mut self, file: &str, document: &Node) {
        for field in RUNS_HELM.iter().filter(|_| stands(Guard::Charts)) {
            if let Some(node) = document.get(field) {
                let message = format!("`{field}` makes Kustomize fetch and run a chart");
                let hint = "make the chart an App of its own, or commit what it renders";
                self.refuse(file, node.at, message, hint);
            }
        }
    }

    /// One entry that names a folder or file: the folder, when it is one.
    fn entry(&mut self, file: &str, folder: &str, field: &str, item: &Node) -> Option<String> {
        let text = item.text()?;
        // Generators may stand in the file itself.
        if text.contains('\n') {
            if function(text) {
                self.function(file, item.at);
            }
            return None;
        }
        let path = relative(folder, text);
        let lost = path.as_ref().is_some_and(|path| walk::resolve(self.tree, path).is_err());
        if (remote(text) && !stands(Guard::Remote))
            || (path.is_none() && !stands(Guard::Outside))
            || (lost && !(stands(Guard::Present) && stands(Guard::Links)))
        {
            return None;
        }
        let place = path.as_ref().map(|path| (path, walk::resolve(self.tree, path)));
        match place {
            Some((path, Ok(Place { kind: PlaceKind::Dir, .. }))) => Some(path.clone()),
            Some((path, Ok(Place { kind: PlaceKind::File { .. }, real }))) => {
                if ["generators", "transformers", "validators"].contains(&field) {
                    let bytes = self.tree.read(&real).unwrap_or_default();
                    if function(&String::from_utf8_lossy(&bytes)) {
                        self.function(path, Position { line: 1, column: 1 });
                    }
                }
                None
            }
            _ if remote(text) => {
                let message = format!("`{field}` names `{}`, which lies outside", clip(text));
                let hint = "commit a copy of it and name that; rendering fetches nothing";
                self.refuse(file, item.at, message, hint);
                None
            }
            None => {
                let message =
                    format!("`{field}` names `{}`, which leaves the repository", clip(text));
                self.refuse(file, item.at, message, "name a path inside this repository");
                None
            }
            Some((_, Err(walk::Lost::NotFound(_)) | Ok(_))) => {
                let message = format!("`{field}` names `{}`, which does not exist", clip(text));
                let fault = Diagnostic::error(Reason::PathMissing, file, message).at(item.at);
                self.faults.push(fault.hint("correct the path, or add the file"));
                None
            }
            Some((_, Err(lost))) => {
                self.faults.push(lost.fault(Reason::PathMissing));
                None
            }
        }
    }

    fn function(&mut self, file: &str, at: Position) {
        if !stands(Guard::Functions) {
            return;
        }
        let message = "it is a function: a program or container that would run while rendering";
        self.refuse(file, at, message.to_owned(), "commit what the function makes");
    }

    fn refuse(&mut self, file: &str, at: Position, message: String, hint: &str) {
        self.faults
            .push(Diagnostic::error(Reason::RenderForbidden, file, message).at(at).hint(hint));
    }
}

/// Whether a generator or transformer is a program.
fn function(text: &str) -> bool {
    ["config.kubernetes.io/function", "config.k8s.io/function"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Whether a name that is no path of the repository is an address.
fn remote(text: &str) -> bool {
    text.contains("://")
        || text.contains("?ref=")
        || text.contains("//")
        || HOSTS.iter().any(|host| text.starts_with(host))
}

//! From the files of other tools to `apps/*/app.yaml`, and a report of what did not map.
//!
//! Reading rules of Argo CD, Flux and Rancher Fleet live here and nowhere else: the engine knows one kind of App.
//! What cannot be said in an `app.yaml` is reported with its place and what to do, never dropped in silence. Every file that
//! is made is read back by the parser before it is handed out.
//!
//! Deliberately absent: anything that asks a cluster or a network.

mod argo;
mod flux;
mod fleet;
mod draft;
mod labels;

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Reason};
use serde::Serialize;

use crate::{
    app,
    diagnostic::{Diagnostic, Position},
    limits,
    tree::Tree,
    walk,
    yaml::{self, Node, Value, clip},
};
use draft::Draft;

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `Application` and `ApplicationSet` of Argo CD.
    ArgoCd,
    /// `Kustomization` and `HelmRelease` of Flux.
    Flux,
    /// `fleet.yaml` and `GitRepo` of Rancher Fleet.
    Fleet,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Files to write, by path from the root of the repository.
    pub files: BTreeMap<String, String>,
    /// Commands that give clusters the labels that the Apps select by.
    pub commands: BTreeSet<String>,
    /// What did not map, or means something else now.
    pub report: Vec<Diagnostic>,
    /// Objects or files of the other tool that were read.
    pub read: usize,
}

/// Reads the files of another tool in a repository.
pub fn import(origin: Origin, tree: &dyn Tree) -> Imported {
    let mut import = Import { tree, origin, out: Imported::default(), taken: BTreeMap::new() };
    let found = match walk::files(tree, "") {
        Ok(found) => found,
        Err(faults) => {
            import.out.report = faults;
            return import.out;
        }
    };
    let mut objects = Vec::new();
    for file in found.iter().filter(|file| is_yaml(&file.shown)) {
        let Ok(bytes) = tree.read(&file.real) else { continue };
        if !import.concerns(&file.shown, &bytes) {
            continue;
        }
        match yaml::documents(&file.shown, &bytes) {
            Ok(nodes) => objects.extend(nodes.into_iter().map(|node| (file.shown.clone(), node))),
            Err(faults) => import.out.report.extend(faults.into_iter().take(1).map(|fault| {
                let message = format!("not imported: {}", fault.message);
                Diagnostic { message, ..fault }
            })),
        }
    }
    match origin {
        Origin::ArgoCd => argo::read(&mut import, &objects),
        Origin::Flux => flux::read(&mut import, &objects),
        Origin::Fleet => fleet::read(&mut import, &objects),
    }
    import.out.report.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    import.out.report.dedup();
    import.out
}

fn is_yaml(path: &str) -> bool {
    [".yaml", ".yml"].iter().any(|end| path.ends_with(end))
}

/// An object of the other tool, where it stands.
type Object = (String, Node);

struct Import<'a> {
    tree: &'a dyn Tree,
    origin: Origin,
    out: Imported,
    /// Which Apps are made already, and of what.
    taken: BTreeMap<AppName, String>,
}

impl Import<'_> {
    /// Whether a file could hold something of the other tool; templates and manifests are not even parsed.
    fn concerns(&self, path: &str, bytes: &[u8]) -> bool {
        let marks: &[&str] = match self.origin {
            Origin::ArgoCd => &["argoproj.io/"],
            Origin::Flux => &["toolkit.fluxcd.io/"],
            Origin::Fleet => &["fleet.cattle.io/"],
        };
        let text = String::from_utf8_lossy(bytes);
        let own = self.origin == Origin::Fleet && path.rsplit('/').next() == Some("fleet.yaml");
        own || marks.iter().any(|mark| text.contains(mark))
    }

    /// Something that did not map, or means something else now.
    fn note(&mut self, file: &str, at: Position, message: impl Into<String>, hint: &str) {
        if self.out.report.len() < limits::DIAGNOSTICS_MAX * 10 {
            let note = Diagnostic::warning(Reason::NotImported, file, message);
            self.out.report.push(note.at(at).hint(hint));
        }
    }

    /// A note for each field that is not among the known ones; `hints` says more about some.
    fn rest(
        &mut self,
        file: &str,
        path: &str,
        node: Option<&Node>,
        known: &[&str],
        hints: &[(&str, &str)],
    ) {
        let Some(Node { value: Value::Map(entries), .. }) = node else { return };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let hint = hints.iter().find(|(key, _)| *key == entry.key).map_or(
                "look whether the App needs it; nothing in an `app.yaml` says the same",
                |(_, hint)| hint,
            );
            let message = format!("`{path}.{}` is not imported", clip(&entry.key));
            self.note(file, entry.at, message, hint);
        }
    }

    /// Puts a draft among the files, unless its name is taken or what it says is refused.
    fn add(&mut self, file: &str, at: Position, draft: Draft) {
        let name = draft.name.clone();
        if let Some(first) = self.taken.get(&name).cloned() {
            let message = format!("App `{name}` is not written: {first} makes one of that name");
            return self.note(file, at, message, "rename one of the two");
        }
        let path = format!("apps/{name}/app.yaml");
        if self.tree.read(&path).is_ok() {
            let message = format!("`{path}` is there already and stays as it is");
            return self.note(file, at, message, "remove it to import it anew");
        }
        let text = draft.text(&format!("{file}:{}", at.line));
        if let Err(faults) = app::parse_app(&path, &text) {
            for fault in faults {
                let message = format!("App `{name}` is not written: {}", fault.message);
                self.note(file, at, message, fault.hint.as_deref().unwrap_or("write it by hand"));
            }
            return;
        }
        self.taken.insert(name, format!("{file}:{}", at.line));
        self.out.files.insert(path, text);
        self.out.files.extend(draft.beside);
        self.out.commands.extend(draft.commands);
    }

    /// A name that an App can have.
    fn name(&mut self, file: &str, at: Position, text: &str) -> Option<AppName> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let text: String = text.chars().map(plain).collect();
        let parts: Vec<_> = text.split('-').filter(|part| !part.is_empty()).collect();
        let short: String = parts.join("-").chars().take(63).collect();
        let name = AppName::parse(short.trim_matches('-'));
        if name.is_err() {
            self.note(file, at, "nothing in its name can name an App", "give it a name of letters");
        }
        name.ok()
    }

    /// Whether the repository has a folder or file of this path.
    fn has(&self, path: &str) -> bool {
        walk::resolve(self.tree, path).is_ok()
    }
}

/// The text at a path of keys.
fn text<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    at(node, path)?.text()
}

fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

fn list(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { value: Value::List(items), .. }) => items,
        Some(_) | None => &[],
    }
}

fn is(node: &Node, path: &[&str], wanted: bool) -> bool {
    at(node, path).is_some_and(|node| node.value == Value::Bool(wanted))
}

/// A path from the folder of `apps/NAME/app.yaml` to one from the root.
fn from_app(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() || path == "." { "../..".to_owned() } else { format!("../../{path}") }
}

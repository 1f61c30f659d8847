//! From documents to Kubernetes objects: each has a kind and a name, none stands twice.
//!
//! Deliberately absent: whether a kind exists and what its schema is. Only the cluster knows.

use std::collections::BTreeMap;

use model::{Choices, Digest, Manifest, ObjectEntry, ObjectKey, ObjectParts, Reason};

use crate::{
    canonical,
    diagnostic::{Diagnostic, Position},
    guard::{Guard, stands},
    limits, secrets,
    yaml::{Node, Value, clip},
};

/// Longest name or namespace of an object, in bytes.
const NAME_BYTES_MAX: usize = 253;

/// Objects of a release as they are collected.
#[derive(Default)]
pub(crate) struct Objects {
    /// Lines are lines of a file in Git, not of what a tool wrote.
    placed: bool,
    /// Secrets that can be read are refused.
    secrets: bool,
    entries: Vec<ObjectEntry>,
    content: BTreeMap<Digest, Vec<u8>>,
    seen: BTreeMap<ObjectKey, (String, Position)>,
    bytes: usize,
    full: bool,
    pub(crate) faults: Vec<Diagnostic>,
    /// Allowed, and probably not meant.
    pub(crate) notes: Vec<Diagnostic>,
}

/// Where an object stands.
struct Spot<'a> {
    file: &'a str,
    at: Position,
}

impl Spot<'_> {
    fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Reason::ObjectInvalid, self.file, message).at(self.at)
    }
}

impl Objects {
    /// Objects that stand in files of the repository.
    pub(crate) fn of_files(secrets: bool) -> Objects {
        Objects { placed: true, secrets, ..Objects::default() }
    }

    /// Objects that a tool wrote.
    pub(crate) fn of_output(secrets: bool) -> Objects {
        Objects { placed: false, secrets, ..Objects::default() }
    }

    /// Takes one document of `file`.
    pub(crate) fn take(&mut self, file: &str, node: &Node) {
        let before = self.faults.len();
        self.take_placed(file, node);
        if !self.placed {
            self.faults.iter_mut().skip(before).for_each(|fault| fault.position = None);
        }
    }

    fn take_placed(&mut self, file: &str, node: &Node) {
        if self.full || self.faults.len() >= limits::DIAGNOSTICS_MAX {
            return;
        }
        if let Some(items) = items(node) {
            return items.iter().for_each(|item| self.take_placed(file, item));
        }
        let spot = Spot { file, at: node.at };
        match key(&spot, node) {
            Ok(key) => self.add(&spot, node, key),
            Err(faults) if stands(Guard::Shape) => self.faults.extend(faults),
            Err(_) => {}
        }
    }

    fn add(&mut self, spot: &Spot<'_>, node: &Node, key: ObjectKey) {
        if let Some((file, at)) = self.seen.get(&key).filter(|_| stands(Guard::Twice)) {
            let line = if self.placed { format!(":{}", at.line) } else { String::new() };
            let message = format!("{key} stands twice, first in {file}{line}");
            self.faults.push(spot.fault(message).hint("remove or rename one of the two"));
            return;
        }
        if Choices::is_key(&key) {
            let message = format!("{key} is no object of a cluster");
            let hint = "write `apply`, `drift` and `health` below `spec` of the App";
            self.faults.push(spot.fault(message).hint(hint));
            return;
        }
        if self.secrets && secrets::is_plain(node) {
            self.faults.push(secrets::fault(spot.file, &key).at(spot.at));
            return;
        }
        if secrets::is_shut(node) && self.notes.len() < limits::DIAGNOSTICS_MAX {
            let mut told = secrets::note(spot.file, &key);
            told.position = self.placed.then_some(spot.at);
            self.notes.push(told);
        }
        let bytes = canonical::bytes(&secrets::ordered(node));
        let too_large = |message: String| {
            Diagnostic::error(Reason::RenderTooLarge, spot.file, message).at(spot.at)
        };
        if bytes.len() > limits::OBJECT_BYTES_MAX {
            let limit = limits::OBJECT_BYTES_MAX;
            let message = format!("{key} has {} bytes, at most {limit} are allowed", bytes.len());
            self.faults.push(too_large(message).hint("split the object"));
            return;
        }
        self.bytes += bytes.len();
        if self.entries.len() == limits::OBJECTS_MAX || self.bytes > limits::RELEASE_BYTES_MAX {
            let (count, size) = (limits::OBJECTS_MAX, limits::RELEASE_BYTES_MAX >> 20);
            let message =
                format!("the App has more than {count} objects or {size} MiB from here on");
            self.faults.push(too_large(message));
            self.full = true;
            return;
        }
        self.seen.insert(key.clone(), (spot.file.to_owned(), spot.at));
        let digest = Digest::of(&bytes);
        let length = u32::try_from(bytes.len()).expect("bounded by OBJECT_BYTES_MAX");
        self.entries.push(ObjectEntry { key, digest, bytes: length });
        self.content.insert(digest, bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All objects as one stream of YAML documents, which JSON is too.
    pub(crate) fn stream(&self) -> Vec<u8> {
        let mut stream = Vec::new();
        for entry in &self.entries {
            stream.extend_from_slice(b"---\n");
            stream.extend(self.content.get(&entry.digest).into_iter().flatten());
            stream.push(b'\n');
        }
        stream
    }

    /// The manifest and the bytes of its objects.
    pub(crate) fn finish(self) -> (Manifest, BTreeMap<Digest, Vec<u8>>) {
        (Manifest::new(self.entries), self.content)
    }
}

/// The members of a `List`, which is not an object itself.
fn items(node: &Node) -> Option<&[Node]> {
    let kind = node.get("kind").and_then(Node::text)?;
    let named = node.get("metadata").and_then(|m| m.get("name")).is_some();
    match node.get("items").map(|items| &items.value) {
        Some(Value::List(items)) if kind.ends_with("List") && !named => Some(items),
        _ => None,
    }
}

fn key(spot: &Spot<'_>, node: &Node) -> Result<ObjectKey, Vec<Diagnostic>> {
    let Value::Map(_) = &node.value else {
        let message = format!("an object must be a map, but this is {}", node.what());
        return Err(vec![spot.fault(message).hint(
            "keep only Kubernetes objects in this folder, or end the file's name in `.txt`",
        )]);
    };
    if node.get("version").and_then(Node::text).is_some_and(|v| v.contains("git-lfs")) {
        let hint = "store the file in Git itself";
        return Err(vec![spot.fault("the file is a Git LFS pointer, not a manifest").hint(hint)]);
    }
    let mut faults = Vec::new();
    let api_version = text(spot, node, "apiVersion", "apiVersion", &mut faults);
    let kind = text(spot, node, "kind", "kind", &mut faults);
    let mut name = None;
    let mut namespace = None;
    match node.get("metadata") {
        Some(metadata) if matches!(metadata.value, Value::Map(_)) => {
            let spot = Spot { file: spot.file, at: metadata.at };
            if let Some(generate) = metadata.get("generateName") {
                let fault = Spot { at: generate.at, ..spot }
                    .fault("`metadata.generateName` makes a new object at every apply");
                faults.push(fault.hint("give the object a fixed `metadata.name`"));
            } else {
                name = text(&spot, metadata, "name", "metadata.name", &mut faults);
            }
            if metadata.get("namespace").is_some() {
                namespace = text(&spot, metadata, "namespace", "metadata.namespace", &mut faults);
            }
        }
        Some(other) => {
            let at = Spot { file: spot.file, at: other.at };
            faults.push(at.fault(format!("`metadata` must be a map, but is {}", other.what())));
        }
        None => {
            faults.push(spot.fault("`metadata` is missing").hint("write `metadata: {name: …}`"));
        }
    }
    let group = api_version.and_then(|(text, at)| group(spot.file, text, at, &mut faults));
    for part in [kind, name, namespace].into_iter().flatten() {
        faults.extend(part_fault(spot.file, part));
    }
    match (group, kind, name) {
        (Some(group), Some((kind, _)), Some((name, _))) if faults.is_empty() => {
            let namespace = namespace.map_or("", |(text, _)| text);
            let [kind, name, namespace] = [kind, name, namespace].map(str::to_owned);
            Ok(ObjectParts { group: group.to_owned(), kind, namespace, name }.into())
        }
        _ => Err(faults),
    }
}

fn text<'a>(
    spot: &Spot<'_>,
    node: &'a Node,
    field: &str,
    name: &str,
    faults: &mut Vec<Diagnostic>,
) -> Option<(&'a str, Position)> {
    let Some(value) = node.get(field) else {
        faults.push(
            spot.fault(format!("`{name}` is missing"))
                .hint("every manifest needs `apiVersion`, `kind` and `metadata.name`"),
        );
        return None;
    };
    match value.text() {
        Some(text) if !text.is_empty() => Some((text, value.at)),
        Some(_) => {
            let fault = Spot { file: spot.file, at: value.at }.fault(format!("`{name}` is empty"));
            faults.push(fault.hint("write a text"));
            None
        }
        None => {
            let spot = Spot { file: spot.file, at: value.at };
            let what = value.what();
            let fault = spot.fault(format!("`{name}` must be text, but is {what}"));
            faults.push(fault.hint("write a text; put numbers in quotes"));
            None
        }
    }
}

/// `v1` or `group/v1`.
fn group<'a>(
    file: &str,
    api_version: &'a str,
    at: Position,
    faults: &mut Vec<Diagnostic>,
) -> Option<&'a str> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let ok = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let named = !api_version.starts_with('/') && !version.is_empty();
    if named && group.chars().all(ok) && version.chars().all(ok) {
        return Some(group);
    }
    let spot = Spot { file, at };
    let message = format!("`apiVersion` cannot be `{}`", clip(api_version));
    faults.push(spot.fault(message).hint("write it as `v1` or `apps/v1`"));
    None
}

/// Names go into paths of the API and into lines of a manifest.
fn part_fault(file: &str, (text, at): (&str, Position)) -> Option<Diagnostic> {
    let ok = |c: char| c.is_ascii_graphic() && !"/%".contains(c);
    if text.len() <= NAME_BYTES_MAX && text.chars().all(ok) && text != "." && text != ".." {
        return None;
    }
    let message = format!("`{}` cannot be part of an object's name", clip(text));
    let hint = "use letters, digits, `-` and `.`, at most 253 characters";
    Some(Spot { file, at }.fault(message).hint(hint))
}

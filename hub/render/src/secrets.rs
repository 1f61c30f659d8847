//! Secrets that can be read in Git are refused; encrypted ones pass as they are, with the order of their values.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use model::{ObjectKey, Reason};

use crate::{
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    yaml::{self, Entry, Node, Value},
};

/// Begins every value that SOPS encrypted.
const ENCRYPTED: &str = "ENC[";
/// Field of the block `sops`, read and taken off by the agent.
const ORDER: &str = "order";

/// Whether an object is a Secret with a value that can be read.
pub(crate) fn is_plain(node: &Node) -> bool {
    let text = |key: &str| node.get(key).and_then(Node::text);
    if text("kind") != Some("Secret") || text("apiVersion") != Some("v1") || !stands(Guard::Secrets)
    {
        return false;
    }
    let sealed = node.get("sops").and_then(|sops| sops.get("mac")).is_some();
    ["data", "stringData"].into_iter().filter_map(|key| node.get(key)).any(|map| match &map.value {
        Value::Map(entries) => entries.iter().any(|entry| readable(&entry.value, sealed)),
        // A whole map that was encrypted is a text.
        Value::Text(text) => !text.starts_with(ENCRYPTED),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) => false,
    })
}

/// Whether an object is a Secret that SOPS encrypted, and for no age key: agents open no others.
pub(crate) fn is_shut(node: &Node) -> bool {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let secret = text("kind") == Some("Secret") && text("apiVersion") == Some("v1");
    let filled = |sops: &Node| {
        let list = |of: &Node, name: &str| match of.get(name).map(|node| &node.value) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        let groups = list(sops, "key_groups");
        !list(sops, "age").is_empty() || groups.iter().any(|group| !list(group, "age").is_empty())
    };
    let sops = node.get("sops").filter(|sops| matches!(sops.value, Value::Map(_)));
    secret && sops.is_some_and(|sops| !filled(sops))
}

/// Notes, in an object that SOPS encrypted, in which order its values stand: SOPS's code over all of them depends on it,
/// and canonical bytes forget it. Other objects come back as they are.
pub(crate) fn ordered(node: &Node) -> Cow<'_, Node> {
    let sealed = node.get("sops").is_some_and(|sops| sops.get("mac").is_some());
    let Value::Map(entries) = &node.value else { return Cow::Borrowed(node) };
    if !sealed || node.get("kind").and_then(Node::text) == Some("SopsSecret") {
        return Cow::Borrowed(node);
    }
    let mut pointers = Vec::new();
    for entry in entries.iter().filter(|entry| entry.key != "sops") {
        leaves(&entry.value, &pointer("", &entry.key), &mut pointers);
    }
    let mut noted = node.clone();
    let Value::Map(entries) = &mut noted.value else { return Cow::Borrowed(node) };
    for entry in entries.iter_mut().filter(|entry| entry.key == "sops") {
        let at = entry.value.at;
        let items = pointers.iter().map(|text| Node { value: Value::Text(text.clone()), at });
        let order = Node { value: Value::List(items.collect()), at };
        if let Value::Map(block) = &mut entry.value.value {
            block.retain(|entry| entry.key != ORDER);
            block.push(Entry { key: ORDER.to_owned(), value: order, at });
        }
    }
    Cow::Owned(noted)
}

fn pointer(base: &str, name: &str) -> String {
    format!("{base}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// JSON pointers of all values below a node that are neither maps nor lists nor nothing.
fn leaves(node: &Node, base: &str, found: &mut Vec<String>) {
    match &node.value {
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => found.push(base.to_owned()),
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{base}/{at}"), found);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                leaves(&entry.value, &pointer(base, &entry.key), found);
            }
        }
    }
}

/// What becomes of a Secret that SOPS encrypted for keys that agents do not use.
pub(crate) fn note(file: &str, key: &ObjectKey) -> Diagnostic {
    let message = format!(
        "{key} is encrypted with SOPS for no age key, and agents refuse what they cannot open"
    );
    Diagnostic::warning(Reason::SecretSealed, file, message)
}

/// An empty value tells nothing; a number or flag can be read as well as a text.
fn readable(value: &Node, sealed: bool) -> bool {
    match &value.value {
        Value::Text(text) => !(text.is_empty() || sealed && text.starts_with(ENCRYPTED)),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => true,
    }
}

/// The refusal. It never quotes a value.
pub(crate) fn fault(file: &str, key: &ObjectKey) -> Diagnostic {
    let message = format!("{key} stands in plain text; whoever reads the repository reads it");
    Diagnostic::error(Reason::SecretInPlain, file, message)
}

/// Points each refusal at the file and line in Git where the Secret, or what makes it, stands.
pub(crate) fn place(faults: &mut [Diagnostic], files: &BTreeMap<String, Arc<[u8]>>) {
    for fault in faults.iter_mut().filter(|fault| fault.reason == Reason::SecretInPlain) {
        if let Some((file, at)) =
            files.iter().find_map(|(file, bytes)| origin(file, bytes, &fault.message))
        {
            fault.file = file;
            fault.position = Some(at);
        }
    }
}

/// Where in this file the Secret of that message stands.
fn origin(
    file: &str,
    bytes: &[u8],
    message: &str,
) -> Option<(String, crate::diagnostic::Position)> {
    let yaml = [".yaml", ".yml", ".json", "Kustomization"].iter().any(|end| file.ends_with(end));
    // The name is the last part of the key, with a prefix, a suffix or a hash when Kustomize adds one.
    let shown = message.split(" stands").next()?.rsplit(['/', ' ']).next()?;
    let named =
        |node: &Node| node.text().is_some_and(|name| !name.is_empty() && shown.contains(name));
    for document in yaml.then(|| yaml::documents(file, bytes).ok()).flatten()? {
        if let Some(Value::List(items)) = document.get("secretGenerator").map(|n| &n.value)
            && let Some(item) = items.iter().find(|item| item.get("name").is_some_and(named))
        {
            return Some((file.to_owned(), item.at));
        }
        let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
        if is_plain(&document) && name.is_some_and(named) {
            return Some((file.to_owned(), document.at));
        }
    }
    None
}

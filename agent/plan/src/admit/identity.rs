//! Which object it is, and whether it may be here at all.

use std::collections::BTreeMap;

use model::{ObjectKey, ObjectParts, Reason};
use serde_json::Value;

use super::{AdmitOptions, Fault, Flaw, Item, Scope};

/// Definitions in the set: `(group, kind)` → key of the definition, and whether namespaced.
pub(super) type Definitions = BTreeMap<(String, String), (ObjectKey, bool)>;

/// Kinds that were served by two groups, and are the same objects: `(kind, old group, new group)`.
const MOVED: &[(&str, &str, &str)] = &[
    ("Ingress", "extensions", "networking.k8s.io"),
    ("NetworkPolicy", "extensions", "networking.k8s.io"),
    ("Deployment", "extensions", "apps"),
    ("DaemonSet", "extensions", "apps"),
    ("ReplicaSet", "extensions", "apps"),
    ("PodSecurityPolicy", "extensions", "policy"),
    ("Event", "", "events.k8s.io"),
];

/// A text field of the top level.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A text field of the metadata.
fn meta<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    text(object.get("metadata")?, name)
}

/// What the definitions in the set say about scope.
pub(super) fn definitions(items: &[Item]) -> Definitions {
    let of = |item: &Item| {
        let object = &item.object;
        (text(object, "kind")? == "CustomResourceDefinition").then_some(())?;
        let group = text(object.get("spec")?, "group")?;
        let kind = object.pointer("/spec/names/kind")?.as_str()?;
        let namespaced = object.pointer("/spec/scope")?.as_str()? == "Namespaced";
        let key = ObjectParts {
            group: text(object, "apiVersion")?.split('/').next()?.to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            namespace: String::new(),
            name: meta(object, "name")?.to_owned(),
        }
        .into();
        Some(((group.to_owned(), kind.to_owned()), (key, namespaced)))
    };
    items.iter().filter_map(of).collect()
}

/// The key of one object, and a note when its namespace was put right.
pub(super) fn identify(
    object: &mut Value,
    definitions: &Definitions,
    scope: &dyn Scope,
    options: &AdmitOptions,
) -> Result<(ObjectKey, Option<String>), Vec<Flaw>> {
    let (group, kind, name) = named(object)?;
    let known = definitions.get(&(group.clone(), kind.clone())).map(|(_, namespaced)| *namespaced);
    let namespaced = known.or_else(|| scope.namespaced(&group, &kind));
    let given = meta(object, "namespace").map(str::to_owned);
    let mut note = None;
    let namespace = match (namespaced, given) {
        (Some(false), Some(given)) => {
            note = Some(format!("{kind} {name}: namespace `{given}` dropped, the kind has none"));
            if let Some(Value::Object(meta)) = object.get_mut("metadata") {
                meta.remove("namespace");
            }
            String::new()
        }
        (Some(true), None) => {
            let Some(default) = &options.default_namespace else {
                let why = "missing, and the App has no default namespace; name one";
                return Err(vec![Flaw::new("metadata.namespace", why)]);
            };
            object["metadata"]["namespace"] = Value::String(default.clone());
            default.clone()
        }
        (Some(true) | None, Some(given)) => given,
        (Some(false) | None, None) => String::new(),
    };
    if let Some(fault) = segment_fault(&namespace) {
        return Err(vec![Flaw::new("metadata.namespace", fault)]);
    }
    let key = ObjectParts { group, kind, namespace, name }.into();
    match refusal(&key, options) {
        Some(flaw) => Err(vec![flaw]),
        None => Ok((key, note)),
    }
}

/// Group, kind and name, or all that is wrong with them.
fn named(object: &Value) -> Result<(String, String, String), Vec<Flaw>> {
    let mut flaws = Vec::new();
    if !object.is_object() {
        return Err(vec![Flaw::new("", "is not an object")]);
    }
    let mut required = |field: &str, value: Option<&str>| {
        match value.map(|text| (text, segment_fault(text))) {
            None => flaws.push(Flaw::new(field, "missing, empty, or no text")),
            Some((_, Some(fault))) if field != "apiVersion" => flaws.push(Flaw::new(field, fault)),
            Some(_) => {}
        }
        value.unwrap_or_default().to_owned()
    };
    let api_version = required("apiVersion", text(object, "apiVersion"));
    let kind = required("kind", text(object, "kind"));
    if object.pointer("/metadata/generateName").is_some() {
        let why = "a generated name is another object at each apply; give `metadata.name`";
        flaws.push(Flaw::new("metadata.generateName", why));
    } else {
        required("metadata.name", meta(object, "name"));
    }
    let parts: Vec<&str> = api_version.split('/').collect();
    let group = match parts.as_slice() {
        [_version] => String::new(),
        [group, _version] => (*group).to_owned(),
        _ => {
            flaws.push(Flaw::new("apiVersion", "expected `version` or `group/version`"));
            String::new()
        }
    };
    let name = meta(object, "name").unwrap_or_default().to_owned();
    if flaws.is_empty() { Ok((group, kind, name)) } else { Err(flaws) }
}

/// What cannot stand in a path of the API.
fn segment_fault(text: &str) -> Option<&'static str> {
    if text == "." || text == ".." {
        Some("may not be `.` or `..`")
    } else if text.contains(['/', '%']) {
        Some("may not contain `/` or `%`")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("may not contain white space")
    } else {
        None
    }
}

/// Objects that no App, or not this one, may have.
fn refusal(key: &ObjectKey, options: &AdmitOptions) -> Option<Flaw> {
    let agent = options.agent_namespace.as_deref();
    let of_agent = agent.is_some_and(|agent| {
        key.namespace == agent
            || (key.kind == "Namespace" && key.group.is_empty() && key.name == agent)
    });
    if of_agent || options.agent_objects.contains(key) {
        let path = if key.namespace.is_empty() { "metadata.name" } else { "metadata.namespace" };
        let flaw = Flaw::new(path, "belongs to the agent itself; no App may touch it");
        return Some(flaw.because(Reason::ProtectedBlocked));
    }
    let id = format!("{}/{}", key.group, key.kind);
    let allowed = options.kinds.as_ref().is_none_or(|kinds| kinds.contains(&id));
    (!allowed).then(|| Flaw::new("kind", format!("`{id}` is not among the kinds of this App")))
}

/// Objects that stand twice; the version does not tell them apart, nor do groups that moved.
pub(super) fn duplicates(items: &[Item]) -> Vec<Fault> {
    let mut first: BTreeMap<ObjectKey, &Item> = BTreeMap::new();
    let mut faults = Vec::new();
    for item in items {
        let Some(key) = &item.key else { continue };
        match first.get(&settled(key)) {
            Some(other) => {
                let same = other.key.as_ref() == Some(key);
                let how = if same { "" } else { " under another API group" };
                let why = format!("stands already at object {}{how}; keep one", other.index);
                faults.push(item.fault(Flaw::new("metadata.name", why)));
            }
            None => {
                first.insert(settled(key), item);
            }
        }
    }
    faults
}

/// The key under the group that a moved kind has today.
fn settled(key: &ObjectKey) -> ObjectKey {
    let moved = MOVED.iter().find(|(kind, old, _)| key.kind == *kind && key.group == *old);
    let group = moved.map_or(key.group.as_str(), |(_, _, new)| new).to_owned();
    ObjectParts { group, ..key.clone().into() }.into()
}

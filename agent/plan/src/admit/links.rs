//! What must come before what: by kind, by nature, and because the author says so.

use std::collections::{BTreeMap, BTreeSet};

use model::{ObjectKey, ObjectParts};
use serde_json::Value;

use super::identity::Definitions;
use super::{AdmitOptions, Fault, Flaw, Item};
use crate::order::{Cycle, Position, layer, rank};
use crate::path;

/// Explicit wave, relative within the App.
const WAVE: &str = "tidegate.dev/wave";
/// What Argo CD calls it; understood when the App asks for that.
const FOREIGN_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Explicit dependencies; the second name is what kpt and cli-utils read.
const DEPENDS_ON: &[&str] = &["tidegate.dev/depends-on", "config.kubernetes.io/depends-on"];

/// Place and dependencies of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    pub(super) position: Position,
    pub(super) depends_on: BTreeSet<ObjectKey>,
    pub(super) needs: BTreeSet<ObjectKey>,
}

/// All links, and what is wrong with them.
pub(super) struct Linked {
    pub(super) links: BTreeMap<ObjectKey, Links>,
    pub(super) faults: Vec<Fault>,
    pub(super) notes: Vec<String>,
}

/// Links the whole set.
pub(super) fn link(items: &[Item], definitions: &Definitions, options: &AdmitOptions) -> Linked {
    let keys: BTreeSet<&ObjectKey> = items.iter().filter_map(|item| item.key.as_ref()).collect();
    let mut linked = Linked { links: BTreeMap::new(), faults: Vec::new(), notes: Vec::new() };
    for item in items {
        let Some(key) = &item.key else { continue };
        let mut links = Links::default();
        match wave(&item.object, options) {
            Ok(wave) => links.position.wave = wave,
            Err(flaw) => linked.faults.push(item.fault(flaw)),
        }
        links.position.rank = rank(&key.group, &key.kind);
        links.needs = natural(key, &item.object, definitions);
        links.needs.retain(|need| need != key && keys.contains(need));
        let (named, flaws) = named(&item.object, &keys);
        links.depends_on = named;
        linked.faults.extend(flaws.into_iter().map(|flaw| item.fault(flaw)));
        linked.links.insert(key.clone(), links);
    }
    place(items, &mut linked);
    linked
}

/// Gives every object its final place.
fn place(items: &[Item], linked: &mut Linked) {
    let by_kind: BTreeMap<ObjectKey, Position> =
        linked.links.iter().map(|(key, links)| (key.clone(), links.position)).collect();
    let edges = linked.links.iter();
    let edges: BTreeMap<ObjectKey, BTreeSet<ObjectKey>> = edges
        .map(|(key, links)| (key.clone(), links.depends_on.union(&links.needs).cloned().collect()))
        .collect();
    for (key, links) in &linked.links {
        for need in links.depends_on.iter().filter(|need| by_kind.get(need) > by_kind.get(key)) {
            linked.notes.push(format!(
                "{key} waits for {need}, which by kind or wave would come later; the named \
                 dependency holds"
            ));
        }
    }
    match layer(&by_kind, &edges) {
        Ok(places) => {
            for (key, place) in places {
                linked.links.entry(key).or_default().position = place;
            }
        }
        Err(Cycle(ring)) => {
            let names: Vec<String> = ring.iter().map(ToString::to_string).collect();
            let text = names.join(" → ");
            for item in items.iter().filter(|i| i.key.as_ref().is_some_and(|k| ring.contains(k))) {
                let path = path::field("metadata.annotations", DEPENDS_ON[0]);
                let why = format!("objects wait for each other in a ring: {text}; break it");
                linked.faults.push(item.fault(Flaw::new(path, why)));
            }
        }
    }
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get("metadata")?.get("annotations")?.get(name)
}

fn wave(object: &Value, options: &AdmitOptions) -> Result<i32, Flaw> {
    let foreign = || annotation(object, FOREIGN_WAVE).filter(|_| options.foreign_waves);
    let name = if annotation(object, WAVE).is_some() { WAVE } else { FOREIGN_WAVE };
    let Some(value) = annotation(object, WAVE).or_else(foreign) else { return Ok(0) };
    let parsed = value.as_str().and_then(|text| text.trim().parse().ok());
    let path = path::field("metadata.annotations", name);
    parsed.ok_or_else(|| Flaw::new(path, "is not a whole number in quotes, such as \"-1\""))
}

/// What a live object says of itself: its wave, and what its author said it depends on. For an entry of an
/// inventory that does not tell, such as one of another tool.
pub fn live_links(object: &Value, foreign_waves: bool) -> (i32, BTreeSet<ObjectKey>) {
    let text = |name: &str| annotation(object, name).and_then(Value::as_str);
    let foreign = || text(FOREIGN_WAVE).filter(|_| foreign_waves);
    let wave = text(WAVE).or_else(foreign).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let named = DEPENDS_ON.iter().filter_map(|name| text(name)).flat_map(|text| text.split(','));
    (wave, named.filter_map(|reference| reference_key(reference.trim())).collect())
}

/// Dependencies that the author named, and what is wrong with them.
fn named(object: &Value, keys: &BTreeSet<&ObjectKey>) -> (BTreeSet<ObjectKey>, Vec<Flaw>) {
    let mut found = BTreeSet::new();
    let mut flaws = Vec::new();
    for name in DEPENDS_ON {
        let path = path::field("metadata.annotations", name);
        let text = annotation(object, name).and_then(Value::as_str).unwrap_or("");
        for reference in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match reference_key(reference) {
                Some(key) if keys.contains(&key) => {
                    found.insert(key);
                }
                Some(key) => {
                    flaws.push(Flaw::new(&path, format!("{key} is not in this App")));
                }
                None => flaws.push(Flaw::new(
                    &path,
                    format!(
                        "`{reference}` is no reference: expected \
                         `group/namespaces/namespace/Kind/name` or `group/Kind/name`"
                    ),
                )),
            }
        }
    }
    (found, flaws)
}

fn reference_key(text: &str) -> Option<ObjectKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let key = |group: &str, namespace: &str, kind: &str, name: &str| {
        let filled = !kind.is_empty() && !name.is_empty();
        filled.then(|| {
            ObjectParts {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }
            .into()
        })
    };
    match parts.as_slice() {
        [group, "namespaces", namespace, kind, name] => key(group, namespace, kind, name),
        [group, kind, name] => key(group, "", kind, name),
        _ => None,
    }
}

/// What an object needs by its nature; whether it is in the set is seen later.
fn natural(key: &ObjectKey, object: &Value, definitions: &Definitions) -> BTreeSet<ObjectKey> {
    let mut needs = BTreeSet::new();
    if !key.namespace.is_empty() {
        needs.insert(core("Namespace", "", &key.namespace));
    }
    if let Some((definition, _)) = definitions.get(&(key.group.clone(), key.kind.clone())) {
        needs.insert(definition.clone());
    }
    match (key.group.as_str(), key.kind.as_str()) {
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            needs.extend(role(key, object));
        }
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => {
            let hooks = object.get("webhooks").and_then(Value::as_array).into_iter().flatten();
            needs.extend(hooks.filter_map(|h| service(h.pointer("/clientConfig/service")?)));
        }
        ("apiregistration.k8s.io", "APIService") => {
            needs.extend(object.pointer("/spec/service").and_then(service));
        }
        _ => {}
    }
    needs
}

fn core(kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectParts {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
    .into()
}

fn service(reference: &Value) -> Option<ObjectKey> {
    let text = |name: &str| reference.get(name).and_then(Value::as_str);
    Some(core("Service", text("namespace")?, text("name")?))
}

fn role(binding: &ObjectKey, object: &Value) -> Option<ObjectKey> {
    let kind = object.pointer("/roleRef/kind")?.as_str()?;
    let namespace = if kind == "Role" { binding.namespace.clone() } else { String::new() };
    Some(
        ObjectParts {
            group: binding.group.clone(),
            kind: kind.to_owned(),
            namespace,
            name: object.pointer("/roleRef/name")?.as_str()?.to_owned(),
        }
        .into(),
    )
}

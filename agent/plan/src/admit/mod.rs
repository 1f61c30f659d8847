//! The door: content → [`Desired`], or every error at once and nothing written.
//!
//! `expand` opens lists, `sanitise` takes off what is not desired state, `identity` finds out which
//! object it is, `bounds` and `lists` find what the API server would refuse or choke on, `links` finds
//! what must come before what.

mod expand;
mod sanitise;

mod links;

mod identity;

mod bounds;
mod lists;

mod hook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::{AppName, Digest, Ignore, ObjectKey, Reason};
use serde_json::Value;

use crate::choices::Choices;
use crate::desired::{Desired, DesiredObject, Hook};
use crate::keyed::{Fingerprint, Key};
use crate::ownership::Ownership;

pub use bounds::is_sealed;
pub use links::live_links;

/// Part of every fingerprint; rises when sanitising changes what a body becomes.
const BODY_VERSION: &[u8] = b"body-1";

/// One object of a release, its bytes already checked against `digest`.
#[derive(Clone)]
pub struct Content {
    /// SHA-256 of its canonical JSON, from the manifest.
    pub digest: Digest,
    /// The object.
    pub object: Value,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Tells which kinds live in namespaces: from discovery, never from a table.
pub trait Scope {
    /// `Some(true)` when namespaced, `None` when the kind is not served (definitions in the same set
    /// are looked at first).
    fn namespaced(&self, group: &str, kind: &str) -> Option<bool>;
}

/// Choices of the App and facts of the agent.
#[derive(Debug, Clone)]
pub struct AdmitOptions {
    /// Key for fingerprints.
    pub key: Key,
    /// Namespace for objects that need one and name none. Without it they are refused.
    pub default_namespace: Option<String>,
    /// Where the agent itself lives; no App may put anything there.
    pub agent_namespace: Option<String>,
    /// Cluster-scoped objects that the agent itself is made of; no App may contain them.
    pub agent_objects: BTreeSet<ObjectKey>,
    /// `group/Kind` allowed (core group: `/Kind`); `None` allows all.
    pub kinds: Option<BTreeSet<String>>,
    /// Objects that one App may have; 5,000 keep a sync below a minute.
    pub objects_max: usize,
    /// Bytes of all objects of one App as JSON; 10 MiB are held in memory while a sync runs.
    pub bytes_max: usize,
    /// Fields that the App leaves to others, beside those that an object names by annotation.
    pub ignore: Vec<Ignore>,
    /// Whether the hook annotations of Helm and Argo CD are understood.
    pub foreign_hooks: bool,
    /// Whether the wave annotation of Argo CD is understood.
    pub foreign_waves: bool,
}

impl AdmitOptions {
    /// No default namespace, nothing of the agent in the cluster, all kinds.
    pub fn new(key: Key) -> AdmitOptions {
        AdmitOptions {
            key,
            default_namespace: None,
            agent_namespace: None,
            agent_objects: BTreeSet::new(),
            kinds: None,
            objects_max: 5_000,
            bytes_max: 10 * 1024 * 1024,
            ignore: Vec::new(),
            foreign_hooks: false,
            foreign_waves: false,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// As reported.
    pub reason: Reason,
    /// Which object, when it has an identity.
    pub key: Option<ObjectKey>,
    /// Its place in the release, from 0.
    pub index: usize,
    /// Exact path of the field, such as `spec.ports[1].port`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: ")?,
            None => write!(f, "object {}: ", self.index)?,
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A fault before its object is known.
pub(crate) struct Flaw {
    reason: Reason,
    path: String,
    message: String,
}

impl Flaw {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Flaw {
        Flaw { reason: Reason::ContentInvalid, path: path.into(), message: message.into() }
    }

    fn because(mut self, reason: Reason) -> Flaw {
        self.reason = reason;
        self
    }
}

/// One object on its way through the door.
struct Item {
    index: usize,
    /// Path of the object within its content: `items[3].` when it came out of a list.
    inside: String,
    digest: Digest,
    object: Value,
    key: Option<ObjectKey>,
}

impl Item {
    fn fault(&self, flaw: Flaw) -> Fault {
        let dot = if self.inside.is_empty() || flaw.path.is_empty() { "" } else { "." };
        Fault {
            reason: flaw.reason,
            key: self.key.clone(),
            index: self.index,
            path: format!("{}{dot}{}", self.inside, flaw.path),
            message: flaw.message,
        }
    }
}

/// Admits a whole set or nothing.
pub fn admit(
    app: &AppName,
    contents: Vec<Content>,
    scope: &dyn Scope,
    options: &AdmitOptions,
) -> Result<Desired, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut notes = Vec::new();
    let mut items = expand::expand(contents, &mut faults);
    items.retain(|item| {
        let local = local(&item.object);
        notes.extend(local.clone());
        local.is_none()
    });
    for item in &mut items {
        sanitise::sanitise(&mut item.object);
    }
    let definitions = identity::definitions(&items);
    for item in &mut items {
        match identity::identify(&mut item.object, &definitions, scope, options) {
            Ok((key, note)) => {
                notes.extend(note);
                item.key = Some(key);
            }
            Err(flaws) => faults.extend(flaws.into_iter().map(|flaw| item.fault(flaw))),
        }
        let flaws = bounds::check(&item.object).into_iter().chain(lists::check(&item.object));
        faults.extend(flaws.map(|flaw| item.fault(flaw)));
        let (_, misread) = Choices::read(&item.object);
        let misread = misread.into_iter().chain(hook::read(&item.object, options).err());
        faults.extend(misread.map(|(path, why)| item.fault(Flaw::new(path, why))));
    }
    faults.extend(bounds::whole(&items, options));
    faults.extend(identity::duplicates(&items));
    let linked = links::link(&items, &definitions, options);
    faults.extend(linked.faults);
    notes.extend(linked.notes);
    if faults.is_empty() {
        let (objects, hooks) = finish(app, items, linked.links, options);
        Ok(Desired { app: app.clone(), objects, hooks, notes })
    } else {
        faults.sort_by(|a, b| (a.index, &a.path, a).cmp(&(b.index, &b.path, b)));
        faults.dedup();
        Err(faults)
    }
}

/// Why an object is not meant for a cluster: its author says that it only serves tools on the way there.
fn local(object: &Value) -> Option<String> {
    const LOCAL: &str = "config.kubernetes.io/local-config";
    let meta = object.get("metadata")?;
    let value = meta.get("annotations")?.get(LOCAL)?.as_str()?;
    let name = meta.get("name").and_then(Value::as_str).unwrap_or_default();
    let kind = identity::text(object, "kind").unwrap_or_default();
    (value != "false").then(|| format!("{kind} {name}: left out, `{LOCAL}: {value}`"))
}

/// Marks and fingerprints what is in order.
fn finish(
    app: &AppName,
    items: Vec<Item>,
    mut links: BTreeMap<ObjectKey, links::Links>,
    options: &AdmitOptions,
) -> (BTreeMap<ObjectKey, DesiredObject>, Vec<Hook>) {
    let ownership = Ownership::of(app);
    let release = hook::release(&items, options);
    let mut objects = BTreeMap::new();
    let mut hooks = Vec::new();
    for item in items {
        let Some(key) = item.key else { continue };
        let links = links.remove(&key).unwrap_or_default();
        if let Ok(Some(asked)) = hook::read(&item.object, options) {
            let wave = links.position.wave;
            hooks.push(asked.finish(&ownership, key, item.object, wave, release));
            continue;
        }
        let mut body = item.object;
        ownership.stamp(&mut body, &key);
        let mut choices = Choices::read(&body).0;
        let ignored = options.ignore.iter().filter(|ignore| ignore.is_about(&key));
        let ignored: Vec<String> = ignored.flat_map(|ignore| &ignore.paths).cloned().collect();
        let mut parts: Vec<&[u8]> = vec![
            BODY_VERSION,
            app.as_str().as_bytes(),
            key.namespace.as_bytes(),
            item.digest.as_bytes(),
            item.inside.as_bytes(),
        ];
        // What is left to others is not applied: another list of it is another body.
        parts.extend(ignored.iter().map(String::as_bytes));
        let fingerprint = Fingerprint::of(&options.key, &parts);
        choices.ignore.extend(ignored);
        let object = DesiredObject {
            key: key.clone(),
            api_version: identity::text(&body, "apiVersion").unwrap_or_default().to_owned(),
            fingerprint,
            position: links.position,
            depends_on: links.depends_on,
            needs: links.needs,
            choices,
            body,
        };
        objects.insert(key, object);
    }
    (objects, hooks)
}

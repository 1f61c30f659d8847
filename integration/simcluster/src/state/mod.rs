//! What a cluster remembers: objects, their versions, and the last events of each kind.
//!
//! No rule of the API lives here; `ops` decides, this keeps.

mod rng;

use crate::{
    clock::Clock,
    kinds::{self, Kind},
    status::Status,
};
use rng::Rng;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::watch;

/// Events kept of each kind; a watch that starts before the oldest gets 410 Gone.
const EVENTS_KEPT: usize = 2_000;

/// Where the counter of versions starts, so that "1" is a version from before.
const FIRST_VERSION: u64 = 100;

/// Namespace (empty for cluster-wide kinds) and name.
pub(crate) type Place = (String, String);

/// Group and plural: all versions of a kind share their objects.
pub(crate) type Resource = (String, String);

/// One change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) before: Option<Arc<Value>>,
    /// The object after the change; for a deletion, its last state with the deletion's version.
    pub(crate) after: Arc<Value>,
    pub(crate) gone: bool,
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) items: BTreeMap<Place, Arc<Value>>,
    pub(crate) events: VecDeque<Event>,
    /// The version of the newest event that is no longer kept.
    pub(crate) forgotten: u64,
    pub(crate) changed: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) options: crate::options::Options,
    pub(crate) version: u64,
    pub(crate) tables: BTreeMap<Resource, Table>,
    kinds: Vec<Arc<Kind>>,
    rng: Rng,
    /// Wakes the controllers.
    pub(crate) changed: watch::Sender<u64>,
}

impl State {
    pub(crate) fn new(options: crate::options::Options, clock: Clock) -> State {
        let mut state = State {
            clock,
            rng: Rng::new(options.seed, &options.name),
            options,
            version: FIRST_VERSION,
            tables: BTreeMap::new(),
            kinds: Vec::new(),
            changed: watch::Sender::new(0),
        };
        for kind in kinds::built_in() {
            state.serve(kind);
        }
        state
    }

    /// Every version goes down, and no event is remembered.
    pub(crate) fn rewind(&mut self, by: u64) {
        self.version = self.version.saturating_sub(by).max(1);
        let mut next = 0;
        for table in self.tables.values_mut() {
            for object in table.items.values_mut() {
                next += 1;
                let mut older = (**object).clone();
                older["metadata"]["resourceVersion"] = json!(next.to_string());
                *object = Arc::new(older);
            }
        }
        self.version = self.version.max(next);
        self.forget_events();
    }

    /// The same again, with nobody watching.
    pub(crate) fn copy(&self) -> State {
        let table = |table: &Table| Table {
            items: table.items.clone(),
            events: table.events.clone(),
            forgotten: table.forgotten,
            changed: watch::Sender::new(self.version),
        };
        State {
            clock: self.clock,
            options: self.options.clone(),
            version: self.version,
            tables: self.tables.iter().map(|(name, of)| (name.clone(), table(of))).collect(),
            kinds: self.kinds.clone(),
            rng: self.rng.clone(),
            changed: watch::Sender::new(self.version),
        }
    }

    // --- kinds ---------------------------------------------------------------------------------

    pub(crate) fn serve(&mut self, kind: Kind) {
        let resource = (kind.group.clone(), kind.plural.clone());
        let version = self.version;
        self.tables.entry(resource).or_insert_with(|| Table {
            items: BTreeMap::new(),
            events: VecDeque::new(),
            forgotten: version,
            changed: watch::Sender::new(0),
        });
        self.kinds.retain(|known| {
            (&known.group, &known.version, &known.plural)
                != (&kind.group, &kind.version, &kind.plural)
        });
        self.kinds.push(Arc::new(kind));
    }

    /// Stops serving a custom kind's versions, except those to keep.
    pub(crate) fn retire(&mut self, resource: &Resource, keep: &[String]) {
        self.kinds.retain(|kind| {
            (&kind.group, &kind.plural) != (&resource.0, &resource.1)
                || keep.contains(&kind.version)
        });
        if keep.is_empty() {
            self.tables.remove(resource);
        }
    }

    pub(crate) fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    pub(crate) fn kind_at(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds
            .iter()
            .find(|k| k.group == group && k.version == version && k.plural == plural)
            .cloned()
    }

    /// The first served version of a kind.
    pub(crate) fn kind_named(&self, group: &str, kind: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|known| known.is(group, kind)).cloned()
    }

    pub(crate) fn kind_of(&self, object: &Value) -> Result<Arc<Kind>, Status> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        let found =
            self.kinds.iter().find(|k| k.kind == kind && k.api_version() == api_version).cloned();
        found.ok_or_else(|| Status::new(404, "NotFound", "404 page not found"))
    }

    // --- objects -------------------------------------------------------------------------------

    pub(crate) fn table(&self, kind: &Kind) -> Option<&Table> {
        self.tables.get(&(kind.group.clone(), kind.plural.clone()))
    }

    pub(crate) fn get(&self, kind: &Kind, place: &Place) -> Option<Arc<Value>> {
        self.table(kind)?.items.get(place).cloned()
    }

    /// All objects of a kind, by namespace and name.
    pub(crate) fn all(&self, group: &str, kind: &str) -> Vec<Arc<Value>> {
        let kind = self.kind_named(group, kind);
        let table = kind.and_then(|kind| self.table(&kind));
        table.map(|table| table.items.values().cloned().collect()).unwrap_or_default()
    }

    /// Stores an object under a new version and tells the watches.
    pub(crate) fn put(&mut self, kind: &Kind, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let place = place_of(kind, &object);
        if let Some(table) = self.tables.get_mut(&(kind.group.clone(), kind.plural.clone())) {
            let before = table.items.insert(place, object.clone());
            let (version, after) = (self.version, object.clone());
            table.log(Event { version, before, after, gone: false });
        }
        self.wake();
        object
    }

    /// Removes an object and tells the watches.
    pub(crate) fn take(&mut self, kind: &Kind, place: &Place, last: &Value) -> Arc<Value> {
        self.version += 1;
        let mut last = last.clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let after = Arc::new(last);
        if let Some(table) = self.tables.get_mut(&(kind.group.clone(), kind.plural.clone())) {
            let before = table.items.remove(place);
            let (version, after) = (self.version, after.clone());
            table.log(Event { version, before, after, gone: true });
        }
        self.wake();
        after
    }

    /// Forgets all events: every watch from an older version gets 410 Gone.
    pub(crate) fn forget_events(&mut self) {
        for table in self.tables.values_mut() {
            table.events.clear();
            table.forgotten = self.version;
        }
    }

    fn wake(&self) {
        self.changed.send_replace(self.version);
    }

    pub(crate) fn uid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.bytes()).into_uuid().to_string()
    }

    /// Letters as the server appends them to a `generateName`.
    pub(crate) fn suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let bytes = self.rng.bytes();
        let letter = |byte: &u8| LETTERS[usize::from(*byte) % LETTERS.len()] as char;
        bytes.iter().take(length).map(letter).collect()
    }

    /// A number below `limit`.
    pub(crate) fn number(&mut self, limit: u64) -> u64 {
        self.rng.next() % limit.max(1)
    }
}

impl Table {
    fn log(&mut self, event: Event) {
        let version = event.version;
        self.events.push_back(event);
        if self.events.len() > EVENTS_KEPT
            && let Some(oldest) = self.events.pop_front()
        {
            self.forgotten = oldest.version;
        }
        self.changed.send_replace(version);
    }

    /// The objects as they were at an earlier version, or `None` when that is forgotten.
    pub(crate) fn as_of(&self, version: u64) -> Option<BTreeMap<Place, Arc<Value>>> {
        if version < self.forgotten {
            return None;
        }
        let mut items = self.items.clone();
        for event in self.events.iter().rev().take_while(|event| event.version > version) {
            let place = place_at(&event.after);
            match &event.before {
                Some(before) => items.insert(place, before.clone()),
                None => items.remove(&place),
            };
        }
        Some(items)
    }
}

fn place_at(object: &Value) -> Place {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

pub(crate) fn place_of(kind: &Kind, object: &Value) -> Place {
    let (namespace, name) = place_at(object);
    (if kind.namespaced { namespace } else { String::new() }, name)
}

/// The version an object was stored under.
pub(crate) fn version_of(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    text.parse().unwrap_or_default()
}

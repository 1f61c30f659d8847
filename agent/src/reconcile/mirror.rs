//! What the watches have seen: per object its metadata and a verdict, never its content.
//!
//! One watch a kind, over all Apps, by the ownership label. A full object is judged when it arrives and then
//! dropped; it stays only while it is unwell, because then time alone may change the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use model::{AppName, ObjectKey, ObjectParts};
use plan::{HealthContext, LiveMeta, Ownership, Verdict};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::rules::Rules;
use crate::clock::Clock;
use crate::cluster::{self, Change, Cluster, Depth, Resource};

/// Kinds watched at the same time: each is a connection.
const WATCHES_MAX: usize = 100;

/// Group and kind.
pub(super) type Kind = (String, String);

/// One object.
#[derive(Debug, Clone)]
struct Seen {
    meta: LiveMeta,
    verdict: Verdict,
    /// While it is unwell.
    object: Option<Value>,
}

/// One kind.
#[derive(Debug)]
struct Watched {
    resource: Resource,
    depth: Depth,
    task: AbortHandle,
    /// Why it cannot be looked at; `None` once a list came.
    blind: Option<String>,
    seen: BTreeMap<ObjectKey, Seen>,
    /// Looked for one by one, and not there.
    absent: BTreeSet<ObjectKey>,
}

/// The last write of ours.
#[derive(Debug, Clone)]
struct Write {
    version: String,
    at: Duration,
}

/// What one App wants to know.
#[derive(Debug, Default)]
struct Follower {
    moved: Arc<Notify>,
    kinds: BTreeSet<Kind>,
    rules: Arc<Rules>,
}

#[derive(Debug, Default)]
struct Inner {
    kinds: BTreeMap<Kind, Watched>,
    beside: Beside,
}

/// What an object is judged by, beside itself.
#[derive(Debug, Default)]
struct Beside {
    writes: BTreeMap<ObjectKey, Write>,
    apps: BTreeMap<AppName, Follower>,
}

impl Beside {
    /// How much of the objects of a kind has to be seen.
    fn depth(&self, (group, kind): &Kind) -> Depth {
        let ruled = self.apps.values().any(|app| app.rules.set.touches(group, kind));
        if plan::judged_by_existence(group, kind) && !ruled { Depth::Metadata } else { Depth::Full }
    }
}

/// What is known about one object.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// There.
    Present(Box<LiveMeta>),
    /// Not there: looked for.
    Absent,
    /// Not among what is watched, which may mean that only its label is gone.
    NotSeen,
    /// Its kind cannot be looked at.
    Blind,
}

/// Shared by all Apps.
#[derive(Debug)]
pub(super) struct Mirror {
    inner: Mutex<Inner>,
    synced: Notify,
    cluster: Cluster,
    clock: Clock,
    this: Weak<Mirror>,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        for watched in self.lock().kinds.values() {
            watched.task.abort();
        }
    }
}

impl Mirror {
    pub(super) fn new(cluster: Cluster, clock: Clock) -> Arc<Mirror> {
        Arc::new_cyclic(|this| Mirror {
            inner: Mutex::default(),
            synced: Notify::new(),
            cluster,
            clock,
            this: Weak::clone(this),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches `resources` for `app`, which is told through `moved`; kinds that nobody wants any more are let go.
    pub(super) fn follow(&self, app: &AppName, moved: &Arc<Notify>, resources: &[Resource]) {
        let kind = |r: &Resource| (r.group.clone(), r.kind.clone());
        let mut inner = self.lock();
        let inner = &mut *inner;
        let follower = inner.beside.apps.entry(app.clone()).or_default();
        follower.moved = Arc::clone(moved);
        follower.kinds = resources.iter().map(kind).collect();
        let needed: BTreeSet<Kind> =
            inner.beside.apps.values().flat_map(|app| app.kinds.iter().cloned()).collect();
        inner.kinds.retain(|kind, watched| {
            let keep = needed.contains(kind);
            if !keep {
                watched.task.abort();
            }
            keep
        });
        for resource in resources.iter().filter(|r| r.watchable) {
            let kind = kind(resource);
            let same = inner
                .kinds
                .get(&kind)
                .is_some_and(|w| w.blind.is_none() || w.resource == *resource);
            if same {
                continue;
            }
            // What cannot be watched any more is listed every few minutes.
            let room = inner.kinds.contains_key(&kind) || inner.kinds.len() < WATCHES_MAX;
            let started = self.start(resource, inner.beside.depth(&kind), room);
            if let Some(old) = inner.kinds.insert(kind, started) {
                old.task.abort();
            }
        }
    }

    /// Judges the objects of `app` by its rules from now on. Objects that were well are not kept, so kinds that a
    /// rule is about, or was, are looked at anew.
    pub(super) fn judge_by(&self, app: &AppName, rules: &Arc<Rules>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let follower = inner.beside.apps.entry(app.clone()).or_default();
        if follower.rules == *rules {
            return;
        }
        let before = std::mem::replace(&mut follower.rules, Arc::clone(rules));
        let is_about = |(group, kind): &Kind| {
            [&before, rules].iter().any(|rules| rules.set.touches(group, kind))
        };
        let touched: Vec<Kind> =
            inner.kinds.keys().filter(|kind| is_about(kind)).cloned().collect();
        for kind in touched {
            let Some(old) = inner.kinds.remove(&kind) else { continue };
            old.task.abort();
            let room = inner.kinds.len() < WATCHES_MAX;
            let started = self.start(&old.resource, inner.beside.depth(&kind), room);
            inner.kinds.insert(kind, started);
        }
    }

    fn start(&self, resource: &Resource, depth: Depth, watched: bool) -> Watched {
        let kind = (resource.group.clone(), resource.kind.clone());
        let this = Weak::clone(&self.this);
        let sink = move |change| match this.upgrade() {
            Some(mirror) => {
                mirror.take(&kind, change);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        };
        let (client, place) = (self.cluster.clone(), resource.clone());
        let task = if watched {
            tokio::spawn(cluster::watch(client, place, depth, Ownership::LABEL, sink))
        } else {
            tokio::spawn(cluster::poll(client, place, depth, Ownership::LABEL, sink))
        };
        Watched {
            resource: resource.clone(),
            depth,
            task: task.abort_handle(),
            blind: Some("not listed yet".to_owned()),
            seen: BTreeMap::new(),
            absent: BTreeSet::new(),
        }
    }

    /// Waits until each of `resources` was listed or could not be, at most `longest`.
    pub(super) async fn ready(&self, resources: &[Resource], longest: Duration) {
        let until = tokio::time::Instant::now() + longest;
        loop {
            let told = self.synced.notified();
            let waiting = {
                let inner = self.lock();
                resources.iter().any(|r| {
                    let kind = (r.group.clone(), r.kind.clone());
                    let blind = inner.kinds.get(&kind).and_then(|w| w.blind.as_deref());
                    blind == Some("not listed yet")
                })
            };
            if !waiting || tokio::time::timeout_at(until, told).await.is_err() {
                return;
            }
        }
    }

    /// One change of one watch.
    fn take(&self, kind: &Kind, change: Change) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(watched) = inner.kinds.get_mut(kind) else { return };
        let mut moved = BTreeSet::new();
        match change {
            Change::Listed { items, resource_version, rewound } => {
                if rewound {
                    tracing::warn!(
                        kind = kind.1,
                        "the API server went back in time; all is looked at anew"
                    );
                    moved.extend(watched.seen.values().filter_map(|s| s.meta.owner.clone()));
                    watched.seen.clear();
                    inner
                        .beside
                        .writes
                        .retain(|key, _| (&key.group, &key.kind) != (&kind.0, &kind.1));
                }
                self.relist(watched, &inner.beside, &items, &resource_version, &mut moved);
                self.synced.notify_waiters();
            }
            Change::Present(object) => {
                self.present(watched, &inner.beside, &object, &mut moved);
            }
            Change::Absent(object) => {
                let key = key_of(&watched.resource, &object);
                let older = |seen: &Seen| newer(&seen.meta.resource_version, version(&object));
                if !watched.seen.get(&key).is_some_and(older)
                    && let Some(seen) = watched.seen.remove(&key)
                {
                    moved.extend(seen.meta.owner);
                }
            }
            Change::Blind(fault) => {
                let first = watched.blind.is_none();
                watched.blind = Some(crate::fault::causes(&fault));
                if first {
                    tracing::warn!(
                        kind = kind.1,
                        fault = crate::fault::causes(&fault),
                        "cannot look"
                    );
                }
                self.synced.notify_waiters();
            }
        }
        for owner in moved {
            let app = AppName::parse(&owner).ok().and_then(|app| inner.beside.apps.get(&app));
            if let Some(follower) = app {
                follower.moved.notify_one();
            }
        }
    }

    /// Replaces what is known by a list; own writes that the list does not know yet stay.
    fn relist(
        &self,
        watched: &mut Watched,
        beside: &Beside,
        items: &[Value],
        listed: &str,
        moved: &mut BTreeSet<String>,
    ) {
        let was_blind = watched.blind.take().is_some();
        let keys: BTreeSet<ObjectKey> =
            items.iter().map(|item| key_of(&watched.resource, item)).collect();
        watched.seen.retain(|key, seen| {
            let stays = keys.contains(key) || newer(&seen.meta.resource_version, listed);
            if !stays {
                moved.extend(seen.meta.owner.clone());
            }
            stays
        });
        watched.absent.clear();
        for item in items {
            self.present(watched, beside, item, moved);
        }
        if was_blind {
            // Who waited for this kind is woken even if nothing of it exists.
            moved.extend(watched.seen.values().filter_map(|s| s.meta.owner.clone()));
        }
    }

    /// Takes one object, unless something newer is known.
    fn present(
        &self,
        watched: &mut Watched,
        beside: &Beside,
        object: &Value,
        moved: &mut BTreeSet<String>,
    ) {
        let key = key_of(&watched.resource, object);
        let known = watched.seen.get(&key);
        if known.is_some_and(|k| newer(&k.meta.resource_version, version(object))) {
            return;
        }
        let Some(seen) = self.judge(watched, beside, &key, object) else { return };
        let same = known.is_some_and(|k| {
            k.meta.uid == seen.meta.uid
                && k.meta.sig == seen.meta.sig
                && !(unowned(&key, &seen) && newer(version(object), &k.meta.resource_version))
                && k.meta.owner == seen.meta.owner
                && k.meta.id == seen.meta.id
                && k.meta.deleting == seen.meta.deleting
                && k.verdict == seen.verdict
        });
        if !same {
            moved.extend(known.and_then(|k| k.meta.owner.clone()));
            moved.extend(seen.meta.owner.clone());
        }
        watched.absent.remove(&key);
        watched.seen.insert(key, seen);
    }

    /// Reads and judges.
    fn judge(
        &self,
        watched: &Watched,
        beside: &Beside,
        key: &ObjectKey,
        object: &Value,
    ) -> Option<Seen> {
        let write = beside.writes.get(key);
        let owner = object.pointer("/metadata/labels").and_then(|l| l.get(Ownership::LABEL));
        let app = owner.and_then(Value::as_str).and_then(|owner| AppName::parse(owner).ok());
        // Whose marks do not matter for an object without an owner; any App's view of it is the same.
        let app = app.or_else(|| AppName::parse("none").ok())?;
        let meta = LiveMeta::read(object, &Ownership::of(&app))?;
        let context = HealthContext {
            applied_rv: write.map(|w| w.version.clone()),
            since_apply: write.map(|w| self.clock.elapsed().saturating_sub(w.at)),
            has_status: Some(watched.resource.has_status),
            ..HealthContext::at(self.clock.now())
        };
        let verdict = match beside.apps.get(&app) {
            Some(follower) => plan::health_with(object, &context, &follower.rules.set),
            None => plan::health(object, &context),
        };
        let well = verdict.is_settled() && verdict.recheck.is_none();
        let whole = watched.depth == Depth::Full;
        let object = (whole && !well).then(|| object.clone());
        Some(Seen { meta, verdict, object })
    }

    /// What is known about `key`.
    pub(super) fn look(&self, key: &ObjectKey) -> Look {
        let inner = self.lock();
        let Some(watched) = inner.kinds.get(&(key.group.clone(), key.kind.clone())) else {
            return Look::NotSeen;
        };
        match (watched.seen.get(key), &watched.blind) {
            (Some(seen), None) => Look::Present(Box::new(seen.meta.clone())),
            (_, Some(_)) => Look::Blind,
            (None, None) if watched.absent.contains(key) => Look::Absent,
            (None, None) => Look::NotSeen,
        }
    }

    /// Why the kind of `key` cannot be looked at, if it cannot.
    pub(super) fn blind(&self, key: &ObjectKey) -> Option<String> {
        self.lock().kinds.get(&(key.group.clone(), key.kind.clone()))?.blind.clone()
    }

    /// The verdict on `key` at this moment; `None` when it is not seen.
    pub(super) fn verdict(&self, key: &ObjectKey) -> Option<Verdict> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let watched = inner.kinds.get_mut(&(key.group.clone(), key.kind.clone()))?;
        let object = watched.seen.get(key)?.object.clone();
        if let Some(object) = object
            && let Some(again) = self.judge(watched, &inner.beside, key, &object)
        {
            watched.seen.insert(key.clone(), again);
        }
        watched.seen.get(key).map(|seen| seen.verdict.clone())
    }

    /// Takes the answer to a write of ours, so that its own event is no news.
    pub(super) fn wrote(&self, key: &ObjectKey, answer: &Value) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let at = self.clock.elapsed();
        inner.beside.writes.insert(key.clone(), Write { version: version(answer).to_owned(), at });
        if let Some(watched) = inner.kinds.get_mut(&(key.group.clone(), key.kind.clone())) {
            self.present(watched, &inner.beside, answer, &mut BTreeSet::new());
        }
    }

    /// Takes what a single read found.
    pub(super) fn found(&self, key: &ObjectKey, object: Option<&Value>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(watched) = inner.kinds.get_mut(&(key.group.clone(), key.kind.clone())) else {
            return;
        };
        if object.is_some() {
            watched.absent.remove(key);
        } else {
            inner.beside.writes.remove(key);
            watched.seen.remove(key);
            watched.absent.insert(key.clone());
        }
    }

    /// What is known about `key` is in doubt: the next look is a read.
    pub(super) fn doubt(&self, key: &ObjectKey) {
        if let Some(watched) = self.lock().kinds.get_mut(&(key.group.clone(), key.kind.clone())) {
            watched.seen.remove(key);
            watched.absent.remove(key);
        }
    }
}

fn version(object: &Value) -> &str {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("")
}

/// Marked as ours by an API server that tells no owners of fields: any change may be one of ours. A child with copied
/// marks has another id.
fn unowned(key: &ObjectKey, seen: &Seen) -> bool {
    seen.meta.sig.is_none() && seen.meta.id.as_deref() == Some(&key.id())
}

/// Whether version `a` is newer than `b`. Versions are opaque by contract and numbers in fact (and by
/// contract since 1.35); what is no number is never newer, so that the event wins.
fn newer(a: &str, b: &str) -> bool {
    matches!((a.parse::<u64>(), b.parse::<u64>()), (Ok(a), Ok(b)) if a > b)
}

pub(super) fn key_of(resource: &Resource, object: &Value) -> ObjectKey {
    let text = |name: &str| {
        let value = object.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    ObjectParts {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: text("namespace"),
        name: text("name"),
    }
    .into()
}

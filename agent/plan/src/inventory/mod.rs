//! What this agent applied for one App: the only list from which anything is ever deleted.
//!
//! Written as the union of old and new before the first write of a sync, so that a crash at any
//! request leaves nothing behind that nobody remembers. An entry leaves only after its object was
//! seen to be gone, to be another one, or to be not ours.

mod shard;

mod rebuild;
mod seal;

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Epoch, ObjectKey};
use serde::{Deserialize, Serialize};

use crate::desired::Desired;
use crate::keyed::Fingerprint;
use crate::live::{Live, LiveMeta, Sight};
use crate::order::{Position, layer};
use crate::seeded::Bug;
use crate::signature::Signature;

pub use seal::InventoryError;
pub use shard::Sharded;

/// One object that was applied, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version it was last applied with, such as `v1`.
    #[serde(rename = "v")]
    pub version: String,
    /// Uid in the answer to our write; `None` while claimed and not yet answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Body that was last applied; `None` while claimed and not yet answered.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Fingerprint>,
    /// Signature in the answer to our write.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sig: Option<Signature>,
    /// `resourceVersion` in the answer to our write.
    #[serde(rename = "r", default, skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Place in the order when it was last desired; deletion goes the other way.
    #[serde(rename = "p", default)]
    pub position: Position,
    /// What its author made it depend on; these are deleted after it.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<ObjectKey>,
    /// A write was announced and not yet answered: look before believing the rest.
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Uid of the object that is being replaced: it was deleted, or is about to be, to be made again.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub recreating: Option<String>,
    /// A Job that ran to its end: its absence afterwards is no drift.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
}

/// Answer to one write of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Version it was applied with.
    pub version: String,
    /// Body that was applied.
    pub fingerprint: Fingerprint,
    /// Metadata of the answer.
    pub meta: LiveMeta,
}

/// Everything that one App has in this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    app: AppName,
    epoch: Epoch,
    entries: BTreeMap<ObjectKey, Entry>,
    runs: BTreeMap<String, HookRun>,
}

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HookResult {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
}

/// One run of a hook, noted before it is made, so that no restart, clean-up or lost answer makes it run
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// The object that runs.
    pub key: ObjectKey,
    /// Version it is addressed with.
    pub version: String,
    /// Its uid, once our create was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// How it ended, once that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HookResult>,
}

impl Inventory {
    /// Nothing applied yet.
    pub fn new(app: AppName) -> Inventory {
        Inventory { app, epoch: Epoch::NONE, entries: BTreeMap::new(), runs: BTreeMap::new() }
    }

    /// From entries that are known from elsewhere: a file, a test.
    pub fn of(app: AppName, epoch: Epoch, entries: BTreeMap<ObjectKey, Entry>) -> Inventory {
        Inventory { app, epoch, entries, runs: BTreeMap::new() }
    }

    /// Puts each entry behind what its author named, as applying it did, when its place is known by its kind only.
    pub fn place_by_links(&mut self) {
        let places =
            self.entries.iter().map(|(key, entry)| (key.clone(), entry.position)).collect();
        let needs = self.entries.iter().map(|(key, entry)| (key.clone(), entry.depends_on.clone()));
        // In a ring nobody is before anybody.
        let Ok(layers) = layer(&places, &needs.collect()) else { return };
        for (key, position) in layers {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.position = position;
            }
        }
    }

    /// The App.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Epoch of the grant that was last claimed.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// All entries by key.
    pub fn entries(&self) -> &BTreeMap<ObjectKey, Entry> {
        &self.entries
    }

    /// One entry.
    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Old ∪ new: what to store before the first write of a sync. Entries that a write may touch are
    /// pending; what was known about them stays known.
    #[must_use]
    pub fn claim(&self, desired: &Desired, epoch: Epoch) -> Inventory {
        self.claim_seeded(desired, epoch, None)
    }

    /// [`Inventory::claim`] with a bug on purpose.
    pub(crate) fn claim_seeded(
        &self,
        desired: &Desired,
        epoch: Epoch,
        bug: Option<Bug>,
    ) -> Inventory {
        let mut next = self.clone();
        next.epoch = epoch;
        if bug == Some(Bug::ClaimAfter) {
            return next;
        }
        for (key, object) in desired.objects() {
            let known = next.entries.remove(key);
            let pending = known.as_ref().is_none_or(|e| {
                e.pending || e.uid.is_none() || e.applied != Some(object.fingerprint)
            });
            let known = known.unwrap_or_else(|| Entry::claimed(object.version()));
            let entry = Entry {
                position: object.position,
                depends_on: object.depends_on.clone(),
                pending,
                ..known
            };
            next.entries.insert(key.clone(), entry);
        }
        next
    }

    /// Completes claims that were never answered (the agent died in between): a live object that
    /// carries label, tracking id *and* an Apply entry of our manager can only be our own write.
    /// Returns how many; store the inventory before deleting anything on the strength of it.
    pub fn confirm(&mut self, live: &Live) -> usize {
        let app = self.app.as_str();
        let mut confirmed = 0;
        for (key, entry) in self.entries.iter_mut().filter(|(_, e)| e.uid.is_none()) {
            let Sight::Present(meta) = live.get(key) else { continue };
            let ours = meta.owner.as_deref() == Some(app)
                && meta.id.as_deref() == Some(&key.id())
                && meta.sig.is_some();
            if ours {
                entry.uid = Some(meta.uid.clone());
                confirmed += 1;
            }
        }
        confirmed
    }

    /// Notes the answer to a write.
    pub fn record(&mut self, key: &ObjectKey, written: Written) {
        let known = self.entries.remove(key);
        let known = known.unwrap_or_else(|| Entry::claimed(&written.version));
        let entry = Entry {
            version: written.version,
            uid: Some(written.meta.uid),
            applied: Some(written.fingerprint),
            sig: written.meta.sig,
            resource_version: written.meta.resource_version,
            pending: false,
            recreating: None,
            finished: false,
            ..known
        };
        self.entries.insert(key.clone(), entry);
    }

    /// Notes that an object is about to be deleted in order to be made again. Store the inventory before
    /// the delete; the answer to the create ([`Inventory::record`]) ends it.
    pub fn recreating(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.recreating.clone_from(&entry.uid);
        }
    }

    /// All runs of hooks that are remembered.
    pub fn runs(&self) -> &BTreeMap<String, HookRun> {
        &self.runs
    }

    /// Notes that a hook is about to be made: store the inventory before the create.
    pub fn hook_announced(&mut self, run: &str, key: &ObjectKey, version: &str) {
        let known =
            HookRun { key: key.clone(), version: version.to_owned(), uid: None, result: None };
        self.runs.entry(run.to_owned()).or_insert(known);
    }

    /// Notes the answer to the create of a hook.
    pub fn hook_started(&mut self, run: &str, uid: &str) {
        if let Some(known) = self.runs.get_mut(run) {
            known.uid = Some(uid.to_owned());
        }
    }

    /// Notes how a hook ended: store the inventory before anything follows from it. The first end holds.
    pub fn hook_ended(&mut self, run: &str, result: HookResult) {
        if let Some(known) = self.runs.get_mut(run) {
            known.result.get_or_insert(result);
        }
    }

    /// Drops a run of an earlier release whose object is gone.
    pub fn hook_forget(&mut self, run: &str) {
        self.runs.remove(run);
    }

    /// Notes that a Job ran to its end.
    pub fn finish(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.finished = true;
        }
    }

    /// Drops an entry: only after its object was seen to be gone, another one, or not ours.
    pub fn forget(&mut self, key: &ObjectKey) {
        self.entries.remove(key);
    }
}

impl Entry {
    /// Announced, nothing known.
    pub fn claimed(version: &str) -> Entry {
        Entry {
            version: version.to_owned(),
            uid: None,
            applied: None,
            sig: None,
            resource_version: String::new(),
            position: Position::default(),
            depends_on: BTreeSet::new(),
            pending: true,
            recreating: None,
            finished: false,
        }
    }
}

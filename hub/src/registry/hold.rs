//! What people hold back for a while: freezes of the fleet or of one App, and named blockers that waves
//! wait for. (Cordons and pins stand in the record of their cluster.)

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;
use model::AppName;
use serde::{Deserialize, Serialize};

use crate::store::{Store, Table};

use super::{Error, Registry, lock, read_all_of, record};

/// Freezes at one time: one for the fleet and one for each of many Apps.
pub const FREEZES_MAX: usize = 1_000;

/// Blockers that are known at one time; a strategy names a handful.
pub const BLOCKERS_MAX: usize = 1_000;

/// What keys of freezes begin with, in [`Table::Meta`].
pub(super) const FREEZE: &[u8] = b"freeze\0";

/// What keys of blockers begin with, in [`Table::Meta`].
const BLOCKER: &[u8] = b"blocker\0";

/// What a freeze is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FreezeScope {
    /// Every App.
    Fleet,
    /// One App.
    App(AppName),
}

impl FreezeScope {
    /// Whether it is about this App.
    pub fn is_about(&self, app: &AppName) -> bool {
        match self {
            FreezeScope::Fleet => true,
            FreezeScope::App(name) => name == app,
        }
    }
}

impl fmt::Display for FreezeScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FreezeScope::Fleet => f.pad("fleet"),
            FreezeScope::App(name) => f.pad(&format!("app/{name}")),
        }
    }
}

impl From<FreezeScope> for String {
    fn from(scope: FreezeScope) -> String {
        scope.to_string()
    }
}

impl TryFrom<String> for FreezeScope {
    type Error = String;

    fn try_from(text: String) -> Result<FreezeScope, String> {
        if text == "fleet" {
            return Ok(FreezeScope::Fleet);
        }
        let name = text
            .strip_prefix("app/")
            .ok_or_else(|| format!("`{text}` is neither `fleet` nor `app/NAME`"))?;
        AppName::parse(name).map(FreezeScope::App).map_err(|e| e.to_string())
    }
}

/// No new grant leaves while it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRecord {
    /// Of what.
    pub scope: FreezeScope,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was set.
    pub at: Timestamp,
    /// When it ends by itself; never when absent.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl FreezeRecord {
    /// Whether it still stands at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// One blocker. That it is here means that somebody or something sets and clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockerRecord {
    /// It blocks. Of a watched one: what its endpoint last answered; at first, and after each start, it does.
    pub set: bool,
    /// In words.
    pub message: String,
    /// Who changed it last.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The endpoint that decides, when it is a watched one.
    #[serde(default)]
    pub watch: Option<String>,
}

/// A blocker with its name, as it is stored.
#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    blocker: BlockerRecord,
}

pub(super) fn read_blockers(store: &dyn Store) -> Result<BTreeMap<String, BlockerRecord>, Error> {
    let named = read_all_of(store, BLOCKER, |named: &Named| named.name.clone())?;
    Ok(named.into_values().map(|named| (named.name, unasked(named.blocker))).collect())
}

/// What an endpoint said before this hub began may be long over.
fn unasked(blocker: BlockerRecord) -> BlockerRecord {
    match &blocker.watch {
        Some(url) => BlockerRecord { set: true, message: not_asked(url), ..blocker },
        None => blocker,
    }
}

fn not_asked(url: &str) -> String {
    format!("{url} was not asked yet")
}

impl Registry {
    /// All freezes, also those that ended by themselves a moment ago; ask each whether it
    /// [holds](FreezeRecord::holds).
    pub fn freezes(&self) -> Vec<FreezeRecord> {
        self.read().freezes.values().cloned().collect()
    }

    /// Sets a freeze; one of the same scope is replaced, and those that ended by themselves go.
    pub fn set_freeze(&self, freeze: FreezeRecord) -> Result<(), Error> {
        let _names = lock(&self.0.names);
        let now = freeze.at;
        let ended: Vec<FreezeScope> = {
            let cache = self.read();
            let ended = cache.freezes.values().filter(|f| !f.holds(now) && f.scope != freeze.scope);
            let ended: Vec<_> = ended.map(|f| f.scope.clone()).collect();
            let left = cache.freezes.len() - ended.len();
            if left >= FREEZES_MAX && !cache.freezes.contains_key(&freeze.scope) {
                return Err(Error::TooMany { kind: "freeze", max: FREEZES_MAX });
            }
            ended
        };
        let scope = freeze.scope.to_string();
        let batch = self.batch().put(Table::Meta, key(FREEZE, &scope), record::encode(&freeze));
        let batch = ended
            .iter()
            .fold(batch, |batch, scope| batch.delete(Table::Meta, key(FREEZE, &scope.to_string())));
        self.audited(batch, (&freeze.by, "freeze", &scope, &freeze.reason), now)?;
        let mut cache = self.write();
        cache.freezes.retain(|scope, _| !ended.contains(scope));
        cache.freezes.insert(freeze.scope.clone(), freeze);
        drop(cache);
        self.tell();
        Ok(())
    }

    /// Lifts a freeze; an error when there is none that holds.
    pub fn lift_freeze(
        &self,
        scope: &FreezeScope,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<FreezeRecord, Error> {
        let _names = lock(&self.0.names);
        let name = scope.to_string();
        let freeze = self.read().freezes.get(scope).filter(|f| f.holds(now)).cloned();
        let freeze =
            freeze.ok_or_else(|| Error::NotFound { kind: "freeze", name: name.clone() })?;
        let batch = self.batch().delete(Table::Meta, key(FREEZE, &name));
        self.audited(batch, (by, "unfreeze", &name, reason), now)?;
        self.write().freezes.remove(scope);
        self.tell();
        Ok(freeze)
    }

    /// All blockers that somebody or something sets and clears.
    pub fn blockers(&self) -> Arc<BTreeMap<String, BlockerRecord>> {
        Arc::clone(&self.read().blockers)
    }

    /// Sets or clears a blocker by hand; it is known from then on. One that was watched is not any more.
    pub fn set_blocker(
        &self,
        name: &str,
        set: bool,
        message: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<BlockerRecord, Error> {
        let message = message.to_owned();
        let blocker = BlockerRecord { set, message, by: by.to_owned(), at: now, watch: None };
        self.put_blocker(name, blocker, if set { "set" } else { "clear" })
    }

    /// Has an HTTP endpoint decide. Until its first answer the blocker blocks.
    pub fn watch_blocker(
        &self,
        name: &str,
        url: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<BlockerRecord, Error> {
        let (message, watch) = (not_asked(url), Some(url.to_owned()));
        let blocker = BlockerRecord { set: true, message, by: by.to_owned(), at: now, watch };
        self.put_blocker(name, blocker, "watch")
    }

    /// What the endpoint of a watched blocker answered; nothing when it is not asked any more, or says the same.
    pub(crate) fn answer_blocker(
        &self,
        name: &str,
        url: &str,
        set: bool,
        message: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let _names = lock(&self.0.names);
        let known = self.blockers().get(name).cloned();
        let Some(known) = known.filter(|known| known.watch.as_deref() == Some(url)) else {
            return Ok(());
        };
        if known.set == set && known.message == message {
            return Ok(());
        }
        let (message, by) = (message.to_owned(), "hub".to_owned());
        let blocker = BlockerRecord { set, message, by, at: now, ..known };
        self.write_blocker(name, &blocker, if set { "set" } else { "clear" })
    }

    /// Forgets a blocker: a gate that names it has no producer from then on, and stays closed.
    pub fn forget_blocker(
        &self,
        name: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<BlockerRecord, Error> {
        let _names = lock(&self.0.names);
        let unknown = || Error::NotFound { kind: "blocker", name: name.to_owned() };
        let blocker = self.read().blockers.get(name).cloned().ok_or_else(unknown)?;
        let batch = self.batch().delete(Table::Meta, key(BLOCKER, name));
        self.audited(batch, (by, "forget", &format!("blocker/{name}"), ""), now)?;
        Arc::make_mut(&mut self.write().blockers).remove(name);
        self.tell();
        Ok(blocker)
    }

    fn put_blocker(
        &self,
        name: &str,
        blocker: BlockerRecord,
        verb: &str,
    ) -> Result<BlockerRecord, Error> {
        let _names = lock(&self.0.names);
        let known = self.blockers();
        if known.len() >= BLOCKERS_MAX && !known.contains_key(name) {
            return Err(Error::TooMany { kind: "blocker", max: BLOCKERS_MAX });
        }
        drop(known);
        self.write_blocker(name, &blocker, verb)?;
        Ok(blocker)
    }

    /// With the lock of names held.
    fn write_blocker(&self, name: &str, blocker: &BlockerRecord, verb: &str) -> Result<(), Error> {
        let named = Named { name: name.to_owned(), blocker: blocker.clone() };
        let batch = self.batch().put(Table::Meta, key(BLOCKER, name), record::encode(&named));
        let object = format!("blocker/{name}");
        self.audited(batch, (&blocker.by, verb, &object, &blocker.message), blocker.at)?;
        Arc::make_mut(&mut self.write().blockers).insert(name.to_owned(), blocker.clone());
        self.tell();
        Ok(())
    }
}

/// The key of a record that has no table of its own.
pub(super) fn key(prefix: &[u8], name: &str) -> Vec<u8> {
    [prefix, name.as_bytes()].concat()
}

//! Who belongs to the fleet: clusters, their join tokens, sources; the people, what they hold back
//! (freezes, blockers, cordons, pins), and the audit of what they did.
//!
//! Typed records over the store, written through, read from memory. Every call that writes blocks on
//! the disk: async callers use `spawn_blocking`. Writers of one cluster queue behind one another, those
//! of different clusters share a write of the disk.
//!
//! Deliberately absent: certificates and secrets (only hashes of them), rollouts, and the health that
//! agents report.

mod cluster;
mod token;
mod source;
mod hold;
mod access;
mod audit;
mod record;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use model::{ClusterName, ClusterUid, LeaseEpoch, SourceName};
use tokio::sync::watch;

use crate::store::{self, Batch, Store, Table};

pub use access::{AccessRecord, TOKENS_OF_PEOPLE_MAX};
pub use audit::AuditRow;
pub use hold::{BLOCKERS_MAX, BlockerRecord, FREEZES_MAX, FreezeRecord, FreezeScope};
pub use record::{
    ALL_APPS, ClusterRecord, ClusterState, MarkRecord, SourceRecord, TokenId, TokenRecord,
    TokenState,
};
pub use token::{Bound, NewToken, TokenFault};

/// Join tokens that may be open (unused and not expired) at one time.
pub const OPEN_TOKENS_MAX: usize = 1_000;

/// Tries of a compare-and-set before we give up. Writers of one cluster queue behind a lock, so that
/// more than one try means another process, and the lease ends that.
const TRIES_MAX: usize = 8;

/// Locks that the clusters share: enough that 64 agents that connect at once seldom meet.
const SHARDS: usize = 64;

/// The records of the fleet; cloning it gives another handle on the same ones.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    lease: LeaseEpoch,
    cache: RwLock<Cache>,
    version: watch::Sender<u64>,
    /// Held by whoever writes a record of a cluster, or a token of it.
    shards: [Mutex<()>; SHARDS],
    /// Held by whoever needs a name to stay free, or a number to stay unused.
    names: Mutex<()>,
    audit: Mutex<audit::Head>,
}

/// What the store holds, in memory. Changed only after the store said `Ok`.
#[derive(Default)]
struct Cache {
    clusters: Arc<BTreeMap<ClusterUid, ClusterRecord>>,
    by_name: BTreeMap<ClusterName, ClusterUid>,
    sources: Arc<BTreeMap<SourceName, SourceRecord>>,
    tokens: BTreeMap<TokenId, TokenRecord>,
    freezes: BTreeMap<FreezeScope, FreezeRecord>,
    blockers: Arc<BTreeMap<String, BlockerRecord>>,
    access: BTreeMap<String, AccessRecord>,
}

/// Why the registry did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken.
    #[error("{kind} `{name}` exists already; delete it first or take another name")]
    AlreadyExists {
        /// `cluster`, `source` or `token`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing has that name.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// `cluster`, `source`, `freeze`, `blocker` or `token`.
        kind: &'static str,
        /// The name or uid.
        name: String,
    },
    /// Too many tokens wait to be used.
    #[error(
        "{OPEN_TOKENS_MAX} join tokens are open; let some be used or expire, or delete clusters that never joined"
    )]
    TooManyTokens,
    /// So many of a kind are enough.
    #[error("there are {max} {kind}s already; take away those that nobody needs")]
    TooMany {
        /// `freeze`, `blocker` or `token`.
        kind: &'static str,
        /// The bound.
        max: usize,
    },
    /// The serial is neither the active nor the pending one of the cluster.
    #[error("certificate serial {serial} of cluster `{cluster}` is not the current one")]
    NotCurrent {
        /// The cluster's name.
        cluster: ClusterName,
        /// In hexadecimal digits.
        serial: String,
    },
    /// The cluster was revoked.
    #[error("cluster `{0}` is revoked; delete it and add it again")]
    Revoked(ClusterName),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Registry {
    /// Reads all records. `lease` stands in every write: a hub that lost it writes nothing more.
    pub fn open(store: Arc<dyn Store>, lease: LeaseEpoch) -> Result<Registry, Error> {
        let clusters = read_all(&*store, Table::Cluster, |c: &ClusterRecord| c.uid.clone())?;
        let by_name = clusters.values().map(|c| (c.name.clone(), c.uid.clone())).collect();
        let sources = read_all(&*store, Table::Source, |s: &SourceRecord| s.name.clone())?;
        let tokens = read_all(&*store, Table::Token, |t: &TokenRecord| t.id)?;
        let freezes = read_all_of(&*store, hold::FREEZE, |f: &FreezeRecord| f.scope.clone())?;
        let blockers = hold::read_blockers(&*store)?;
        let access = read_all_of(&*store, access::ACCESS, |a: &AccessRecord| a.name.clone())?;
        let cache = Cache {
            clusters: Arc::new(clusters),
            by_name,
            sources: Arc::new(sources),
            tokens,
            freezes,
            blockers: Arc::new(blockers),
            access,
        };
        let head = audit::Head::read(&*store)?;
        Ok(Registry(Arc::new(Inner {
            store,
            lease,
            cache: RwLock::new(cache),
            version: watch::Sender::new(0),
            shards: std::array::from_fn(|_| Mutex::new(())),
            names: Mutex::new(()),
            audit: Mutex::new(head),
        })))
    }

    /// Rises with every change of a record.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Cache> {
        self.0.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cache to change it, after the store said `Ok`; tell the others by [`Registry::tell`].
    fn write(&self) -> RwLockWriteGuard<'_, Cache> {
        self.0.cache.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }

    fn shard(&self, uid: &ClusterUid) -> MutexGuard<'_, ()> {
        let hash = crc32fast::hash(uid.to_string().as_bytes()) as usize;
        lock(&self.0.shards[hash % SHARDS])
    }

    fn batch(&self) -> Batch {
        Batch::new(self.0.lease)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cache = self.read();
        f.debug_struct("Registry")
            .field("lease", &self.0.lease)
            .field("clusters", &cache.clusters.len())
            .field("sources", &cache.sources.len())
            .finish_non_exhaustive()
    }
}

/// What is guarded stays right when a holder panics: caches change in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all<K: Ord, V: serde::de::DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    key_of: impl Fn(&V) -> K,
) -> Result<BTreeMap<K, V>, Error> {
    read_rows(store, table, b"", key_of)
}

/// Records whose keys in [`Table::Meta`] begin with `prefix`: few and small ones that need no table.
fn read_all_of<K: Ord, V: serde::de::DeserializeOwned>(
    store: &dyn Store,
    prefix: &[u8],
    key_of: impl Fn(&V) -> K,
) -> Result<BTreeMap<K, V>, Error> {
    read_rows(store, Table::Meta, prefix, key_of)
}

fn read_rows<K: Ord, V: serde::de::DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    prefix: &[u8],
    key_of: impl Fn(&V) -> K,
) -> Result<BTreeMap<K, V>, Error> {
    let rows = store.scan(table, prefix)?;
    let decode = |(key, value): store::Row| {
        let record = record::decode::<V>(table, &key, &value)?;
        Ok((key_of(&record), record))
    };
    rows.into_iter().map(decode).collect()
}

//! Where the hub keeps its decisions: typed reads and one write, [`Store::commit`].
//!
//! Everything blocks; async callers go through one writer thread or `spawn_blocking`. Health reports
//! are deliberately absent: they are soft state that agents send again.

pub mod log;
pub mod backup;
mod guarded;
mod memory;
mod pack;
mod sled;

#[cfg(test)]
mod contract;

use std::fmt;

use model::LeaseEpoch;

pub use guarded::SledStore;
pub use log::Log;
pub use memory::Memory;
pub use pack::{pack, unpack};

/// Longest key, in bytes: the longest we make is an App's name and a sequence number, 72 bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// Largest value, in bytes: a snapshot of an App with 10,000 clusters is about 2 MiB; anything larger
/// belongs among the content files.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Largest sum of keys and values of one batch, in bytes: one largest value with room for small ones.
pub const BATCH_BYTES_MAX: usize = VALUE_BYTES_MAX + (4 << 20);

/// A namespace of keys. The names are part of the format on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The hub itself: format version, fleet id, lease epoch.
    Meta,
    /// Clusters by uid.
    Cluster,
    /// Join tokens by token id.
    Token,
    /// Sources by name.
    Source,
    /// Events by `app \0 seq (8 bytes, big endian)`.
    Event,
    /// Snapshots by app.
    Snapshot,
    /// Authority keys and certificates.
    Pki,
    /// What people did, by time and number.
    Audit,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 8] = [
        Table::Meta,
        Table::Cluster,
        Table::Token,
        Table::Source,
        Table::Event,
        Table::Snapshot,
        Table::Pki,
        Table::Audit,
    ];

    /// The name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Cluster => "cluster",
            Table::Token => "token",
            Table::Source => "source",
            Table::Event => "event",
            Table::Snapshot => "snapshot",
            Table::Pki => "pki",
            Table::Audit => "audit",
        }
    }
}

/// What must hold for a batch to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The key has no value.
    Absent(Table, Vec<u8>),
    /// The key has a value.
    Present(Table, Vec<u8>),
    /// The key has exactly this value.
    Equals(Table, Vec<u8>, Vec<u8>),
}

impl Guard {
    /// The table it looks at.
    pub fn table(&self) -> Table {
        match self {
            Guard::Absent(table, _) | Guard::Present(table, _) | Guard::Equals(table, _, _) => {
                *table
            }
        }
    }
}

/// The writes of one decision: all or nothing. When a key stands in it more than once, the last put
/// holds, and a delete holds over any put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Checked in the same instant as the writes.
    pub guards: Vec<Guard>,
    /// The lease under which the writer acts; refused when the store has seen a newer one. `None` only
    /// for taking the lease itself and for offline tools.
    pub lease: Option<LeaseEpoch>,
    /// Values to set.
    pub puts: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// Keys to remove.
    pub deletes: Vec<(Table, Vec<u8>)>,
}

impl Batch {
    /// An empty batch under `lease`.
    pub fn new(lease: LeaseEpoch) -> Batch {
        Batch { lease: Some(lease), ..Batch::default() }
    }

    /// Adds a value.
    #[must_use]
    pub fn put(
        mut self,
        table: Table,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Batch {
        self.puts.push((table, key.into(), value.into()));
        self
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(mut self, table: Table, key: impl Into<Vec<u8>>) -> Batch {
        self.deletes.push((table, key.into()));
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Batch {
        self.guards.push(guard);
        self
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The seam between the hub and its storage. One contract suite holds for every implementation.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Rows whose key begins with `prefix` and is not less than `from`, in key order, at most `limit`.
    fn scan_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error>;

    /// All rows whose key begins with `prefix`, in key order.
    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Vec<Row>, Error> {
        self.scan_from(table, prefix, prefix, usize::MAX)
    }

    /// Writes all or nothing. Durable when it returns `Ok`; after an error nothing of it is visible.
    fn commit(&self, batch: Batch) -> Result<(), Error>;

    /// Takes the lease: returns an epoch higher than any before, from now on the only one accepted.
    fn take_lease(&self) -> Result<LeaseEpoch, Error> {
        self.take_lease_above(LeaseEpoch(0))
    }

    /// Takes the lease with an epoch that is also higher than `above`; for a store that was restored.
    fn take_lease_above(&self, above: LeaseEpoch) -> Result<LeaseEpoch, Error>;

    /// The newest lease that was taken.
    fn newest_lease(&self) -> Result<LeaseEpoch, Error>;
}

/// A key as people read it: text as it is, other bytes as `\xx`.
pub fn show_key(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

/// Refuses a batch that no implementation would take.
fn check_sizes(batch: &Batch) -> Result<(), Error> {
    let mut sum = 0;
    for (table, key, value) in &batch.puts {
        let over = |bytes, max| Err(Error::TooLarge { table: *table, bytes, max });
        if key.len() > KEY_BYTES_MAX {
            return over(key.len(), KEY_BYTES_MAX);
        }
        if value.len() > VALUE_BYTES_MAX {
            return over(value.len(), VALUE_BYTES_MAX);
        }
        sum += key.len() + value.len();
        if sum > BATCH_BYTES_MAX {
            return over(sum, BATCH_BYTES_MAX);
        }
    }
    Ok(())
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A guard did not hold: somebody else was faster. Read again and decide again.
    #[error("{table} changed meanwhile", table = .0.name())]
    Conflict(Table),
    /// A newer lease exists: another hub took over.
    #[error("lease {ours} is older than the store's {newest}: another hub took over")]
    LeaseLost {
        /// The writer's.
        ours: LeaseEpoch,
        /// The store's.
        newest: LeaseEpoch,
    },
    /// Another process holds the data directory.
    #[error("the data directory is in use by another process")]
    Locked,
    /// What is read is not what was written.
    #[error("the store is damaged at {place}: {what}; restore the newest backup")]
    Corrupt {
        /// Table and key, or file.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// No space, or another fault of the disk. Nothing of it is visible; only a hub that dies before the
    /// disk works again may find it written when it starts.
    #[error("write to the store")]
    Io(#[source] std::io::Error),
    /// A key, a value or a batch is larger than the store takes.
    #[error("{bytes} bytes for {table} are over the limit of {max}", table = .table.name())]
    TooLarge {
        /// Where.
        table: Table,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

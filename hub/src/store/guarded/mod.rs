//! The store on a disk: sled below, and round it all that makes a lie of the disk show.
//!
//! - One writer thread commits groups: a group is on the disk before any of its callers hears `Ok`.
//! - Every row is sealed with a hash of its key and its bytes ([`seal`]), checked at each read.
//! - The [`head`] holds a number, a count and a sum over the seals per table; it is written in the same
//!   group and computed anew at open, so that a missing or an old row shows too.
//! - The [`anchor`], a file of its own, holds the newest head, so that a file that was cut shows.
//! - Guards and the lease are checked by the writer thread, so that nothing can come between.
//!
//! The seals are plain SHA-256 and the sums add: they find what disks, file systems and bugs do. They do
//! not stop a person who may write into the data directory, and no key kept there could.
//!
//! Deliberately absent: repair. What is damaged is refused and named; the way back is a backup.

mod writer;
mod rows;
mod reserve;
mod anchor;
mod head;
mod value;
mod seal;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        mpsc::{SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::Duration,
};

use model::LeaseEpoch;

use super::{Batch, Error, Row, Store, Table, check_sizes};
use rows::Rows;
use writer::{Answer, Ask, Job};

/// How long a caller waits for its group. A disk that needs longer is broken; a healthy one needs
/// milliseconds.
const COMMIT_WAIT: Duration = Duration::from_mins(1);

/// A store in a folder, held by one process at a time.
pub struct SledStore {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// What readers and the writer share.
struct Shared {
    rows: RwLock<Rows>,
    /// Locked as long as it is open; stands last so that it is let go last.
    _lock: File,
}

impl SledStore {
    /// Opens or makes the store in `dir` and checks every row. [`Error::Locked`] when another process
    /// has it; [`Error::Corrupt`] when anything is not as it was written.
    pub fn open(dir: &Path) -> Result<SledStore, Error> {
        SledStore::open_with_headroom(dir, rows::HEADROOM_BYTES)
    }

    /// Like [`SledStore::open`]; a write that would leave less than `headroom` bytes free on the disk is
    /// refused before it touches the database.
    pub fn open_with_headroom(dir: &Path, headroom: u64) -> Result<SledStore, Error> {
        fs::create_dir_all(dir).map_err(Error::Io)?;
        // The fleet's signing keys are in here: whoever can read it can be any cluster, and the hub.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(Error::Io)?;
        let lock = take_lock(dir)?;
        let rows = RwLock::new(Rows::open(dir, headroom)?);
        let shared = Arc::new(Shared { rows, _lock: lock });
        let (queue, writer) = writer::start(shared.clone()).map_err(Error::Io)?;
        Ok(SledStore { shared, queue: Some(queue), writer: Some(writer) })
    }

    fn ask(&self, ask: Ask) -> Result<LeaseEpoch, Error> {
        let fault = |kind, text: &str| Error::Io(std::io::Error::new(kind, text));
        let stopped = || fault(std::io::ErrorKind::BrokenPipe, "the writer of the store stopped");
        let (job, answer) = Job::new(ask);
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                fault(std::io::ErrorKind::WouldBlock, "too many writes wait for the disk")
            }
            TrySendError::Disconnected(_) => stopped(),
        })?;
        match answer.recv_timeout(COMMIT_WAIT) {
            Answer::Ready(result) => result,
            Answer::Late => Err(fault(
                std::io::ErrorKind::TimedOut,
                "the disk did not finish the write in a minute; whether it arrives is not known",
            )),
            Answer::Gone => Err(stopped()),
        }
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SledStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.shared.read().value(&value::row_key(table, key))
    }

    fn scan_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        self.shared.read().scan(table, prefix, from, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        check_sizes(&batch)?;
        self.ask(Ask::commit(batch)).map(|_| ())
    }

    fn take_lease_above(&self, above: LeaseEpoch) -> Result<LeaseEpoch, Error> {
        self.ask(Ask::Lease { above })
    }

    fn newest_lease(&self) -> Result<LeaseEpoch, Error> {
        Ok(self.shared.read().lease())
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // it only fails when the writer panicked, which each of its callers was told
            let _ended = writer.join();
        }
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("rows", &*self.shared.read()).finish_non_exhaustive()
    }
}

fn take_lock(dir: &Path) -> Result<File, Error> {
    let path: PathBuf = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(Error::Io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked),
        Err(TryLockError::Error(error)) => Err(Error::Io(error)),
    }
}

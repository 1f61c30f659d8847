//! The only file that names `sled`: rows of bytes on a disk, written in durable groups.
//!
//! sled alone does not keep what it says, so this file works round what was seen of 0.34.7: `flush` is no
//! `fsync` (we sync the file ourselves), a kill during open leaves a `snap.*.generating` that the next open
//! chokes on (we remove it first; the caller holds a lock), a value or a leaf of over 128 KiB becomes a file
//! that nobody syncs (the caller writes pieces of at most 4 KiB), and damage makes it panic (we catch it).
//! That what it returns is what was written is checked one level up, in `guarded`.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::Error;

/// Memory for pages, in bytes. The hub reads a record when it starts and seldom later; real use of
/// memory is three to five times this figure.
const CACHE_BYTES: u64 = 8 << 20;

/// Tries to open while a dropped handle of this very process still holds sled's file, and the wait
/// between them: its threads end within milliseconds, on a machine that is overloaded within seconds.
const OPEN_TRIES: u32 = 500;
const OPEN_WAIT: Duration = Duration::from_millis(20);

/// A row to set, or to remove.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An open database.
pub(super) struct Disk {
    db: sled::Db,
    /// Our own handle on sled's file, to sync it.
    file: File,
    place: String,
}

impl Disk {
    /// Opens or makes the database in `dir`. The caller holds the lock of the data directory.
    pub(super) fn open(dir: &Path) -> Result<Disk, Error> {
        let place = dir.display().to_string();
        fs::create_dir_all(dir).map_err(Error::Io)?;
        remove_unfinished_snapshots(dir).map_err(Error::Io)?;
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let mut tries = 0;
        let db = loop {
            tries += 1;
            match catch(&place, || config.open()) {
                Err(Error::Io(error)) if tries < OPEN_TRIES && is_lock_fault(&error) => {
                    thread::sleep(OPEN_WAIT);
                }
                other => break other?,
            }
        };
        let file = File::open(dir.join("db")).map_err(Error::Io)?;
        sync_folder(dir).map_err(Error::Io)?;
        Ok(Disk { db, file, place })
    }

    /// The row of `key`, as sled has it.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(catch(&self.place, || self.db.get(key))?.map(|value| value.to_vec()))
    }

    /// Shows every row, in the order of keys.
    pub(super) fn each(&self, mut show: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        catch(&self.place, || {
            for row in self.db.iter() {
                let (key, value) = row?;
                show(&key, &value);
            }
            Ok(())
        })
    }

    /// Writes all or nothing; on the disk when it returns `Ok`. After an error the handle can only be
    /// read, and what it returns for these keys is undefined: open again.
    pub(super) fn apply(&self, changes: Vec<Change>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        catch(&self.place, || {
            self.db.apply_batch(batch)?;
            self.db.flush()
        })?;
        self.file.sync_data().map_err(Error::Io)
    }
}

/// A snapshot that was being written when its process was killed.
fn remove_unfinished_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text.starts_with("snap.") && text.ends_with(".generating") {
            fs::remove_file(PathBuf::from(dir).join(&name))?;
        }
    }
    Ok(())
}

pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn is_lock_fault(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// Runs sled, and takes a panic of it as what it is: a file that it cannot make sense of.
fn catch<T>(place: &str, run: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let corrupt = |what: String| Err(Error::Corrupt { place: place.to_owned(), what });
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Error::Io(error)),
        Ok(Err(sled::Error::Corruption { .. })) => {
            corrupt("a file of it was cut or changed on the disk".to_owned())
        }
        Ok(Err(error)) => corrupt(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            corrupt(format!("it cannot be read ({})", text.unwrap_or("no reason given")))
        }
    }
}

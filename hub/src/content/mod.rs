//! What agents pull: objects and manifests as files named by the hash of what is in them.
//!
//! A file is whole or not there: written under another name, synced, renamed, and its folder synced
//! before anybody hears that it is kept. Every read checks the hash; what does not fit is set aside under
//! `damaged/`, named in the error, and comes back when it is put again.
//!
//! Calls block: async callers use `spawn_blocking`. Deliberately absent: what the bytes mean.

mod sweep;
mod cache;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use model::Digest;

pub(crate) use cache::Cache;
pub use sweep::Swept;

/// Largest object, in bytes: what an API server takes in one request.
pub const OBJECT_BYTES_MAX: usize = 3 << 19;

/// Largest manifest, in bytes: 5,000 objects with names of the longest kind stay below.
pub const MANIFEST_BYTES_MAX: usize = 8 << 20;

/// Memory for what was read last, in bytes: the objects of a release that many agents pull at once.
const CACHE_BYTES: usize = 16 << 20;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One Kubernetes object in canonical form.
    Object,
    /// The list of objects of one release for one cluster.
    Manifest,
}

impl Kind {
    /// The most bytes of one.
    pub fn bytes_max(self) -> usize {
        match self {
            Kind::Object => OBJECT_BYTES_MAX,
            Kind::Manifest => MANIFEST_BYTES_MAX,
        }
    }
}

/// The files, with the newest ones in memory.
pub struct Content {
    dir: PathBuf,
    cache: Mutex<Cache>,
    /// Makes the names of unfinished files differ.
    unfinished: AtomicU64,
}

/// Why the content did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not those that the name stands for.
    #[error("content {digest} is damaged; it was set aside as `{}` and returns with the next fetch", set_aside.display())]
    Damaged {
        /// Its name.
        digest: Digest,
        /// Where it is now.
        set_aside: PathBuf,
    },
    /// More than we keep in one piece.
    #[error("{what} of {bytes} bytes is over the limit of {max}")]
    TooLarge {
        /// `object` or `manifest`.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// No space, or another fault of the disk.
    #[error("content file `{}`", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Content {
    /// Opens or makes the folder, and removes what a killed process left unfinished. One process at a
    /// time: the store's lock guards it too.
    pub fn open(dir: &Path) -> Result<Content, Error> {
        let unfinished = dir.join("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        fs::create_dir_all(&unfinished).map_err(at(&unfinished))?;
        // a process that was killed between a rename and its sync told nobody, but left a file that
        // looks kept
        for entry in fs::read_dir(dir).map_err(at(dir))? {
            sync_folder(&entry.map_err(at(dir))?.path())?;
        }
        sync_folder(dir)?;
        let cache = Mutex::new(Cache::new(CACHE_BYTES));
        Ok(Content { dir: dir.to_owned(), cache, unfinished: AtomicU64::new(0) })
    }

    /// Keeps `bytes`; on the disk when it returns. Putting the same again costs one look at the disk.
    pub fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        self.put_all(kind, [(digest, bytes)])?;
        Ok(digest)
    }

    /// Keeps many, with one sync of each folder; on the disk when it returns. The digests are the
    /// caller's: they were computed when the bytes were rendered.
    pub fn put_all<'a>(
        &self,
        kind: Kind,
        items: impl IntoIterator<Item = (Digest, &'a [u8])>,
    ) -> Result<(), Error> {
        let mut folders = BTreeSet::new();
        for (digest, bytes) in items {
            if bytes.len() > kind.bytes_max() {
                let what = match kind {
                    Kind::Object => "object",
                    Kind::Manifest => "manifest",
                };
                return Err(Error::TooLarge { what, bytes: bytes.len(), max: kind.bytes_max() });
            }
            if !self.is_whole(&digest, bytes.len())? {
                folders.insert(self.write(&digest, bytes)?);
            }
        }
        for folder in &folders {
            sync_folder(folder)?;
        }
        if folders.is_empty() { Ok(()) } else { sync_folder(&self.dir) }
    }

    /// The bytes of a name; `None` when they were never kept.
    pub fn get(&self, digest: &Digest) -> Result<Option<Bytes>, Error> {
        if let Some(bytes) = self.cache().get(digest) {
            return Ok(Some(bytes));
        }
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at(&path))?,
        };
        let mut bytes = Vec::new();
        let limit = MANIFEST_BYTES_MAX as u64 + 1;
        file.take(limit).read_to_end(&mut bytes).map_err(at(&path))?;
        if Digest::of(&bytes) != *digest {
            return Err(self.set_aside(digest, &path)?);
        }
        let bytes = Bytes::from(bytes);
        self.cache().put(*digest, bytes.clone());
        Ok(Some(bytes))
    }

    /// Whether there is a file of that name; its bytes are checked when they are read.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// `ab/cdef…`: folders of 1/256 of all files each.
    fn path(&self, digest: &Digest) -> PathBuf {
        let name = hex::encode(digest.as_bytes());
        self.dir.join(&name[..2]).join(&name[2..])
    }

    /// A file that was cut counts as not there, so that putting it again mends it.
    fn is_whole(&self, digest: &Digest, bytes: usize) -> Result<bool, Error> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(meta) => Ok(meta.len() == bytes as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// Writes a file in its place; the folder that holds it is still to be synced.
    fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<PathBuf, Error> {
        let n = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.dir.join("unfinished").join(n.to_string());
        let path = self.path(digest);
        let folder = path.parent().unwrap_or(&self.dir).to_owned();
        let written = OpenOptions::new().create_new(true).write(true).open(&unfinished).and_then(
            |mut file| {
                file.write_all(bytes)?;
                file.sync_all()?;
                fs::create_dir_all(&folder)?;
                fs::rename(&unfinished, &path)
            },
        );
        if let Err(error) = written {
            // what remains of it is in the way of the space that we lack
            let _removed = fs::remove_file(&unfinished);
            return Err(at(&path)(error));
        }
        Ok(folder)
    }

    /// Moves a damaged file out of the way and gives the error that says so.
    fn set_aside(&self, digest: &Digest, path: &Path) -> Result<Error, Error> {
        let folder = self.dir.join("damaged");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let set_aside = folder.join(hex::encode(digest.as_bytes()));
        fs::rename(path, &set_aside).map_err(at(path))?;
        Ok(Error::Damaged { digest: *digest, set_aside })
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(at(path))
}

//! The files of a commit, read from the object database.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use gix::{
    ObjectId, Repository, ThreadSafeRepository, bstr::ByteSlice, objs::tree::EntryKind as Mode,
};
use render::{EntryKind, Tree, TreeEntry, TreeError};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Longest symbolic link, in bytes; what Linux allows.
const LINK_BYTES_MAX: u64 = 4096;

/// Entries of one folder.
const ENTRIES_MAX: usize = 50_000;

/// A commit's files. Holds the mirror open; what is read of it was written before it was made.
pub(super) struct GitTree {
    repo: ThreadSafeRepository,
    root: ObjectId,
    /// Raised when something that must be there cannot be read: then the mirror is built anew.
    damage: Arc<AtomicBool>,
}

impl GitTree {
    pub(super) fn new(
        repo: ThreadSafeRepository,
        root: ObjectId,
        damage: Arc<AtomicBool>,
    ) -> GitTree {
        GitTree { repo, root, damage }
    }

    fn failed(&self, path: &str, error: &dyn fmt::Display) -> TreeError {
        self.damage.store(true, Ordering::Relaxed);
        TreeError::Other { path: path.to_owned(), why: error.to_string() }
    }

    /// The object at a path, and what it is.
    fn find(&self, repo: &Repository, path: &str) -> Result<(ObjectId, Mode), TreeError> {
        if path.is_empty() {
            return Ok((self.root, Mode::Tree));
        }
        let other = |error: &dyn fmt::Display| self.failed(path, error);
        let root = repo.find_tree(self.root).map_err(|error| other(&error))?;
        let found = root.lookup_entry(path.split('/')).map_err(|error| other(&error))?;
        let entry = found.ok_or_else(|| TreeError::NotFound(path.to_owned()))?;
        Ok((entry.object_id(), entry.mode().kind()))
    }
}

impl Tree for GitTree {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        let repo = self.repo.to_thread_local();
        let (id, Mode::Tree) = self.find(&repo, dir)? else {
            return Err(TreeError::NotFound(dir.to_owned()));
        };
        let other = |error: &dyn fmt::Display| self.failed(dir, error);
        let tree = repo.find_tree(id).map_err(|error| other(&error))?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|error| other(&error))?;
            if entries.len() == ENTRIES_MAX {
                let (bytes, limit) = (entries.len() as u64 + 1, ENTRIES_MAX as u64);
                return Err(TreeError::TooLarge { path: dir.to_owned(), bytes, limit });
            }
            let id = entry.object_id();
            let size = || repo.find_header(id).map(|header| header.size());
            let (kind, bytes) = match entry.mode().kind() {
                Mode::Tree => (EntryKind::Dir, 0),
                Mode::Commit => (EntryKind::Submodule, 0),
                Mode::Blob | Mode::BlobExecutable => {
                    (EntryKind::File, size().map_err(|error| other(&error))?)
                }
                Mode::Link => {
                    let bytes = size().map_err(|error| other(&error))?;
                    if bytes > LINK_BYTES_MAX {
                        let (path, limit) = (dir.to_owned(), LINK_BYTES_MAX);
                        return Err(TreeError::TooLarge { path, bytes, limit });
                    }
                    let blob = repo.find_object(id).map_err(|error| other(&error))?;
                    (EntryKind::Link { target: blob.data.to_str_lossy().into_owned() }, 0)
                }
            };
            entries.push(TreeEntry {
                name: entry.filename().to_str_lossy().into_owned(),
                kind,
                bytes,
            });
        }
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let repo = self.repo.to_thread_local();
        let (id, Mode::Blob | Mode::BlobExecutable) = self.find(&repo, path)? else {
            return Err(TreeError::NotFound(path.to_owned()));
        };
        let bytes = repo.find_header(id).map_err(|error| self.failed(path, &error))?.size();
        if bytes > FILE_BYTES_MAX {
            return Err(TreeError::TooLarge {
                path: path.to_owned(),
                bytes,
                limit: FILE_BYTES_MAX,
            });
        }
        let blob = repo.find_object(id).map_err(|error| self.failed(path, &error))?;
        Ok(blob.detach().data)
    }

    fn id(&self, path: &str) -> Option<String> {
        let (id, mode) = self.find(&self.repo.to_thread_local(), path).ok()?;
        Some(format!("{mode:?} {id}"))
    }
}

//! The working copy on disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::Reason;
use render::{EntryKind, Tree, TreeEntry, TreeError};

use crate::error::{Error, Exit};

/// Largest file that is read, in bytes; the hub refuses larger ones too.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A folder on disk, seen as the hub sees a commit.
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Takes the root of a repository.
    pub(crate) fn open(root: &Path) -> Result<Folder, Error> {
        if root.is_dir() {
            return Ok(Folder { root: root.to_owned() });
        }
        let message = format!("`{}` is not a folder", root.display());
        Err(Error::because(Exit::Usage, Reason::BadRequest, message)
            .hint("give the root of the fleet repository, where `apps/` is"))
    }

    /// Where a path of the tree is on disk. No part of it may be a link: a commit has no way out of its
    /// own tree, so neither may its picture on disk.
    fn at(&self, path: &str) -> Result<PathBuf, TreeError> {
        let mut place = self.root.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            let about = fs::symlink_metadata(&place).map_err(|e| fault(path, &e))?;
            if part == ".." || about.is_symlink() {
                return Err(TreeError::NotFound(path.to_owned()));
            }
        }
        Ok(place)
    }
}

fn fault(path: &str, error: &io::Error) -> TreeError {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind());
    if absent {
        TreeError::NotFound(path.to_owned())
    } else {
        TreeError::Other { path: path.to_owned(), why: error.to_string() }
    }
}

impl Tree for Folder {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(dir)?).map_err(|e| fault(dir, &e))? {
            let entry = entry.map_err(|e| fault(dir, &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == ".git" {
                continue;
            }
            entries.push(describe(&entry.path(), name).map_err(|e| fault(dir, &e))?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let file = self.at(path)?;
        let about = fs::symlink_metadata(&file).map_err(|e| fault(path, &e))?;
        if about.len() > FILE_BYTES_MAX {
            let (path, bytes) = (path.to_owned(), about.len());
            return Err(TreeError::TooLarge { path, bytes, limit: FILE_BYTES_MAX });
        }
        fs::read(&file).map_err(|e| fault(path, &e))
    }
}

fn describe(path: &Path, name: String) -> io::Result<TreeEntry> {
    let about = fs::symlink_metadata(path)?;
    let kind = if about.is_symlink() {
        EntryKind::Link { target: fs::read_link(path)?.to_string_lossy().into_owned() }
    } else if about.is_dir() {
        EntryKind::Dir
    } else {
        EntryKind::File
    };
    Ok(TreeEntry { name, kind, bytes: about.len() })
}

//! Named bytes in a folder: each value a file with mode 0600, replaced as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;

/// Only the agent's own user.
const FILE_MODE: u32 = 0o600;
/// Likewise.
const FOLDER_MODE: u32 = 0o700;

/// A folder that only one agent uses.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
    /// Holds the lock for as long as anybody uses the folder.
    _lock: Arc<File>,
}

fn fault(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |cause| Error::Io { what, path, cause }
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Directory, Error> {
        folder(root)?;
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let lock = options.open(&path).map_err(fault("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Directory { root: root.to_owned(), _lock: Arc::new(lock) }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::Locked(root.display().to_string()))
            }
            Err(std::fs::TryLockError::Error(cause)) => Err(fault("lock", &path)(cause)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.root.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(fault("read", &path)(e)),
        }
    }

    /// Writes beside, flushes, renames, flushes the folder: a crash leaves the old value or the new one.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.root.join(name);
        let parent = path.parent().unwrap_or(&self.root);
        folder(parent)?;
        let beside = path.with_added_extension("new");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(FILE_MODE);
        let mut file = options.open(&beside).map_err(fault("open", &beside))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(cause) = written {
            // Half a file is of no use, and its bytes may be what others need.
            drop(std::fs::remove_file(&beside));
            return Err(fault("write", &path)(cause));
        }
        std::fs::rename(&beside, &path).map_err(fault("replace", &path))?;
        File::open(parent).and_then(|f| f.sync_all()).map_err(fault("flush", parent))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(fault("remove", &path)(e)),
        }
    }

    /// Names in the folder `prefix`, which ends with `/`.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let path = self.root.join(prefix);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fault("list", &path)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fault("list", &path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // left behind by a crash
            if Path::new(&name).extension().is_none_or(|e| e != "new") {
                names.push(format!("{prefix}{name}"));
            }
        }
        names.sort();
        Ok(names)
    }
}

fn folder(path: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
    made.map_err(fault("make folder", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_value_reads_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Directory::open(dir.path()).unwrap();
        vault.put("grants/web", b"one").unwrap();
        vault.put("grants/web", b"two").unwrap();
        assert_eq!(vault.get("grants/web").unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(vault.list("grants/").unwrap(), ["grants/web"]);
        let mode = std::fs::metadata(dir.path().join("grants/web")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_agents_cannot_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::open(dir.path()).unwrap();
        assert!(matches!(Directory::open(dir.path()), Err(Error::Locked(_))));
        drop(first);
        assert!(Directory::open(dir.path()).is_ok());
    }

    #[test]
    fn a_full_disk_leaves_the_old_value_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Directory::open(dir.path()).unwrap();
        vault.put("grants/web", b"one").unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("grants/web.new")).unwrap();
        let fault = vault.put("grants/web", b"two").unwrap_err();
        assert!(fault.is_full(), "{fault:?}");
        assert_eq!(vault.get("grants/web").unwrap().as_deref(), Some(&b"one"[..]));
    }
}

//! A fresh folder with the files of one job, for the child alone; gone when dropped.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use render::Job;
use tempfile::TempDir;

/// The folder, with `files` to read and `home` to write.
#[derive(Debug)]
pub(crate) struct Room {
    folder: TempDir,
}

impl Room {
    /// Writes the files of a job below `place`.
    pub(crate) fn fill(place: &Path, job: &Job) -> io::Result<Room> {
        let folder = tempfile::Builder::new().prefix("render-").tempdir_in(place)?;
        let room = Room { folder };
        let mut make = fs::DirBuilder::new();
        make.mode(0o700).recursive(true);
        make.create(room.files())?;
        make.create(room.home())?;
        for (path, bytes) in &job.files {
            let path = Path::new(path);
            // They were read from a tree that has no such names; a second look costs nothing.
            let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
            if !plain {
                let why = format!("`{}` is not a path inside the room", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let place = room.files().join(path);
            if let Some(parent) = place.parent() {
                make.create(parent)?;
            }
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(place)?;
            io::Write::write_all(&mut file, bytes)?;
        }
        Ok(room)
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

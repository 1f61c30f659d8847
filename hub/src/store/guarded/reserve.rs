//! Room that is given up when the disk is full: opening the database writes a little, and without it
//! a store that met a full disk could not even be read.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Two segments of the database and a snapshot of a large one.
const RESERVE_BYTES: usize = 2 << 20;

/// A file that holds nothing but its place.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn new(dir: &Path) -> Reserve {
        Reserve(dir.join("reserve"))
    }

    /// Takes the room, if it is not taken and there is any. A store without it works; it is only the
    /// less able to meet a full disk.
    pub(super) fn take(&self) {
        let taken = fs::metadata(&self.0).is_ok_and(|meta| meta.len() == RESERVE_BYTES as u64);
        if taken {
            return;
        }
        // written out, because a hole in a file takes no room
        let written = File::create(&self.0).and_then(|mut file| {
            file.write_all(&vec![0x5a; RESERVE_BYTES])?;
            file.sync_all()
        });
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.0.display(), "no room for a reserve");
            self.give();
        }
    }

    /// Gives the room to whoever comes first.
    pub(super) fn give(&self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "could not give up the reserve");
            }
            _ => {}
        }
    }
}

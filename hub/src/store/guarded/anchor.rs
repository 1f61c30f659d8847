//! A file beside the database that remembers the newest head: a database that was cut, or put back as it
//! was yesterday, is whole in itself, and shows only here.
//!
//! Written after the database was synced, so that it is never ahead of it. It is synced only now and then:
//! a kill loses nothing of it, and after a power cut it may lag, which makes it less strict and never wrong.
//! Two places are used in turn, each with a checksum, so that a torn write leaves the other.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::store::{Error, sled::sync_folder};

use super::{head::Head, seal::Tag};

/// Distance of the two places: a sector, the unit in which disks tear.
const STRIDE: u64 = 512;

/// `number (8) · tag of the head (32) · first half of the checksum (16)`.
const BYTES: usize = 8 + 32 + 16;

/// One sync of this file for so many groups.
const SYNC_EVERY: u64 = 256;

#[derive(Debug)]
pub(super) struct Anchor {
    file: File,
    path: PathBuf,
    /// Number and head's tag of the newest place that is whole.
    newest: (u64, Tag),
}

impl Anchor {
    /// Opens the anchor of a database that is there, or makes one for a database that is to be made.
    pub(super) fn open(path: &Path, fresh: bool) -> Result<Anchor, Error> {
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).create(fresh).truncate(false).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(path, "is missing"));
            }
            other => other.map_err(Error::Io)?,
        };
        let places = [0, STRIDE].map(|offset| {
            let mut bytes = [0; BYTES];
            file.read_exact_at(&mut bytes, offset).ok().and_then(|()| decode(&bytes))
        });
        let newest = places.into_iter().flatten().max_by_key(|(n, _)| *n);
        match newest {
            None if fresh => {
                let head = Head::default();
                let mut anchor = Anchor { file, path: path.to_owned(), newest: (0, [0; 32]) };
                anchor.write(&head, &head.seal().tag)?;
                anchor.file.sync_all().map_err(Error::Io)?;
                path.parent().map_or(Ok(()), sync_folder).map_err(Error::Io)?;
                Ok(anchor)
            }
            None => Err(corrupt(path, "was changed on the disk")),
            Some((n, _)) if fresh && n > 0 => {
                Err(corrupt(path, &format!("knows {n} writes, but the database is missing")))
            }
            Some(newest) => Ok(Anchor { file, path: path.to_owned(), newest }),
        }
    }

    /// Number of the newest group that was acknowledged, as far as this file knows.
    pub(super) fn n(&self) -> u64 {
        self.newest.0
    }

    /// Refuses a head that is older than the newest one, or another one of the same number.
    pub(super) fn check(&self, head: &Head) -> Result<(), String> {
        let (n, tag) = self.newest;
        if head.n < n {
            return Err(format!("ends at write {}, but write {n} was acknowledged", head.n));
        }
        if head.n == n && head.seal().tag != tag {
            return Err(format!("holds another write {n} than the one that was acknowledged"));
        }
        Ok(())
    }

    /// Remembers `head`, whose database is synced.
    pub(super) fn write(&mut self, head: &Head, tag: &Tag) -> Result<(), Error> {
        let offset = (head.n % 2) * STRIDE;
        self.file.write_all_at(&encode(head.n, tag), offset).map_err(Error::Io)?;
        if head.n.is_multiple_of(SYNC_EVERY) {
            self.sync().map_err(Error::Io)?;
        }
        self.newest = (head.n, *tag);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn replace_file_for_tests(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(%error, path = %self.path.display(), "could not sync");
        }
    }
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::Corrupt { place: path.display().to_string(), what: what.to_owned() }
}

fn checksum(number_and_tag: &[u8]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(number_and_tag).into();
    let (half, _) = hash.split_first_chunk().expect("32 bytes hold 16");
    *half
}

fn encode(n: u64, tag: &Tag) -> Vec<u8> {
    let body = [&n.to_be_bytes()[..], tag].concat();
    let check = checksum(&body);
    [&body[..], &check].concat()
}

fn decode(bytes: &[u8; BYTES]) -> Option<(u64, Tag)> {
    let (body, check) = bytes.split_at(BYTES - 16);
    let (n, tag) = body.split_first_chunk()?;
    (checksum(body) == *check).then_some((u64::from_be_bytes(*n), tag.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_place_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        let mut anchor = Anchor::open(&path, true).unwrap();
        let head = |n| Head { n, ..Head::default() };
        for n in 1..=4 {
            anchor.write(&head(n), &head(n).seal().tag).unwrap();
        }
        anchor.file.write_all_at(b"torn", 0).unwrap();
        drop(anchor);
        let anchor = Anchor::open(&path, false).unwrap();
        assert_eq!(anchor.n(), 3);
        assert!(anchor.check(&head(4)).is_ok());
        assert!(anchor.check(&head(2)).unwrap_err().contains("write 3 was acknowledged"));
        let other = Head { lease: 9, ..head(3) };
        assert!(anchor.check(&other).unwrap_err().contains("another write 3"));
    }
}

//! Archives of charts on the disk, by their SHA-256, and which one belongs to which chart and version: written once and never
//! changed, so that a version which has other bytes later is noticed.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use render::Wanted;
use serde::{Deserialize, Serialize};

use crate::source::{artifact::sha256, lock};

/// Bytes of all archives: some ten thousand charts. Over it the oldest go, and are fetched again when they are wanted.
const SHELF_BYTES_MAX: u64 = 1 << 30;

/// The folder.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    /// One writer at a time.
    writing: Mutex<()>,
}

/// What was fetched first for a chart of one version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pin {
    repository: String,
    name: String,
    version: String,
    /// SHA-256 of the archive, 64 digits.
    sha256: String,
    /// Who was given it: how the hub proved itself.
    given_to: BTreeSet<String>,
}

impl Shelf {
    pub(super) fn open(dir: &Path) -> io::Result<Shelf> {
        fs::create_dir_all(dir)?;
        Ok(Shelf { dir: dir.to_owned(), writing: Mutex::default() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The archive, when it was given to whoever proves himself so, and is whole. A damaged one is as good as none.
    pub(super) fn get(&self, wanted: &Wanted, proof: &str) -> Option<Vec<u8>> {
        let pin = self.pin(wanted)?;
        let bytes =
            pin.given_to.contains(proof).then(|| fs::read(self.archive(&pin.sha256)).ok())??;
        (sha256(&bytes) == pin.sha256).then_some(bytes)
    }

    /// Keeps an archive. When the chart had other bytes before, nothing is kept and both SHA-256 are returned.
    pub(super) fn put(
        &self,
        wanted: &Wanted,
        proof: &str,
        bytes: &[u8],
    ) -> io::Result<Option<(String, String)>> {
        let _alone = lock(&self.writing);
        let own = sha256(bytes);
        let mut pin = match self.pin(wanted) {
            Some(pin) if pin.sha256 != own => return Ok(Some((pin.sha256, own))),
            Some(pin) => pin,
            None => Pin {
                repository: wanted.repository.clone(),
                name: wanted.name.clone(),
                version: wanted.version.clone(),
                sha256: own,
                given_to: BTreeSet::new(),
            },
        };
        self.make_room(bytes.len() as u64)?;
        self.write(&self.archive(&pin.sha256), bytes)?;
        pin.given_to.insert(proof.to_owned());
        self.write(&self.pin_file(wanted), &serde_json::to_vec(&pin)?)?;
        Ok(None)
    }

    fn pin(&self, wanted: &Wanted) -> Option<Pin> {
        let bytes = fs::read(self.pin_file(wanted)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn pin_file(&self, wanted: &Wanted) -> PathBuf {
        let Wanted { repository, name, version } = wanted;
        let key = sha256(format!("{repository}\n{name}\n{version}").as_bytes());
        self.dir.join(format!("{key}.json"))
    }

    fn archive(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}.tgz"))
    }

    /// Whole or not at all, and durable.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let half = path.with_extension("tmp");
        let mut file = fs::File::create(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(half, path)?;
        fs::File::open(&self.dir)?.sync_all()
    }

    /// Takes the oldest archives away; what is known of them stays.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut archives = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let (entry, packed) = entry.map(|entry| {
                let packed = entry.path().extension().is_some_and(|ending| ending == "tgz");
                (entry, packed)
            })?;
            if packed {
                let about = entry.metadata()?;
                archives.push((about.modified()?, about.len(), entry.path()));
            }
        }
        let mut total: u64 = archives.iter().map(|(_, bytes, _)| bytes).sum::<u64>() + more;
        archives.sort();
        for (_, bytes, path) in archives {
            if total <= SHELF_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

/// The first digits: enough to tell two apart by eye.
pub(super) fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(version: &str) -> Wanted {
        Wanted {
            repository: "https://charts.example".to_owned(),
            name: "redis".to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn a_version_keeps_the_bytes_it_had_first_also_when_its_archive_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(dir.path()).unwrap();
        assert_eq!(shelf.get(&wanted("1.0.0"), "me"), None);
        assert_eq!(shelf.put(&wanted("1.0.0"), "me", b"one").unwrap(), None);
        assert_eq!(shelf.get(&wanted("1.0.0"), "me").as_deref(), Some(&b"one"[..]));
        assert_eq!(shelf.get(&wanted("1.0.1"), "me"), None);
        // Who did not show that he may read it does not get it.
        assert_eq!(shelf.get(&wanted("1.0.0"), "other"), None);
        fs::remove_file(shelf.archive(&sha256(b"one"))).unwrap();
        let shelf = Shelf::open(dir.path()).unwrap();
        assert_eq!(shelf.get(&wanted("1.0.0"), "me"), None);
        let changed = shelf.put(&wanted("1.0.0"), "me", b"two").unwrap();
        assert_eq!(changed, Some((sha256(b"one"), sha256(b"two"))));
        assert_eq!(shelf.get(&wanted("1.0.0"), "me"), None, "the new bytes are not served");
        assert_eq!(shelf.put(&wanted("1.0.0"), "other", b"one").unwrap(), None);
        assert!(shelf.get(&wanted("1.0.0"), "me").is_some());
    }

    #[test]
    fn a_damaged_archive_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(dir.path()).unwrap();
        shelf.put(&wanted("1.0.0"), "me", b"one").unwrap();
        fs::write(shelf.archive(&sha256(b"one")), b"two").unwrap();
        assert_eq!(shelf.get(&wanted("1.0.0"), "me"), None);
        assert_eq!(shelf.put(&wanted("1.0.0"), "me", b"one").unwrap(), None);
        assert!(shelf.get(&wanted("1.0.0"), "me").is_some());
    }
}

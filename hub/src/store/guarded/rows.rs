//! What the store holds: an index of every row's seal in memory, the rows themselves on the disk.
//!
//! The index (about 100 bytes a row) is what lets a read notice a row that is missing or old while the hub
//! runs, lets the writer check guards without the disk, and gives the seal that a new one replaces.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use model::LeaseEpoch;

use crate::store::{
    Error, Row, Table,
    sled::{Change, Disk},
};

use super::{
    anchor::Anchor,
    head::Head,
    reserve::Reserve,
    seal::{self, Kind, Sealed, Tag},
    value::{HEAD_KEY, List, piece_key, row_key, show, sum_name, sum_of},
};

/// Free space that a write leaves alone, in bytes: sled grows by segments of 512 KiB, moves old ones, and
/// writes a snapshot when it is opened. It stops for good at a full disk, so it should never meet one.
pub(super) const HEADROOM_BYTES: u64 = 8 << 20;

/// Space that a group may take on the disk, as a multiple of its bytes: leaves are written again whole.
const WRITE_FACTOR: u64 = 4;

/// One row, in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) tag: Tag,
    /// Of a value that stands in pieces: how many.
    pub(super) pieces: u32,
}

/// Every row in memory, by key.
pub(super) type Index = BTreeMap<Vec<u8>, Entry>;

/// New rows and removed ones, by key.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<(Entry, Vec<u8>)>>;

pub(super) struct Rows {
    dir: PathBuf,
    /// [`HEADROOM_BYTES`], except in a test that wants to hit the end.
    headroom: u64,
    reserve: Reserve,
    /// Absent after a failed write until it could be opened again.
    disk: Option<Disk>,
    index: Index,
    head: Head,
    anchor: Anchor,
    failed: Option<Failed>,
}

/// A group that failed: part of it, or all, may be on the disk or in sled's memory.
struct Failed {
    /// The rows that it meant to change, as they were.
    before: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Rows {
    /// Opens and checks everything. The caller holds the lock of `dir`.
    pub(super) fn open(dir: &Path, headroom: u64) -> Result<Rows, Error> {
        let database = dir.join("sled");
        let fresh = !database.join("db").exists();
        let anchor = Anchor::open(&dir.join("anchor"), fresh)?;
        let reserve = Reserve::new(dir);
        let disk = open_disk(dir, &reserve)?;
        let (index, head) = survey(&disk)?;
        let head = match head {
            Some(head) => head,
            None if index.is_empty() && anchor.n() == 0 => Head::default(),
            None => return Err(corrupt(show(HEAD_KEY), "is missing")),
        };
        anchor.check(&head).map_err(|what| corrupt(database.display(), &what))?;
        check_sums(&index, &head)?;
        reserve.take();
        let (dir, disk) = (dir.to_owned(), Some(disk));
        Ok(Rows { dir, headroom, reserve, disk, index, head, anchor, failed: None })
    }

    pub(super) fn lease(&self) -> LeaseEpoch {
        LeaseEpoch(self.head.lease)
    }

    pub(super) fn entry(&self, key: &[u8]) -> Option<Entry> {
        self.index.get(key).copied()
    }

    /// The value of a row, checked.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(entry) = self.index.get(key) else { return Ok(None) };
        let (kind, payload) = self.payload(key, entry)?;
        if kind == Kind::Whole {
            return Ok(Some(payload));
        }
        let list = List::decode(&payload).ok_or_else(|| corrupt(show(key), "is no list"))?;
        let piece = |i| {
            let key = piece_key(key, i);
            let entry = self.index.get(&key).ok_or_else(|| corrupt(show(&key), "is missing"))?;
            Ok(self.payload(&key, entry)?.1)
        };
        let pieces = (0..list.pieces).map(piece).collect::<Result<Vec<_>, Error>>()?;
        let value = list.join(&pieces);
        value.map(Some).ok_or_else(|| corrupt(show(key), "has pieces that do not fit together"))
    }

    pub(super) fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let (own, prefix) = (row_key(table, b"").len(), row_key(table, prefix));
        let keys = self.index.range(row_key(table, from).max(prefix.clone())..);
        let keys = keys.map(|(key, _)| key).take_while(|key| key.starts_with(&prefix)).take(limit);
        let row = |key: &Vec<u8>| {
            let value = self.value(key)?.ok_or_else(|| corrupt(show(key), "is missing"))?;
            Ok((key[own..].to_vec(), value))
        };
        keys.map(row).collect()
    }

    #[cfg(test)]
    pub(super) fn disk_for_tests(&self) -> &Disk {
        self.disk.as_ref().unwrap()
    }

    #[cfg(test)]
    pub(super) fn anchor_for_tests(&mut self) -> &mut Anchor {
        &mut self.anchor
    }

    #[cfg(test)]
    pub(super) fn len_for_tests(&self) -> usize {
        self.index.len()
    }

    fn payload(&self, key: &[u8], entry: &Entry) -> Result<(Kind, Vec<u8>), Error> {
        let raw = self.raw(key)?.ok_or_else(|| corrupt(show(key), "is missing"))?;
        let opened = seal::open(key, &raw).map_err(|what| corrupt(show(key), &what))?;
        if opened.tag != entry.tag {
            return Err(corrupt(show(key), "is an older one than was written last"));
        }
        Ok((opened.kind, opened.payload.to_vec()))
    }

    /// A row as it is on the disk; as it was before, if the group that changes it failed.
    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(before) = self.failed.as_ref().and_then(|failed| failed.before.get(key)) {
            return Ok(before.clone());
        }
        let closed = || Error::Io(io::Error::other("the database is closed after a failed write"));
        self.disk.as_ref().ok_or_else(closed)?.get(key)
    }

    /// Writes one group. After `Ok` it is on the disk and visible; after an error nothing of it is.
    pub(super) fn write(&mut self, changes: Changes, lease: LeaseEpoch) -> Result<(), Error> {
        self.heal()?;
        self.check_space(
            self.headroom,
            changes.values().flatten().map(|(_, raw)| raw.len()).sum(),
        )?;
        let mut head = Head { n: self.head.n + 1, lease: lease.0, sums: self.head.sums };
        let mut before = BTreeMap::new();
        for (key, new) in &changes {
            let sum =
                &mut head.sums[sum_of(key).ok_or_else(|| corrupt(show(key), "is unknown"))?];
            if let Some(old) = self.index.get(key) {
                sum.remove(&old.tag);
            }
            if let Some((entry, _)) = new {
                sum.add(&entry.tag);
            }
            before.insert(key.clone(), self.raw(key)?);
        }
        let entries: Vec<_> =
            changes.iter().map(|(key, new)| (key.clone(), new.as_ref().map(|new| new.0))).collect();
        let rows = changes.into_iter().map(|(key, new)| (key, new.map(|(_, raw)| raw))).collect();
        if let Err(error) = self.apply(rows, &head) {
            self.failed = Some(Failed { before });
            self.reopen_to_read();
            return Err(error);
        }
        for (key, entry) in entries {
            match entry {
                Some(entry) => self.index.insert(key, entry),
                None => self.index.remove(&key),
            };
        }
        self.head = head;
        Ok(())
    }

    fn apply(&mut self, mut rows: Vec<Change>, head: &Head) -> Result<(), Error> {
        let Sealed { raw, tag } = head.seal();
        rows.push((HEAD_KEY.to_vec(), Some(raw)));
        let closed = || Error::Io(io::Error::other("the database is closed"));
        self.disk.as_ref().ok_or_else(closed)?.apply(rows)?;
        self.anchor.write(head, &tag)
    }

    /// After a failed group: takes back what arrived of it.
    fn heal(&mut self) -> Result<(), Error> {
        let Some(failed) = &self.failed else { return Ok(()) };
        self.check_space(HEADROOM_BYTES, failed.before.values().flatten().map(Vec::len).sum())?;
        let before: Vec<Change> =
            failed.before.iter().map(|(key, raw)| (key.clone(), raw.clone())).collect();
        if self.disk.is_none() {
            self.disk = Some(open_disk(&self.dir, &self.reserve)?);
        }
        // one more than the failed group, so that the two never share a number
        let head = Head { n: self.head.n + 2, ..self.head.clone() };
        if let Err(error) = self.apply(before, &head) {
            self.reopen_to_read();
            return Err(error);
        }
        let Some(disk) = &self.disk else { return Ok(()) };
        let (index, found) = survey(disk)?;
        if index != self.index || found.as_ref() != Some(&head) {
            return Err(corrupt(show(HEAD_KEY), "is not as it was before a write that failed"));
        }
        self.head = head;
        self.failed = None;
        self.reserve.take();
        tracing::info!(path = %self.dir.display(), "the store takes writes again");
        Ok(())
    }

    /// After a failed write sled refuses to read what it has not in memory; a new handle reads. Where even
    /// the reserve gives no room to open it, reads fail until there is room.
    fn reopen_to_read(&mut self) {
        // sled lets go of its file only when the old handle is gone
        self.disk = None;
        match open_disk(&self.dir, &self.reserve) {
            Ok(disk) => self.disk = Some(disk),
            Err(error) => tracing::warn!(%error, "the store can be neither written nor read"),
        }
    }

    fn check_space(&self, headroom: u64, bytes: usize) -> Result<(), Error> {
        let needed = headroom.saturating_add((bytes as u64).saturating_mul(WRITE_FACTOR));
        let free = fs4::available_space(&self.dir).map_err(Error::Io)?;
        if free >= needed {
            return Ok(());
        }
        let text = format!("{free} bytes are free, {needed} are needed; make room on the disk");
        Err(Error::Io(io::Error::new(io::ErrorKind::StorageFull, text)))
    }
}

/// Opens the database; on a full disk with the room of the reserve.
fn open_disk(dir: &Path, reserve: &Reserve) -> Result<Disk, Error> {
    let database = dir.join("sled");
    match Disk::open(&database) {
        Err(Error::Io(_)) => {
            reserve.give();
            Disk::open(&database)
        }
        other => other,
    }
}

/// Reads every row of the disk and checks its seal.
fn survey(disk: &Disk) -> Result<(Index, Option<Head>), Error> {
    let mut index = Index::new();
    let mut head = None;
    let mut fault = None;
    disk.each(|key, raw| {
        let found = if key == HEAD_KEY {
            Head::open(raw).map(|found| head = Some(found))
        } else {
            entry(key, raw).map(|entry| {
                index.insert(key.to_vec(), entry);
            })
        };
        if let Err(what) = found {
            fault.get_or_insert_with(|| corrupt(show(key), &what));
        }
    })?;
    fault.map_or(Ok((index, head)), Err)
}

fn entry(key: &[u8], raw: &[u8]) -> Result<Entry, String> {
    let opened = seal::open(key, raw)?;
    sum_of(key).ok_or("belongs to no table")?;
    let pieces = match opened.kind {
        Kind::Whole | Kind::Piece => 0,
        Kind::List => List::decode(opened.payload).ok_or("is no list")?.pieces,
        Kind::Head => return Err("is not where it belongs".to_owned()),
    };
    Ok(Entry { tag: opened.tag, pieces })
}

/// Compares what is there with what the head says should be.
fn check_sums(index: &Index, head: &Head) -> Result<(), Error> {
    for (key, entry) in index {
        let missing = (0..entry.pieces).find(|i| !index.contains_key(&piece_key(key, *i)));
        if let Some(i) = missing {
            let what = format!("lacks piece {} of {}", i + 1, entry.pieces);
            return Err(corrupt(show(key), &what));
        }
    }
    let mut found = Head::default();
    for (key, entry) in index {
        if let Some(sum) = sum_of(key) {
            found.sums[sum].add(&entry.tag);
        }
    }
    for (sum, (found, written)) in found.sums.iter().zip(&head.sums).enumerate() {
        let what = if found.rows < written.rows {
            format!("holds {} of {} records: some are missing", found.rows, written.rows)
        } else if found != written {
            format!("holds {} records that are not the newest of their keys", found.rows)
        } else {
            continue;
        };
        return Err(corrupt(format_args!("table {}", sum_name(sum)), &what));
    }
    Ok(())
}

fn corrupt(place: impl fmt::Display, what: &str) -> Error {
    Error::Corrupt { place: place.to_string(), what: what.to_owned() }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("dir", &self.dir)
            .field("rows", &self.index.len())
            .field("head", &self.head.n)
            .field("failed", &self.failed.is_some())
            .finish_non_exhaustive()
    }
}

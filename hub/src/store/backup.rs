//! The store as lines of text and back: the way out of a damaged store, and into another kind of store.
//!
//! One JSON document a line: a first line with the format and the lease, one line a row with a digest over
//! table, key and value, a last line with their number and a digest over all of them. Readable by any
//! program; a line that was changed, lost or added is found before anything is written.
//!
//! Content files are deliberately absent: they are made again from Git.

use std::io::{self, BufRead, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{Digest, LeaseEpoch};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Batch, Error, Row, Store, Table, VALUE_BYTES_MAX};

/// Version of the format.
const FORMAT: u32 = 1;

/// A restored store leaves so many leases out: those that the lost store may have given after the backup
/// was made. A hub takes one each time it starts.
const LEASES_LEFT_OUT: u64 = 1 << 20;

/// Longest line that we read, in bytes: the largest value in base64, its key, and room for the words.
const LINE_BYTES_MAX: u64 = (VALUE_BYTES_MAX as u64) * 4 / 3 + (64 << 10);

/// Rows and bytes of one batch while restoring.
const BATCH_ROWS: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;

/// Rows read at a time while exporting.
const PAGE_ROWS: usize = 1_000;

/// What went into a backup or came out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// The newest lease.
    pub lease: LeaseEpoch,
}

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file could not be read or written.
    #[error("backup file")]
    File(#[source] io::Error),
    /// The file is not what was written.
    #[error("line {line} of the backup: {what}; nothing is lost, take another backup file")]
    Damaged {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Restoring would mix two histories.
    #[error("the store already holds records; restore into an empty data directory")]
    NotEmpty,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(Serialize, Deserialize)]
struct First {
    tidegate_backup: u32,
    lease: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    table: String,
    key: String,
    value: String,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct Last {
    rows: u64,
    digest: String,
}

/// Writes every row of `store`. Of one moment only while nobody else writes: the command that calls it
/// opened the store itself and so holds its lock.
pub fn export(store: &dyn Store, to: &mut dyn Write) -> Result<Summary, BackupError> {
    let lease = store.newest_lease()?;
    let mut all = Sha256::new();
    let mut rows = 0;
    put_line(to, &First { tidegate_backup: FORMAT, lease: lease.0 })?;
    for table in Table::ALL {
        let mut from = Vec::new();
        loop {
            let page = store.scan_from(table, b"", &from, PAGE_ROWS)?;
            let Some((last, _)) = page.last() else { break };
            // the smallest key behind the last one
            from = [last, &b"\0"[..]].concat();
            for (key, value) in &page {
                let digest = digest_of(table.name(), key, value);
                all.update(digest.as_bytes());
                rows += 1;
                put_line(
                    to,
                    &Line {
                        table: table.name().to_owned(),
                        key: hex::encode(key),
                        value: STANDARD.encode(value),
                        digest: digest.to_string(),
                    },
                )?;
            }
        }
    }
    put_line(to, &Last { rows, digest: Digest::from_bytes(all.finalize().into()).to_string() })?;
    to.flush().map_err(BackupError::File)?;
    Ok(Summary { rows, lease })
}

/// Reads a backup to its end and checks it; writes nothing.
pub fn check(from: &mut dyn BufRead) -> Result<Summary, BackupError> {
    read(from, &mut |_, _, _| Ok(()))
}

/// Fills an empty store from a backup that [`check`] accepted, and takes a lease far above all that the
/// lost store can have given, so that agents never meet a lease twice. Call it on a new data directory and
/// throw that away when it fails.
pub fn restore(store: &dyn Store, from: &mut dyn BufRead) -> Result<Summary, BackupError> {
    for table in Table::ALL {
        if !store.scan_from(table, b"", b"", 1)?.is_empty() {
            return Err(BackupError::NotEmpty);
        }
    }
    let mut batch = Batch::default();
    let mut bytes = 0;
    let summary = read(from, &mut |table, key, value| {
        bytes += key.len() + value.len();
        batch.puts.push((table, key, value));
        if bytes >= BATCH_BYTES || batch.puts.len() >= BATCH_ROWS {
            bytes = 0;
            store.commit(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    store.commit(batch)?;
    let above = LeaseEpoch(summary.lease.0.saturating_add(LEASES_LEFT_OUT));
    store.take_lease_above(above)?;
    Ok(summary)
}

/// Reads line by line; the rows reach `take` only when their own digest is right.
fn read(
    from: &mut dyn BufRead,
    take: &mut dyn FnMut(Table, Vec<u8>, Vec<u8>) -> Result<(), Error>,
) -> Result<Summary, BackupError> {
    let mut lines = Lines { from, line: 0 };
    let first = lines.next()?;
    let first: First = lines.parse(&first)?;
    if first.tidegate_backup != FORMAT {
        let format = first.tidegate_backup;
        return Err(lines.damaged(format!("format {format} is not known to this version")));
    }
    let mut all = Sha256::new();
    let mut rows = 0;
    loop {
        let text = lines.next()?;
        let Ok(line) = serde_json::from_slice::<Line>(&text) else {
            let last: Last = lines.parse(&text)?;
            let digest = Digest::from_bytes(all.finalize().into()).to_string();
            if last.rows != rows || last.digest != digest {
                return Err(lines.damaged(format!("{} rows were written, {rows} found", last.rows)));
            }
            return Ok(Summary { rows, lease: LeaseEpoch(first.lease) });
        };
        let (table, (key, value), digest) = lines.row(&line)?;
        all.update(digest.as_bytes());
        rows += 1;
        take(table, key, value)?;
    }
}

struct Lines<'a> {
    from: &'a mut dyn BufRead,
    line: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Vec<u8>, BackupError> {
        self.line += 1;
        let mut text = Vec::new();
        let mut limited = io::Read::take(&mut *self.from, LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut text).map_err(BackupError::File)?;
        if text.pop() != Some(b'\n') {
            return Err(self.damaged("the file ends here, or the line is too long".to_owned()));
        }
        Ok(text)
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, text: &[u8]) -> Result<T, BackupError> {
        serde_json::from_slice(text).map_err(|error| self.damaged(error.to_string()))
    }

    fn row(&self, line: &Line) -> Result<(Table, Row, Digest), BackupError> {
        let table = Table::ALL.into_iter().find(|table| table.name() == line.table);
        let table = table.ok_or_else(|| self.damaged(format!("no table `{}`", line.table)))?;
        let key = hex::decode(&line.key).map_err(|e| self.damaged(e.to_string()))?;
        let value = STANDARD.decode(&line.value).map_err(|e| self.damaged(e.to_string()))?;
        let digest = digest_of(table.name(), &key, &value);
        if digest.to_string() != line.digest {
            return Err(self.damaged("it was changed".to_owned()));
        }
        Ok((table, (key, value), digest))
    }

    fn damaged(&self, what: String) -> BackupError {
        BackupError::Damaged { line: self.line, what }
    }
}

fn put_line(to: &mut dyn Write, line: &impl Serialize) -> Result<(), BackupError> {
    let fault = |error: serde_json::Error| BackupError::File(error.into());
    serde_json::to_writer(&mut *to, line).map_err(fault)?;
    to.write_all(b"\n").map_err(BackupError::File)
}

fn digest_of(table: &str, key: &[u8], value: &[u8]) -> Digest {
    let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
    let mut hash = Sha256::new();
    for part in [table.as_bytes(), key, value] {
        hash.update(length(part));
        hash.update(part);
    }
    Digest::from_bytes(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, SledStore};

    fn filled() -> (Memory, Vec<u8>) {
        let store = Memory::new();
        for lease in 1..=7 {
            assert_eq!(store.take_lease().unwrap(), LeaseEpoch(lease));
        }
        let mut batch = Batch::default().put(Table::Snapshot, "web", vec![9; 3 << 20]);
        for n in 0..2_500_u32 {
            let table = Table::ALL[n as usize % Table::ALL.len()];
            batch = batch.put(table, [&b"\0\xff"[..], &n.to_be_bytes()].concat(), n.to_string());
        }
        store.commit(batch).unwrap();
        let mut file = Vec::new();
        let summary = export(&store, &mut file).unwrap();
        assert_eq!(summary, Summary { rows: 2_501, lease: LeaseEpoch(7) });
        (store, file)
    }

    #[test]
    fn a_backup_of_one_kind_of_store_becomes_another_kind() {
        let (memory, file) = filled();
        let dir = tempfile::tempdir().unwrap();
        let disk = SledStore::open(dir.path()).unwrap();
        check(&mut &file[..]).unwrap();
        restore(&disk, &mut &file[..]).unwrap();
        for table in Table::ALL {
            assert!(memory.scan(table, b"").unwrap() == disk.scan(table, b"").unwrap());
        }
        assert!(disk.take_lease().unwrap() > LeaseEpoch(7 + LEASES_LEFT_OUT));
        let again = restore(&disk, &mut &file[..]);
        assert!(matches!(again, Err(BackupError::NotEmpty)));
    }

    #[test]
    fn a_line_that_was_changed_lost_doubled_or_cut_is_found() {
        let (_, file) = filled();
        let lines: Vec<&[u8]> = file.split_inclusive(|b| *b == b'\n').collect();
        let fault = |lines: &[&[u8]]| check(&mut &lines.concat()[..]).unwrap_err().to_string();
        let mut lost = lines.clone();
        lost.remove(17);
        assert!(fault(&lost).contains("2501 rows were written, 2500 found"));
        let mut doubled = lines.clone();
        doubled.insert(17, lines[17]);
        assert!(fault(&doubled).contains("2501 rows were written, 2502 found"));
        let mut swapped = lines.clone();
        swapped.swap(17, 18);
        assert!(fault(&swapped).contains("rows were written"));
        let changed = String::from_utf8(lines[17].to_vec()).unwrap().replace("\"00ff", "\"01ff");
        let mut other = lines.clone();
        other[17] = changed.as_bytes();
        assert!(fault(&other).contains("line 18 of the backup: it was changed"));
        assert!(fault(&lines[..2_000]).contains("line 2001 of the backup: the file ends here"));
        assert!(fault(&[]).contains("line 1 of the backup"));
        assert!(fault(&[b"{\"tidegate_backup\":2,\"lease\":0}\n"]).contains("format 2"));
    }
}

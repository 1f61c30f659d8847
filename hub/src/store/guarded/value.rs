//! Keys and values as rows: a small value is one row, a larger one a list and its pieces.
//!
//! Pieces of 4 KiB: sled keeps up to about twenty rows in one leaf and writes a leaf of over 128 KiB to a
//! file that it never syncs; twenty pieces with the longest keys stay below 100 KiB.

use sha2::{Digest as _, Sha256};

use crate::store::{Table, show_key};

use super::seal::{Kind, Sealed, seal};

/// Most bytes of a value that stand in one row.
const PIECE_BYTES: usize = 4096;

/// Key of the head. No table's name begins with a zero.
pub(super) const HEAD_KEY: &[u8] = b"\0head";

/// First bytes of a piece's key: shares its first byte with no table.
const PIECE_KEY: &[u8] = b"~piece\0";

/// Number of sums: one per table, and one for the pieces of all of them.
pub(super) const SUMS: usize = Table::ALL.len() + 1;

/// A value ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) main: Sealed,
    pub(super) pieces: Vec<Sealed>,
}

/// What stands in the place of a value in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    pub(super) bytes: u64,
    pub(super) pieces: u32,
    pub(super) hash: [u8; 32],
}

pub(super) fn prepare(key: &[u8], value: &[u8]) -> Prepared {
    if value.len() <= PIECE_BYTES {
        return Prepared { main: seal(key, Kind::Whole, value), pieces: Vec::new() };
    }
    let piece = |(i, bytes)| seal(&piece_key(key, i), Kind::Piece, bytes);
    let pieces: Vec<_> = (0..).zip(value.chunks(PIECE_BYTES)).map(piece).collect();
    let list = List {
        bytes: value.len() as u64,
        pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX),
        hash: Sha256::digest(value).into(),
    };
    Prepared { main: seal(key, Kind::List, &list.encode()), pieces }
}

impl List {
    fn encode(&self) -> Vec<u8> {
        [&self.bytes.to_be_bytes()[..], &self.pieces.to_be_bytes(), &self.hash].concat()
    }

    pub(super) fn decode(payload: &[u8]) -> Option<List> {
        let (bytes, rest) = payload.split_first_chunk()?;
        let (pieces, rest) = rest.split_first_chunk()?;
        let hash = rest.try_into().ok()?;
        let (bytes, pieces) = (u64::from_be_bytes(*bytes), u32::from_be_bytes(*pieces));
        Some(List { bytes, pieces, hash })
    }

    /// The value made of `pieces`, if it is the one that was written.
    pub(super) fn join(&self, pieces: &[Vec<u8>]) -> Option<Vec<u8>> {
        let value = pieces.concat();
        let same = value.len() as u64 == self.bytes && self.hash[..] == Sha256::digest(&value)[..];
        same.then_some(value)
    }
}

/// `table \0 key`: rows of a table stand together, in the order of their keys.
pub(super) fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    [table.name().as_bytes(), b"\0", key].concat()
}

/// Named by the hash of the value's own key, which may be long.
pub(super) fn piece_key(key: &[u8], i: u32) -> Vec<u8> {
    [PIECE_KEY, &Sha256::digest(key)[..], &i.to_be_bytes()].concat()
}

/// Which sum a row counts in; `None` for a key that we never wrote.
pub(super) fn sum_of(key: &[u8]) -> Option<usize> {
    if key.starts_with(PIECE_KEY) {
        return Some(SUMS - 1);
    }
    let end = key.iter().position(|b| *b == 0)?;
    Table::ALL.iter().position(|table| table.name().as_bytes() == &key[..end])
}

/// The table, or what else a sum is over, for people.
pub(super) fn sum_name(sum: usize) -> &'static str {
    Table::ALL.get(sum).map_or("pieces of large values", |table| table.name())
}

/// A row's key, for people.
pub(super) fn show(key: &[u8]) -> String {
    if key == HEAD_KEY {
        return "the head of the store".to_owned();
    }
    if let Some(rest) = key.strip_prefix(PIECE_KEY) {
        return format!("piece `{}` of a large value", hex::encode(rest));
    }
    let end = key.iter().position(|b| *b == 0).unwrap_or(0);
    format!("{} `{}`", show_key(&key[..end]), show_key(key.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_full_of_pieces_stays_a_row_of_the_log() {
        let row = PIECE_BYTES + 34 + crate::store::KEY_BYTES_MAX + 16;
        assert!(20 * row < (512 << 10) / 4 - 4096, "{row}");
    }

    #[test]
    fn rows_are_named_for_people() {
        assert_eq!(show(&row_key(Table::Event, b"web\0\x01")), r"event `web\x00\x01`");
        assert!(show(&piece_key(b"x", 1)).starts_with("piece `"));
    }
}

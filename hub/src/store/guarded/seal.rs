//! A seal over one row: what is read under a key is what was written under it.
//!
//! `version (1) · kind (1) · tag (32) · payload`, where the tag is SHA-256 over version, kind, the length
//! of the key, the key and the payload. Two rows that change places do not pass.

use sha2::{Digest as _, Sha256};

/// Version of the format of a row.
const VERSION: u8 = 1;

/// Bytes before the payload.
const HEADER: usize = 2 + 32;

/// Hash of a key and what stands under it.
pub(super) type Tag = [u8; 32];

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole value.
    Whole,
    /// Length, number of pieces and hash of a value that stands in pieces.
    List,
    /// One piece.
    Piece,
    /// The head of the store.
    Head,
}

/// A row as it stands on the disk.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) raw: Vec<u8>,
    pub(super) tag: Tag,
}

/// What a seal kept.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) kind: Kind,
    pub(super) tag: Tag,
    pub(super) payload: &'a [u8],
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Whole, Kind::List, Kind::Piece, Kind::Head];

    fn number(self) -> u8 {
        self as u8
    }
}

pub(super) fn seal(key: &[u8], kind: Kind, payload: &[u8]) -> Sealed {
    let tag = tag(key, kind, payload);
    let mut raw = Vec::with_capacity(HEADER + payload.len());
    raw.extend([VERSION, kind.number()]);
    raw.extend(tag);
    raw.extend(payload);
    Sealed { raw, tag }
}

/// The fault says what is wrong, to stand behind the name of the row.
pub(super) fn open<'a>(key: &[u8], raw: &'a [u8]) -> Result<Opened<'a>, String> {
    let (Some((head, payload)), Some(version)) = (raw.split_at_checked(HEADER), raw.first()) else {
        return Err(format!("is cut off after {} bytes", raw.len()));
    };
    if *version > VERSION {
        return Err(format!("is of format {version}, newer than this program, or changed"));
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.number() == head[1]);
    let kind = kind.ok_or("was changed on the disk")?;
    let tag = tag(key, kind, payload);
    if *version != VERSION || head[2..] != tag {
        return Err("was changed on the disk".to_owned());
    }
    Ok(Opened { kind, tag, payload })
}

fn tag(key: &[u8], kind: Kind, payload: &[u8]) -> Tag {
    let mut hash = Sha256::new();
    hash.update([VERSION, kind.number()]);
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(payload);
    hash.finalize().into()
}

//! An inventory in pieces, for stores that hold at most so many bytes in one place (a Secret holds
//! 1 MiB). The head names every shard by its digest: write the shards, then the head. A head with old
//! shards, or shards with an old head, is refused and never read as a smaller inventory.

use std::collections::BTreeMap;

use model::{Digest, ObjectKey};
use serde::{Deserialize, Serialize};

use super::{Inventory, InventoryError};
use crate::keyed::Key;

/// Shards that one inventory may have; 64 × 512 KiB hold about 250,000 entries.
const SHARDS_MAX: usize = 64;
/// Keeps this tag apart from every other use of the key.
const PURPOSE: &[u8] = b"inventory-head";

/// An inventory in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharded {
    /// Names the shards; written last.
    pub head: Vec<u8>,
    /// Sealed inventories, each with a part of the entries.
    pub shards: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    tag: String,
    body: String,
}

impl Inventory {
    /// Seals it in pieces of at most about `bytes_max` each; a small one has one piece. An entry stays
    /// in its shard while the number of shards does, so that a small change rewrites few.
    pub fn shards(&self, key: &Key, bytes_max: usize) -> Result<Sharded, InventoryError> {
        let whole = self.seal(key)?;
        let count = whole.len().div_ceil(bytes_max.max(1)).clamp(1, SHARDS_MAX).next_power_of_two();
        let mut parts: Vec<Inventory> = Vec::new();
        for _ in 0..count {
            let mut part = Inventory::new(self.app.clone());
            part.epoch = self.epoch;
            parts.push(part);
        }
        for (object, entry) in &self.entries {
            parts[place(object, count)].entries.insert(object.clone(), entry.clone());
        }
        // What else is remembered is small and stays in the first.
        parts[0].runs.clone_from(&self.runs);
        let shards: Vec<Vec<u8>> =
            parts.iter().map(|part| part.seal(key)).collect::<Result<_, _>>()?;
        let digests: Vec<Digest> = shards.iter().map(|bytes| Digest::of(bytes)).collect();
        let body = serde_json::to_string(&digests)?;
        let tag = hex::encode(key.mac(&[PURPOSE, self.app.as_str().as_bytes(), body.as_bytes()]));
        Ok(Sharded { head: serde_json::to_vec(&Head { tag, body })?, shards })
    }

    /// Reads what [`Inventory::shards`] made; the order of the shards does not matter, extra ones are
    /// left over from a write that did not end and are passed over.
    pub fn join(head: &[u8], shards: &[Vec<u8>], key: &Key) -> Result<Inventory, InventoryError> {
        let head: Head = serde_json::from_slice(head)?;
        let digests: Vec<Digest> = serde_json::from_str(&head.body)?;
        let by_digest: BTreeMap<Digest, &Vec<u8>> =
            shards.iter().map(|bytes| (Digest::of(bytes), bytes)).collect();
        let mut joined: Option<Inventory> = None;
        for digest in &digests {
            let bytes = by_digest.get(digest).ok_or(InventoryError::Torn)?;
            let part = Inventory::open(bytes, key)?;
            match &mut joined {
                None => joined = Some(part),
                Some(whole) => whole.entries.extend(part.entries),
            }
        }
        let whole = joined.ok_or(InventoryError::Torn)?;
        let tag = hex::decode(&head.tag).unwrap_or_default();
        let app = whole.app.as_str().as_bytes();
        if key.verify(&[PURPOSE, app, head.body.as_bytes()], &tag) {
            Ok(whole)
        } else {
            Err(InventoryError::Forged(whole.app.to_string()))
        }
    }
}

/// The shard of an object among at most [`SHARDS_MAX`]: from its id alone.
fn place(key: &ObjectKey, count: usize) -> usize {
    usize::from(Digest::of(key.id().as_bytes()).as_bytes()[0]) % count
}

//! Bytes of an inventory, with a keyed tag: who can edit the Secret or file must not be able to make
//! the agent delete things. Compress outside.

use std::collections::BTreeMap;

use model::{AppName, Epoch, ObjectKey};
use serde::{Deserialize, Serialize};

use super::{Entry, HookRun, Inventory};
use crate::keyed::Key;

/// Format of the bytes.
const FORMAT: u32 = 1;
/// Keeps this tag apart from every other use of the key.
const PURPOSE: &[u8] = b"inventory";

/// Why stored bytes are no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Damaged.
    #[error("parse the inventory")]
    Syntax(#[from] serde_json::Error),
    /// From a newer agent.
    #[error("inventory has format {0}, this agent knows {FORMAT}; upgrade the agent")]
    Format(u32),
    /// Changed by somebody else, or sealed with another key.
    #[error("inventory of `{0}` was not written by this agent; nothing is deleted on its word")]
    Forged(String),
    /// Its pieces do not belong together: a write did not end.
    #[error(
        "a piece of the inventory is missing or older than the rest; nothing is deleted on its word"
    )]
    Torn,
    /// Damaged.
    #[error("inventory has a bad object id")]
    Key(#[from] model::ParseObjectKeyError),
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    format: u32,
    tag: String,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    app: AppName,
    epoch: Epoch,
    entries: BTreeMap<String, Entry>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    runs: BTreeMap<String, HookRun>,
}

impl Inventory {
    /// Bytes to store.
    pub fn seal(&self, key: &Key) -> Result<Vec<u8>, InventoryError> {
        let entries = self.entries.iter().map(|(key, entry)| (key.id(), entry.clone())).collect();
        let (app, runs) = (self.app.clone(), self.runs.clone());
        let body = Body { app, epoch: self.epoch, entries, runs };
        let body = serde_json::to_string(&body)?;
        let tag = hex::encode(key.mac(&[PURPOSE, body.as_bytes()]));
        Ok(serde_json::to_vec(&Sealed { format: FORMAT, tag, body })?)
    }

    /// Reads stored bytes.
    pub fn open(bytes: &[u8], key: &Key) -> Result<Inventory, InventoryError> {
        let sealed: Sealed = serde_json::from_slice(bytes)?;
        if sealed.format != FORMAT {
            return Err(InventoryError::Format(sealed.format));
        }
        let body: Body = serde_json::from_str(&sealed.body)?;
        let tag = hex::decode(&sealed.tag).unwrap_or_default();
        if !key.verify(&[PURPOSE, sealed.body.as_bytes()], &tag) {
            return Err(InventoryError::Forged(body.app.to_string()));
        }
        let entries = body.entries.into_iter();
        let entries = entries
            .map(|(id, entry)| Ok((ObjectKey::parse_id(&id)?, entry)))
            .collect::<Result<_, model::ParseObjectKeyError>>()?;
        Ok(Inventory { app: body.app, epoch: body.epoch, entries, runs: body.runs })
    }
}

//! Eight bytes that move when somebody changes a field that we own.
//!
//! A field of ours can only change by another manager taking it (our `fieldsV1` shrinks) or by our
//! own manager writing again (the entry's `time` moves). Hence the hash of our Apply entry tells drift
//! from metadata alone, for Secrets too. Its one hole: `time` counts seconds, so a second writer
//! under our own name within the same second is not seen.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hash of our Apply entry in `metadata.managedFields`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 8]);

impl Signature {
    /// Reads it from `metadata` (of a full object or of `PartialObjectMetadata`); `None` when `manager`
    /// has applied nothing.
    pub fn of(metadata: &Value, manager: &str) -> Option<Signature> {
        let entry = metadata.get("managedFields")?.as_array()?.iter().find(|entry| {
            let text = |name| entry.get(name).and_then(Value::as_str).unwrap_or("");
            text("manager") == manager
                && text("operation") == "Apply"
                && text("subresource").is_empty()
        })?;
        let mut hash = Sha256::new();
        for part in ["apiVersion", "time", "fieldsV1"] {
            feed(&mut hash, entry.get(part).unwrap_or(&Value::Null));
        }
        let mut short = [0; 8];
        short.copy_from_slice(&hash.finalize()[..8]);
        Some(Signature(short))
    }
}

/// Feeds a value with its map keys in order: two servers may print the same entry differently.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            hash.update(b"{");
            for key in keys {
                hash.update((key.len() as u64).to_be_bytes());
                hash.update(key);
                feed(hash, &map[key]);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
            }
            hash.update(b"]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            hash.update(value.to_string());
            hash.update(b",");
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl TryFrom<String> for Signature {
    type Error = hex::FromHexError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Signature(bytes))
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> String {
        signature.to_string()
    }
}

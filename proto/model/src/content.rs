//! What a release is made of, for one cluster: an ordered list of object digests.

use serde::{Deserialize, Serialize};

use crate::{Digest, ObjectKey};

/// One object of a manifest: its identity and the SHA-256 of its canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// Which object.
    pub key: ObjectKey,
    /// SHA-256 over the canonical JSON bytes (sorted keys, no white space) that a pull by digest returns.
    pub digest: Digest,
    /// Length of those bytes.
    pub bytes: u32,
}

/// The complete list of objects that one cluster shall run for one App, sorted by key. Complete by
/// construction: whoever holds a manifest with the right digest holds the whole picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    entries: Vec<ObjectEntry>,
}

impl Manifest {
    /// Sorts `entries` by key.
    pub fn new(mut entries: Vec<ObjectEntry>) -> Manifest {
        entries.sort();
        Manifest { entries }
    }

    /// The entries, sorted by key.
    pub fn entries(&self) -> &[ObjectEntry] {
        &self.entries
    }

    /// Canonical bytes: one line per entry, `sha256:… LENGTH group/Kind/namespace/name\n`.
    pub fn canonical(&self) -> Vec<u8> {
        let mut text = String::new();
        for ObjectEntry { key, digest, bytes } in &self.entries {
            digest.write_to(&mut text);
            text.push_str(&format!(" {bytes} {}\n", key.id()));
        }
        text.into_bytes()
    }

    /// Reads canonical bytes back; the error names the line.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8: {e}"))?;
        let entries = text.lines().enumerate().map(|(n, line)| {
            let fault = |why: String| format!("line {}: {why}", n + 1);
            let mut parts = line.splitn(3, ' ');
            let (digest, length, id) = (parts.next(), parts.next(), parts.next());
            let digest = Digest::parse(digest.unwrap_or("")).map_err(|e| fault(e.to_string()))?;
            let bytes = length.unwrap_or("").parse().map_err(|e| fault(format!("length: {e}")))?;
            let key = ObjectKey::parse_id(id.unwrap_or("")).map_err(|e| fault(e.to_string()))?;
            Ok(ObjectEntry { key, digest, bytes })
        });
        Ok(Manifest { entries: entries.collect::<Result<_, String>>()? })
    }

    /// The name of this manifest: what a [`crate::Grant`] carries.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

//! A manifest and all its objects, as one value: complete and verified, or not there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{Digest, Manifest};

/// Begins every pack, with its format.
const MAGIC: &[u8] = b"tgpack1\n";

/// All content of one grant.
#[derive(Debug, Clone)]
pub struct Pack {
    /// What the objects are, in order.
    pub manifest: Manifest,
    /// Canonical JSON by digest; one for each entry of the manifest.
    objects: BTreeMap<Digest, Bytes>,
}

impl Pack {
    /// Takes `manifest` and its objects, each verified against its digest.
    pub fn new(manifest: Manifest, objects: &BTreeMap<Digest, Bytes>) -> Result<Pack, String> {
        let mut own = BTreeMap::new();
        for entry in manifest.entries() {
            let bytes =
                objects.get(&entry.digest).ok_or_else(|| format!("{} is missing", entry.key))?;
            if Digest::of(bytes) != entry.digest || bytes.len() as u64 != u64::from(entry.bytes) {
                return Err(format!("{} does not hash to its digest", entry.key));
            }
            own.insert(entry.digest, bytes.clone());
        }
        Ok(Pack { manifest, objects: own })
    }

    /// One object.
    pub fn object(&self, digest: &Digest) -> Option<&Bytes> {
        self.objects.get(digest)
    }

    /// All objects.
    pub fn objects(&self) -> &BTreeMap<Digest, Bytes> {
        &self.objects
    }

    /// What of `manifest` is not in `have`.
    pub fn missing(manifest: &Manifest, have: &BTreeMap<Digest, Bytes>) -> Vec<Digest> {
        let wanted: BTreeSet<Digest> = manifest.entries().iter().map(|e| e.digest).collect();
        wanted.into_iter().filter(|d| !have.contains_key(d)).collect()
    }

    /// As stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let manifest = self.manifest.canonical();
        let mut out = MAGIC.to_vec();
        out.extend((manifest.len() as u64).to_be_bytes());
        out.extend(manifest);
        for entry in self.manifest.entries() {
            if let Some(object) = self.objects.get(&entry.digest) {
                out.extend_from_slice(object);
            }
        }
        out
    }

    /// Reads and verifies what was stored under `digest`.
    pub fn read(bytes: Vec<u8>, digest: &Digest) -> Result<Pack, String> {
        let mut rest = Bytes::from(bytes);
        let mut take = |count: usize| {
            if rest.len() < count {
                Err("it is cut short".to_owned())
            } else {
                Ok(rest.split_to(count))
            }
        };
        if take(MAGIC.len())? != MAGIC {
            return Err("it is no pack of this format".to_owned());
        }
        let length: [u8; 8] = take(8)?.as_ref().try_into().map_err(|_| "no length".to_owned())?;
        let length = usize::try_from(u64::from_be_bytes(length)).map_err(|e| e.to_string())?;
        let manifest = take(length)?;
        if Digest::of(&manifest) != *digest {
            return Err("its manifest does not hash to its name".to_owned());
        }
        let manifest = Manifest::parse(&manifest)?;
        let mut objects = BTreeMap::new();
        for entry in manifest.entries() {
            objects.insert(entry.digest, take(entry.bytes as usize)?);
        }
        Pack::new(manifest, &objects)
    }
}

#[cfg(test)]
mod tests {
    use model::{ObjectEntry, ObjectKey};

    use super::*;

    fn pack(texts: &[&str]) -> Pack {
        let objects: BTreeMap<Digest, Bytes> = texts
            .iter()
            .map(|t| (Digest::of(t.as_bytes()), Bytes::copy_from_slice(t.as_bytes())))
            .collect();
        let entry = |(n, text): (usize, &&str)| ObjectEntry {
            key: ObjectKey::parse_id(&format!("/ConfigMap/shop/c{n}")).unwrap(),
            digest: Digest::of(text.as_bytes()),
            bytes: u32::try_from(text.len()).unwrap(),
        };
        Pack::new(Manifest::new(texts.iter().enumerate().map(entry).collect()), &objects).unwrap()
    }

    #[test]
    fn a_pack_reads_back_and_twins_are_kept() {
        let pack = pack(&["{\"a\":1}", "{\"b\":2}", "{\"a\":1}"]);
        let digest = pack.manifest.digest();
        let read = Pack::read(pack.to_bytes(), &digest).unwrap();
        assert_eq!(read.manifest, pack.manifest);
        assert_eq!(read.objects, pack.objects);
    }

    #[test]
    fn a_flipped_or_missing_byte_is_found() {
        let pack = pack(&["{\"a\":1}", "{\"b\":2}"]);
        let digest = pack.manifest.digest();
        let good = pack.to_bytes();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(Pack::read(bad, &digest).is_err(), "byte {at}");
            assert!(Pack::read(good[..at].to_vec(), &digest).is_err(), "cut at {at}");
        }
    }
}

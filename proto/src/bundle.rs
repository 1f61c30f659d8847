//! Bundles: a release, or some objects of it, in one packed answer.
//!
//! A bundle of a release is the difference to a manifest that the other side holds, or to nothing, and
//! carries the objects that are new. Nothing in it is believed: what comes out is checked against the
//! digest of the whole, and whoever unpacks stops at [`BUNDLE_BYTES_MAX`].
//!
//! Deliberately absent: which base is taken and which objects travel, decided by the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use model::{Digest, Manifest, ObjectEntry, ObjectKey};
use prost::Message as _;

use crate::convert::{digest_from_wire, digest_to_wire};
use crate::limits::BUNDLE_BYTES_MAX;
use crate::v1::{Line, Step, step};

/// Lines of one manifest: a bundle cannot make the other side hold more.
const LINES_MAX: usize = 100_000;

/// Why a bundle is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not deflated, or longer than it may be.
    #[error("the bundle does not unpack to at most {BUNDLE_BYTES_MAX} bytes")]
    Packing(#[source] io::Error),
    /// A step of it cannot be done.
    #[error("step {at} of the bundle: {why}")]
    Step {
        /// Its number, from 1.
        at: usize,
        /// What is wrong.
        why: String,
    },
    /// What it makes is not what was asked for.
    #[error("the bundle makes {made}, and {wanted} was asked for")]
    Other {
        /// Digest of what it makes.
        made: Digest,
        /// Digest that was wanted.
        wanted: Digest,
    },
}

/// What a bundle of a release makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The manifest that was asked for: its digest was checked.
    pub manifest: Manifest,
    /// Objects that came with it, by their digest.
    pub objects: BTreeMap<Digest, Bytes>,
}

/// The difference from `base` (or from nothing) to `manifest`, with those of its new objects that are in `objects`.
pub fn pack_release(
    base: Option<&Manifest>,
    manifest: &Manifest,
    objects: &BTreeMap<Digest, Bytes>,
) -> io::Result<Vec<u8>> {
    let mut packer = Packer::new();
    let mut old = base.map_or(&[][..], Manifest::entries).iter().peekable();
    let mut sent = BTreeSet::new();
    for entry in manifest.entries() {
        while old.next_if(|o| o.key < entry.key).is_some() {
            packer.drop_one()?;
        }
        if old.next_if(|o| *o == entry).is_some() {
            packer.keep_one()?;
            continue;
        }
        let object = objects.get(&entry.digest).filter(|_| sent.insert(entry.digest));
        packer.step(step::Step::Line(line(entry, object)))?;
    }
    for _ in old {
        packer.drop_one()?;
    }
    packer.finish()
}

/// What [`pack_release`] packed, with the same `base`; refused unless it makes `wanted`.
pub fn unpack_release(
    packed: &[u8],
    base: Option<&Manifest>,
    wanted: &Digest,
) -> Result<Release, Error> {
    let mut old = base.map_or(&[][..], Manifest::entries).iter();
    let mut entries: Vec<ObjectEntry> = Vec::new();
    let mut objects = BTreeMap::new();
    for (at, step) in Steps::new(packed)?.enumerate() {
        let fault = |why: &str| Error::Step { at: at + 1, why: why.to_owned() };
        match step.map_err(|e| fault(&e.to_string()))? {
            Some(step::Step::Keep(count)) => {
                let kept = old.as_slice().get(..count as usize);
                entries.extend_from_slice(kept.ok_or_else(|| fault("the base has fewer lines"))?);
                old = old.as_slice()[count as usize..].iter();
            }
            Some(step::Step::Drop(count)) => {
                let rest = old.as_slice().get(count as usize..);
                old = rest.ok_or_else(|| fault("the base has fewer lines"))?.iter();
            }
            Some(step::Step::Line(line)) => {
                entries.push(entry(&line).map_err(|why| fault(&why))?);
                if let (Some(made), false) = (entries.last(), line.object.is_empty()) {
                    objects.insert(made.digest, line.object);
                }
            }
            Some(step::Step::Object(_)) | None => return Err(fault("it is of another kind")),
        }
        if entries.len() > LINES_MAX {
            return Err(fault("the manifest has too many lines"));
        }
    }
    let manifest = Manifest::new(entries);
    let made = manifest.digest();
    if made == *wanted {
        Ok(Release { manifest, objects })
    } else {
        Err(Error::Other { made, wanted: *wanted })
    }
}

/// Objects, one after the other.
pub fn pack_objects<'a>(objects: impl IntoIterator<Item = &'a Bytes>) -> io::Result<Vec<u8>> {
    let mut packer = Packer::new();
    for object in objects {
        packer.step(step::Step::Object(object.clone()))?;
    }
    packer.finish()
}

/// What [`pack_objects`] packed, by digest; refused unless each was asked for.
pub fn unpack_objects(
    packed: &[u8],
    wanted: &BTreeSet<Digest>,
) -> Result<BTreeMap<Digest, Bytes>, Error> {
    let mut objects = BTreeMap::new();
    for (at, step) in Steps::new(packed)?.enumerate() {
        let fault = |why: &str| Error::Step { at: at + 1, why: why.to_owned() };
        let Some(step::Step::Object(object)) = step.map_err(|e| fault(&e.to_string()))? else {
            return Err(fault("it is of another kind"));
        };
        let digest = Digest::of(&object);
        if !wanted.contains(&digest) {
            return Err(fault(&format!("{digest} was not asked for")));
        }
        objects.insert(digest, object);
    }
    Ok(objects)
}

fn line(entry: &ObjectEntry, object: Option<&Bytes>) -> Line {
    let id = entry.key.id();
    if let Some(object) = object.filter(|object| !object.is_empty()) {
        return Line { id, object: object.clone(), ..Line::default() };
    }
    let digest = digest_to_wire(&entry.digest);
    Line { id, digest, bytes: entry.bytes, ..Line::default() }
}

fn entry(line: &Line) -> Result<ObjectEntry, String> {
    let key = ObjectKey::parse_id(&line.id).map_err(|e| e.to_string())?;
    if line.object.is_empty() {
        let digest = digest_from_wire("line.digest", &line.digest).map_err(|e| e.to_string())?;
        Ok(ObjectEntry { key, digest, bytes: line.bytes })
    } else {
        let bytes = u32::try_from(line.object.len()).map_err(|e| e.to_string())?;
        Ok(ObjectEntry { key, digest: Digest::of(&line.object), bytes })
    }
}

/// Writes steps; neighbours that keep or drop become one.
struct Packer {
    out: DeflateEncoder<Vec<u8>>,
    keep: u32,
    drop: u32,
}

impl Packer {
    fn new() -> Packer {
        Packer { out: DeflateEncoder::new(Vec::new(), Compression::default()), keep: 0, drop: 0 }
    }

    fn keep_one(&mut self) -> io::Result<()> {
        if self.drop > 0 {
            self.flush()?;
        }
        self.keep += 1;
        Ok(())
    }

    fn drop_one(&mut self) -> io::Result<()> {
        if self.keep > 0 {
            self.flush()?;
        }
        self.drop += 1;
        Ok(())
    }

    fn step(&mut self, step: step::Step) -> io::Result<()> {
        self.flush()?;
        self.write(step)
    }

    fn flush(&mut self) -> io::Result<()> {
        match (std::mem::take(&mut self.keep), std::mem::take(&mut self.drop)) {
            (0, 0) => Ok(()),
            (keep, 0) => self.write(step::Step::Keep(keep)),
            (_, drop) => self.write(step::Step::Drop(drop)),
        }
    }

    fn write(&mut self, step: step::Step) -> io::Result<()> {
        self.out.write_all(&Step { step: Some(step) }.encode_length_delimited_to_vec())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.flush()?;
        self.out.finish()
    }
}

/// The steps of a bundle, unpacked within its bounds.
struct Steps(Bytes);

impl Steps {
    fn new(packed: &[u8]) -> Result<Steps, Error> {
        let mut raw = Vec::new();
        let limit = BUNDLE_BYTES_MAX as u64 + 1;
        let read = DeflateDecoder::new(packed).take(limit).read_to_end(&mut raw);
        let bytes = read.map_err(Error::Packing)?;
        if bytes > BUNDLE_BYTES_MAX {
            return Err(Error::Packing(io::Error::other("it is longer")));
        }
        Ok(Steps(raw.into()))
    }
}

impl Iterator for Steps {
    type Item = Result<Option<step::Step>, prost::DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let step = Step::decode_length_delimited(&mut self.0);
        if step.is_err() {
            self.0.clear();
        }
        Some(step.map(|step| step.step))
    }
}

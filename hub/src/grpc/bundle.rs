//! Makes bundles, each once for all clusters that want the same at about the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::{Digest, Manifest};
use proto::bundle::{pack_objects, pack_release};
use proto::limits::BUNDLE_OBJECTS_BYTES_MAX;
use tokio::sync::Semaphore;
use tonic::Status;

use super::read::{manifest, read};
use super::refuse::{blocking, internal};
use crate::content::{Cache, Content};

/// Memory for bundles that were made last, in bytes: a few large first releases, thousands of differences.
const MADE_BYTES_MAX: usize = 16 << 20;

/// Bundles in the making at one time, at most 10 MiB each. Whoever waits finds what was made meanwhile, so
/// that a wave of a thousand agents makes each bundle twice at most.
const MAKING_MAX: usize = 2;

/// What a bundle of a release may begin from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The agent holds nothing.
    None,
    /// The agent says that it holds something, and this cluster was not granted it as far as is remembered.
    Unknown,
    /// A manifest that the agent holds with its objects.
    Held(Digest),
}

/// The bundles.
#[derive(Debug)]
pub(super) struct Bundles {
    content: Arc<Content>,
    made: Mutex<Cache>,
    making: Semaphore,
}

impl Bundles {
    pub(super) fn new(content: Arc<Content>) -> Bundles {
        let made = Mutex::new(Cache::new(MADE_BYTES_MAX));
        Bundles { content, made, making: Semaphore::new(MAKING_MAX) }
    }

    /// A release: the difference to `base` when that can be read, otherwise all of it. Objects travel only
    /// when it is certain that the agent lacks them. Says whether it begins from the base.
    pub(super) async fn release(
        &self,
        base: Base,
        wanted: Digest,
    ) -> Result<(Bytes, bool), Status> {
        let base = match base {
            Base::Held(base) if !self.content.has(&base) => Base::Unknown,
            Base::None | Base::Unknown | Base::Held(_) => base,
        };
        let mut key = wanted.as_bytes().to_vec();
        match base {
            Base::None => key.push(0),
            Base::Unknown => key.push(1),
            Base::Held(base) => key.extend(base.as_bytes()),
        }
        let make = move |content: &Content| release(content, base, &wanted);
        let bytes = self.once(Digest::of(&key), make).await?;
        Ok((bytes, matches!(base, Base::Held(_))))
    }

    /// Objects, in order, as far as they fit; the first fits always.
    pub(super) async fn objects(&self, wanted: Vec<Digest>) -> Result<Bytes, Status> {
        let key: Vec<u8> = wanted.iter().flat_map(|digest| *digest.as_bytes()).collect();
        let make = move |content: &Content| {
            let mut room = Room::new();
            let mut objects = Vec::new();
            for digest in wanted {
                let bytes = read(content, &digest)?;
                if room.take(bytes.len()) {
                    objects.push(bytes);
                }
            }
            pack_objects(&objects).map_err(internal)
        };
        self.once(Digest::of(&key), make).await
    }

    /// What was made under `key`, or is made now.
    async fn once(
        &self,
        key: Digest,
        make: impl FnOnce(&Content) -> Result<Vec<u8>, Status> + Send + 'static,
    ) -> Result<Bytes, Status> {
        let cache = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = cache().get(&key) {
            return Ok(bytes);
        }
        let _turn = self.making.acquire().await.map_err(internal)?;
        if let Some(bytes) = cache().get(&key) {
            return Ok(bytes);
        }
        let content = self.content.clone();
        let bytes = Bytes::from(blocking(move || make(&content)).await??);
        cache().put(key, bytes.clone());
        Ok(bytes)
    }
}

fn release(content: &Content, base: Base, wanted: &Digest) -> Result<Vec<u8>, Status> {
    let wanted = manifest(content, wanted)?;
    let base_manifest = match base {
        Base::Held(base) => Some(manifest(content, &base)?),
        Base::None | Base::Unknown => None,
    };
    let held: BTreeSet<Digest> =
        base_manifest.iter().flat_map(Manifest::entries).map(|entry| entry.digest).collect();
    let mut objects = BTreeMap::new();
    let mut room = Room::new();
    for entry in wanted.entries().iter().filter(|_| base != Base::Unknown) {
        let lacked = !held.contains(&entry.digest) && !objects.contains_key(&entry.digest);
        if lacked && room.take(entry.bytes as usize) {
            objects.insert(entry.digest, read(content, &entry.digest)?);
        }
    }
    pack_release(base_manifest.as_ref(), &wanted, &objects).map_err(internal)
}

/// Room for objects in one bundle.
struct Room(usize);

impl Room {
    fn new() -> Room {
        Room(0)
    }

    /// Whether so many bytes more fit; the first always do.
    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.0 == 0 || self.0 + bytes <= BUNDLE_OBJECTS_BYTES_MAX;
        if fits {
            self.0 += bytes;
        }
        fits
    }
}

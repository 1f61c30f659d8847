//! What was rendered before, and what of the repository it reached: a commit that changes none of that gives the same
//! offer, so that one changed file renders what it reaches and nothing else.
//!
//! Kept in memory only, for the newest offer of each App; an App that reaches very much is rendered each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use model::{AppName, Digest, SourceName};
use render::{Tree, TreeEntry, TreeError};
use rollout::Candidate;

use super::Ready;
use crate::engine::claims::Held;

/// Paths that one App may reach and be remembered: some 200 bytes each.
const REACHED_MAX: usize = 5_000;

/// The offers of before.
#[derive(Debug, Default)]
pub(super) struct Memos {
    all: Mutex<BTreeMap<(SourceName, AppName), Memo>>,
    renders: AtomicU64,
}

/// One of them.
#[derive(Debug)]
struct Memo {
    /// Digest of everything but the tree: the App itself, the fleet, the policy.
    basis: Digest,
    reached: BTreeMap<String, Seen>,
    candidate: Candidate,
    drift: String,
    held: Held,
}

/// How a path was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// A file by its content; nothing when it could not be read.
    File(Option<String>),
    /// A folder by its content, and by what it lists.
    Folder(Option<String>, Option<Digest>),
}

/// A tree that remembers what was asked of it.
pub(super) struct Traced<'a> {
    tree: &'a dyn Tree,
    reached: Mutex<BTreeMap<String, Seen>>,
}

impl<'a> Traced<'a> {
    pub(super) fn new(tree: &'a dyn Tree) -> Traced<'a> {
        Traced { tree, reached: Mutex::default() }
    }

    fn note(&self, path: &str, seen: Seen) {
        let mut reached = lock(&self.reached);
        if reached.len() <= REACHED_MAX {
            // What is read as both is kept as a folder: its listing tells of the file too.
            reached.entry(path.to_owned()).or_insert(seen);
        }
    }
}

impl Tree for Traced<'_> {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        let listed = self.tree.list(dir);
        self.note(dir, Seen::Folder(self.tree.id(dir), digest(&listed)));
        listed
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        // A path may have been tried as a folder before.
        lock(&self.reached).remove(path);
        self.note(path, Seen::File(self.tree.id(path)));
        self.tree.read(path)
    }

    fn id(&self, path: &str) -> Option<String> {
        self.tree.id(path)
    }
}

/// Digest of a listing; that of a folder which is not there says that.
fn digest(listed: &Result<Vec<TreeEntry>, TreeError>) -> Option<Digest> {
    match listed {
        Ok(entries) => Some(Digest::of(format!("{entries:?}").as_bytes())),
        Err(TreeError::NotFound(_)) => Some(Digest::of(b"not there")),
        Err(TreeError::TooLarge { .. } | TreeError::Other { .. }) => None,
    }
}

/// Whether a path is as it was.
fn holds(tree: &dyn Tree, path: &str, seen: &Seen) -> bool {
    match seen {
        Seen::File(None) | Seen::Folder(_, None) => false,
        Seen::File(Some(id)) => tree.id(path).as_ref() == Some(id),
        Seen::Folder(id, listing) => {
            let same = id.is_some() && tree.id(path) == *id;
            same || digest(&tree.list(path)) == *listing
        }
    }
}

impl Memos {
    /// The offer of before, when nothing that it depends on has changed. Commit, author and trace are those of before:
    /// the caller fills in its own.
    pub(super) fn find(
        &self,
        (source, app): (&SourceName, &AppName),
        basis: Digest,
        tree: &dyn Tree,
    ) -> Option<Ready> {
        let key = (source.clone(), app.clone());
        let (reached, ready) = {
            let all = lock(&self.all);
            let memo = all.get(&key).filter(|memo| memo.basis == basis)?;
            let (candidate, held) = (memo.candidate.clone(), memo.held.clone());
            (memo.reached.clone(), Ready { candidate, drift: memo.drift.clone(), held })
        };
        reached.iter().all(|(path, seen)| holds(tree, path, seen)).then_some(ready)
    }

    /// Remembers an offer and what it reached.
    pub(super) fn keep(
        &self,
        (source, app): (&SourceName, &AppName),
        basis: Digest,
        traced: &Traced<'_>,
        ready: &Ready,
    ) {
        let key = (source.clone(), app.clone());
        let reached = std::mem::take(&mut *lock(&traced.reached));
        if reached.len() > REACHED_MAX {
            lock(&self.all).remove(&key);
            return;
        }
        let Ready { candidate, drift, held } = ready;
        let (candidate, drift, held) = (candidate.clone(), drift.clone(), held.clone());
        lock(&self.all).insert(key, Memo { basis, reached, candidate, drift, held });
    }

    /// Forgets the Apps of a source that are no longer there.
    pub(super) fn retain(&self, source: &SourceName, apps: &BTreeSet<AppName>) {
        lock(&self.all).retain(|(of, app), _| of != source || apps.contains(app));
    }

    /// Counts one App that is rendered.
    pub(super) fn count(&self) {
        self.renders.fetch_add(1, Ordering::Relaxed);
    }

    /// Apps that were rendered since the hub started.
    pub(super) fn renders(&self) -> u64 {
        self.renders.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! How two commits stand to each other: whether history was rewritten, and whether the folders that count differ.

use std::sync::atomic::AtomicBool;

use gix::{ObjectId, Repository, remote::fetch::Shallow};

use super::remote::{NEW, Remote};

/// Commits that are walked to find the one from before.
const COMMITS_MAX: usize = 10_000;

/// Whether `new` came out of `old`; `None` when the server does not tell. Mirrors are shallow, so that what lies
/// between is fetched when `old` is no parent of `new`.
pub(super) fn descends(
    remote: &Remote,
    repo: &Repository,
    (name, new): (&str, ObjectId),
    old: ObjectId,
    stop: &AtomicBool,
) -> Option<bool> {
    let old = repo.find_object(old).ok()?.peel_to_commit().ok()?;
    let new = repo.find_object(new).ok()?.peel_to_commit().ok()?;
    if old.id == new.id || new.parent_ids().any(|parent| parent == old.id) {
        return Some(true);
    }
    let cutoff = old.time().ok()?;
    if new.time().ok()? < cutoff {
        // Older than the one before: nothing that is newer lies between them.
        return Some(false);
    }
    let specs = [format!("+{name}:{NEW}")];
    let shallow = Shallow::Since { cutoff };
    if let Err(fault) = remote.receive(repo, &remote.dir, &specs, shallow, stop) {
        tracing::debug!(%fault, "the history between two commits was not given");
        return None;
    }
    // Opened again: the border of what is there has moved.
    let repo = remote.open().ok()?;
    let walk = repo.rev_walk([new.id]).all().ok()?;
    let mut walk = walk.take(COMMITS_MAX).flatten();
    Some(walk.any(|commit| commit.id == old.id))
}

/// Whether nothing that counts differs; `paths` empty means that everything counts.
pub(super) fn same(repo: &Repository, paths: &[String], old: ObjectId, new: ObjectId) -> bool {
    let tree = |id| repo.find_object(id).ok()?.peel_to_commit().ok()?.tree().ok();
    let (Some(old), Some(new)) = (tree(old), tree(new)) else { return false };
    let at = |tree: &gix::Tree<'_>, path: &str| {
        let found = tree.lookup_entry(path.trim_end_matches('/').split('/'));
        found.ok().map(|entry| entry.map(|entry| (entry.object_id(), entry.mode())))
    };
    let equal = |path: &String| match (at(&old, path), at(&new, path)) {
        (Some(old), Some(new)) => old == new,
        // What cannot be read may differ.
        (None, _) | (_, None) => false,
    };
    !paths.is_empty() && paths.iter().all(equal)
}

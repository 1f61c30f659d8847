//! How two commits stand to each other: whether history was rewritten, and whether the folders that count differ.

use gix::{ObjectId, Repository};

/// Commits that are walked to find the one from before.
const COMMITS_MAX: usize = 10_000;

/// When a commit was made, by the clock of whoever made it.
pub(super) fn time_of(repo: &Repository, id: ObjectId) -> Option<gix::date::Time> {
    repo.find_object(id).ok()?.peel_to_commit().ok()?.time().ok()
}

/// Whether `new` came out of `old`; `None` when what is there does not tell. Mirrors are shallow: `complete`
/// says that the history of `new` is there back to the time of `old`.
pub(super) fn descends(
    repo: &Repository,
    new: ObjectId,
    old: ObjectId,
    complete: bool,
) -> Option<bool> {
    let old = repo.find_object(old).ok()?.peel_to_commit().ok()?;
    let new = repo.find_object(new).ok()?.peel_to_commit().ok()?;
    if old.id == new.id || new.parent_ids().any(|parent| parent == old.id) {
        return Some(true);
    }
    let walk = repo.rev_walk([new.id]).all().ok()?;
    if walk.take(COMMITS_MAX).flatten().any(|commit| commit.id == old.id) {
        return Some(true);
    }
    // What went back to where it came from was rewritten.
    let walk = repo.rev_walk([old.id]).all().ok()?;
    if walk.take(COMMITS_MAX).flatten().any(|commit| commit.id == new.id) {
        return Some(false);
    }
    // What is older than the one before cannot have come out of it.
    let older = new.time().ok()?.seconds < old.time().ok()?.seconds;
    (complete || older).then_some(false)
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

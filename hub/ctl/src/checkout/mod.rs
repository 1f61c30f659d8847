//! A fleet repository on this machine, read as the hub reads a commit: the files as they are, or a revision.

mod folder;
mod git;

use std::path::Path;

use render::Tree;

use crate::error::Error;

pub(crate) use folder::Folder;

/// The files of the working copy.
pub(crate) fn working(root: &Path) -> Result<Box<dyn Tree>, Error> {
    Ok(Box::new(Folder::open(root)?))
}

/// The files of a revision; `.` is the working copy.
pub(crate) fn revision(root: &Path, revision: &str) -> Result<Box<dyn Tree>, Error> {
    if revision == "." {
        return working(root);
    }
    // A place that is not there is told as such, not as a revision that is not.
    drop(Folder::open(root)?);
    Ok(Box::new(git::Commit::open(root, revision)?))
}

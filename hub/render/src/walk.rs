//! The one place that follows symbolic links, and only inside the tree.
//!
//! A link may lead anywhere in the same commit. One that is absolute, climbs out of the repository or
//! comes back to where it began is refused with its path; nothing is ever skipped in silence except
//! hidden files, whose names begin with a dot.

use std::collections::BTreeMap;

use model::Reason;

use crate::{
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    limits,
    tree::{EntryKind, Tree, TreeEntry, TreeError},
};

/// A path with all links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Path without a link in it.
    pub(crate) real: String,
    pub(crate) kind: PlaceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    File { bytes: u64 },
    Dir,
    Submodule,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It does not exist.
    NotFound(String),
    /// A link on the way is refused.
    Link { path: String, why: String },
    /// The tree failed.
    Tree(TreeError),
}

impl From<TreeError> for Lost {
    fn from(error: TreeError) -> Lost {
        match error {
            TreeError::NotFound(path) => Lost::NotFound(path),
            TreeError::TooLarge { .. } | TreeError::Other { .. } => Lost::Tree(error),
        }
    }
}

impl Lost {
    /// As a fault; `missing` is the reason when the path does not exist.
    pub(crate) fn fault(&self, missing: Reason) -> Diagnostic {
        match self {
            Lost::NotFound(path) => {
                Diagnostic::error(missing, path, "it does not exist in this commit")
            }
            Lost::Link { path, why } => {
                let hint = "point the link inside the repository, or replace it with a file";
                Diagnostic::error(Reason::ObjectInvalid, path, why.clone()).hint(hint)
            }
            Lost::Tree(error) => tree_fault(error),
        }
    }
}

/// A fault for what the tree said.
pub(crate) fn tree_fault(error: &TreeError) -> Diagnostic {
    match error {
        TreeError::NotFound(path) => {
            Diagnostic::error(Reason::PathMissing, path, "it does not exist in this commit")
        }
        TreeError::TooLarge { path, bytes, limit } => {
            let message = format!("it has {bytes} bytes, at most {limit} are allowed");
            Diagnostic::error(Reason::GitTooLarge, path, message)
        }
        TreeError::Other { path, why } => {
            Diagnostic::error(Reason::Internal, path, format!("it cannot be read: {why}"))
                .hint("look at the log of the hub; the last release stays in force")
        }
    }
}

/// Follows every link on the way to `path`.
pub(crate) fn resolve(tree: &dyn Tree, path: &str) -> Result<Place, Lost> {
    // Nearly every path has no link in it, and one look is enough for a folder.
    if path.is_empty() || tree.list(path).is_ok() {
        return Ok(Place { real: path.to_owned(), kind: PlaceKind::Dir });
    }
    let mut real: Vec<String> = Vec::new();
    let mut kind = PlaceKind::Dir;
    let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut hops = 0;
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                if real.pop().is_none() {
                    let why = "the link leaves the repository".to_owned();
                    return Err(Lost::Link { path: path.to_owned(), why });
                }
                continue;
            }
            _ => {}
        }
        if kind != PlaceKind::Dir {
            return Err(Lost::NotFound(path.to_owned()));
        }
        let entries = tree.list(&real.join("/"))?;
        let entry = entries.into_iter().find(|entry| entry.name == name);
        let Some(entry) = entry else { return Err(Lost::NotFound(path.to_owned())) };
        match entry.kind {
            EntryKind::Link { target } => {
                hops += 1;
                follow(path, &target, hops)?;
                ahead.extend(target.split('/').rev().map(str::to_owned));
            }
            EntryKind::Dir => real.push(name),
            EntryKind::File => {
                real.push(name);
                kind = PlaceKind::File { bytes: entry.bytes };
            }
            EntryKind::Submodule => {
                real.push(name);
                kind = PlaceKind::Submodule;
            }
        }
    }
    Ok(Place { real: real.join("/"), kind })
}

fn follow(path: &str, target: &str, hops: usize) -> Result<(), Lost> {
    let refuse = |why: &str| Err(Lost::Link { path: path.to_owned(), why: why.to_owned() });
    if target.starts_with('/') || target.contains(['\\', '\0']) || target.trim().is_empty() {
        return refuse("the link is absolute; only links inside the repository are followed");
    }
    if hops > limits::LINK_HOPS_MAX {
        return refuse("the link leads back to itself");
    }
    Ok(())
}

/// A file found by a walk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Path as people see it, from the root of the repository.
    pub(crate) shown: String,
    /// Path without a link in it.
    pub(crate) real: String,
    pub(crate) bytes: u64,
}

/// Every file below `folder` that is not hidden, sorted by path, links followed.
pub(crate) fn files(tree: &dyn Tree, folder: &str) -> Result<Vec<Found>, Vec<Diagnostic>> {
    below(tree, folder, false)
}

/// As [`files`], with hidden ones: tools read `.env` and `.helmignore`. Never `.git`.
pub(crate) fn all_files(tree: &dyn Tree, folder: &str) -> Result<Vec<Found>, Vec<Diagnostic>> {
    below(tree, folder, true)
}

fn below(tree: &dyn Tree, folder: &str, hidden: bool) -> Result<Vec<Found>, Vec<Diagnostic>> {
    let (found, faults) = (Vec::new(), Vec::new());
    let mut walk = Walk { tree, found, faults, visited: 0, links: 0, hidden };
    match resolve(tree, folder) {
        Ok(Place { real, kind: PlaceKind::Dir }) => walk.dir(folder, &real, &mut Vec::new()),
        Ok(Place { .. }) => {
            walk.faults.push(Diagnostic::error(Reason::PathMissing, folder, "it is not a folder"));
        }
        Err(lost) => walk.faults.push(lost.fault(Reason::PathMissing)),
    }
    if !walk.faults.is_empty() {
        return Err(walk.faults);
    }
    walk.found.sort();
    Ok(walk.found)
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    found: Vec<Found>,
    faults: Vec<Diagnostic>,
    visited: usize,
    links: usize,
    /// Whether hidden files count.
    hidden: bool,
}

impl Walk<'_> {
    /// `above` holds the real paths of the folders that we are in: a link to one of them has no end.
    fn dir(&mut self, shown: &str, real: &str, above: &mut Vec<String>) {
        if above.len() >= limits::FOLDER_DEPTH_MAX {
            let message = format!("folders are nested deeper than {}", limits::FOLDER_DEPTH_MAX);
            return self.fault(Diagnostic::error(Reason::RenderTooLarge, shown, message));
        }
        let entries = match self.tree.list(real) {
            Ok(entries) => entries,
            Err(error) => return self.fault(Lost::from(error).fault(Reason::PathMissing)),
        };
        above.push(real.to_owned());
        let by_name: BTreeMap<_, _> = entries.into_iter().map(|e| (e.name.clone(), e)).collect();
        for (name, entry) in by_name {
            let skipped = if self.hidden { is_git(&name) } else { name.starts_with('.') };
            if skipped {
                continue;
            }
            self.visited += 1;
            self.links += usize::from(matches!(entry.kind, EntryKind::Link { .. }));
            if self.visited > limits::WALK_ENTRIES_MAX || self.links > limits::WALK_LINKS_MAX {
                let (all, links) = (limits::WALK_ENTRIES_MAX, limits::WALK_LINKS_MAX);
                let message = format!("more than {all} files and folders or {links} links");
                self.fault(Diagnostic::error(Reason::RenderTooLarge, shown, message));
                break;
            }
            self.entry(&join(shown, &name), &join(real, &name), &entry, above);
            if self.faults.len() >= limits::DIAGNOSTICS_MAX {
                break;
            }
        }
        above.pop();
    }

    fn entry(&mut self, shown: &str, real: &str, entry: &TreeEntry, above: &mut Vec<String>) {
        let place = match &entry.kind {
            EntryKind::File => {
                Place { real: real.to_owned(), kind: PlaceKind::File { bytes: entry.bytes } }
            }
            EntryKind::Dir => Place { real: real.to_owned(), kind: PlaceKind::Dir },
            EntryKind::Submodule => Place { real: real.to_owned(), kind: PlaceKind::Submodule },
            EntryKind::Link { target } => match resolve(self.tree, real) {
                Ok(place) => place,
                Err(Lost::NotFound(_)) => {
                    let why = format!("the link points to `{target}`, which does not exist");
                    let lost = Lost::Link { path: shown.to_owned(), why };
                    return self.fault(lost.fault(Reason::PathMissing));
                }
                Err(Lost::Link { .. }) if !stands(Guard::Links) => return,
                Err(Lost::Link { why, .. }) => {
                    let lost = Lost::Link { path: shown.to_owned(), why };
                    return self.fault(lost.fault(Reason::PathMissing));
                }
                Err(lost @ Lost::Tree(_)) => return self.fault(lost.fault(Reason::PathMissing)),
            },
        };
        match place.kind {
            PlaceKind::File { bytes } => {
                self.found.push(Found { shown: shown.to_owned(), real: place.real, bytes });
            }
            PlaceKind::Dir if above.contains(&place.real) && stands(Guard::Links) => {
                let why = "the link leads back to a folder that it stands in".to_owned();
                let lost = Lost::Link { path: shown.to_owned(), why };
                self.fault(lost.fault(Reason::PathMissing));
            }
            PlaceKind::Dir => self.dir(shown, &place.real, above),
            PlaceKind::Submodule => {
                let message = "it is a submodule, which is not supported yet";
                let hint = "copy the manifests into this repository";
                let fault = Diagnostic::error(Reason::NotSupportedYet, shown, message);
                self.fault(fault.hint(hint));
            }
        }
    }

    fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }
}

/// Names that some file system takes for the folder of Git itself.
fn is_git(name: &str) -> bool {
    let name = name.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    name == ".git" || name == "git~1" || name.starts_with(".git:")
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

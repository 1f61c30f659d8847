//! The files that a tool is given: what a folder reaches, with links followed inside the repository.

use std::{collections::BTreeMap, sync::Arc};

use model::Reason;

use crate::{diagnostic::Diagnostic, limits, tree::Tree, walk};

/// Files by the path at which the tool sees them.
#[derive(Debug, Default)]
pub(super) struct Closure {
    pub(super) files: BTreeMap<String, Arc<[u8]>>,
    bytes: usize,
}

impl Closure {
    /// Adds every file below a folder of the repository, at `place`.
    pub(super) fn folder(
        &mut self,
        tree: &dyn Tree,
        folder: &str,
        place: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        for found in walk::all_files(tree, folder)? {
            let below = found.shown.strip_prefix(folder).unwrap_or(&found.shown);
            let path = walk::join(place, below.trim_start_matches('/'));
            if !self.files.contains_key(&path) {
                let size = usize::try_from(found.bytes).unwrap_or(usize::MAX);
                if self.bytes.saturating_add(size) > limits::INPUT_BYTES_MAX {
                    return Err(vec![too_large(folder)]);
                }
                let bytes = tree.read(&found.real).map_err(|e| vec![walk::tree_fault(&e)])?;
                self.bytes += bytes.len();
                self.files.insert(path, bytes.into());
            }
        }
        if self.bytes > limits::INPUT_BYTES_MAX {
            return Err(vec![too_large(folder)]);
        }
        Ok(())
    }

    /// Adds one file from elsewhere; it counts as the files of `folder` do.
    pub(super) fn share(
        &mut self,
        path: &str,
        bytes: Arc<[u8]>,
        folder: &str,
    ) -> Result<(), Vec<Diagnostic>> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > limits::INPUT_BYTES_MAX {
            return Err(vec![too_large(folder)]);
        }
        self.files.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// Adds one file with content of ours.
    pub(super) fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        let bytes: Vec<u8> = bytes.into();
        self.files.insert(path.to_owned(), bytes.into());
    }
}

fn too_large(folder: &str) -> Diagnostic {
    let size = limits::INPUT_BYTES_MAX >> 20;
    let message = format!("the folder has more than {size} MiB of files");
    Diagnostic::error(Reason::RenderTooLarge, folder, message)
        .hint("keep only what is rendered in it; large files slow every render")
}

/// `path` seen from `folder`, without `.` and `..`; `None` when it leaves the repository.
pub(super) fn relative(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

//! The files of a commit, seen through a door that has only two handles: list a folder, read a file.
//!
//! Paths go from the root of the repository, with `/`, without a leading or trailing one; the root is
//! the empty path. A tree does not follow links: that is done here above it, in one place (`walk`).

use std::collections::BTreeMap;

/// What stands behind a name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file, executable or not.
    File,
    /// A folder.
    Dir,
    /// A symbolic link and the text it holds.
    Link {
        /// Where it points, as written.
        target: String,
    },
    /// Another repository.
    Submodule,
}

/// One line of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Name, without a `/`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Length of a file, 0 for everything else.
    pub bytes: u64,
}

/// Why a folder or file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is no such path, or it is of the other kind.
    #[error("`{0}` does not exist in this commit")]
    NotFound(String),
    /// Over a limit of the tree.
    #[error("`{path}` has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Which file.
        path: String,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The place where the tree is kept failed. Never means that something is absent.
    #[error("`{path}` cannot be read: {why}")]
    Other {
        /// Which file or folder.
        path: String,
        /// What the place said.
        why: String,
    },
}

/// The files of one commit.
pub trait Tree {
    /// The entries of a folder, in any order.
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError>;

    /// The bytes of a file. Links are not followed.
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError>;

    /// What stands for the content of a file, or of a folder with all that is below it, without reading it: equal
    /// when that is equal, in this tree and in later ones. `None` when there is no such thing, or nobody knows.
    fn id(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }
}

impl<T: Tree + ?Sized> Tree for &T {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        (**self).list(dir)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        (**self).read(path)
    }

    fn id(&self, path: &str) -> Option<String> {
        (**self).id(path)
    }
}

/// A tree in memory, for tests and for files of a working copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree {
    files: BTreeMap<String, Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    File(Vec<u8>),
    Link(String),
    Submodule,
}

impl MemoryTree {
    /// An empty tree.
    pub fn new() -> MemoryTree {
        MemoryTree::default()
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> MemoryTree {
        self.insert_file(path, content);
        self
    }

    /// Adds or replaces a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> MemoryTree {
        self.insert_link(path, target);
        self
    }

    /// Adds or replaces a submodule.
    #[must_use]
    pub fn submodule(mut self, path: &str) -> MemoryTree {
        self.files.insert(path.to_owned(), Content::Submodule);
        self
    }

    /// Takes a path out, with everything below it.
    #[must_use]
    pub fn without(mut self, path: &str) -> MemoryTree {
        let below = format!("{path}/");
        self.files.retain(|file, _| file != path && !file.starts_with(&below));
        self
    }

    /// Adds or replaces a file.
    pub fn insert_file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), Content::File(content.into()));
    }

    /// Adds or replaces a symbolic link.
    pub fn insert_link(&mut self, path: &str, target: &str) {
        self.files.insert(path.to_owned(), Content::Link(target.to_owned()));
    }
}

impl Tree for MemoryTree {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut entries: Vec<TreeEntry> = Vec::new();
        let below = self.files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        for (path, content) in below {
            let rest = &path[prefix.len()..];
            let (name, kind, bytes) = match (rest.split_once('/'), content) {
                (Some((name, _)), _) => (name, EntryKind::Dir, 0),
                (None, Content::File(bytes)) => (rest, EntryKind::File, bytes.len() as u64),
                (None, Content::Link(target)) => {
                    (rest, EntryKind::Link { target: target.clone() }, 0)
                }
                (None, Content::Submodule) => (rest, EntryKind::Submodule, 0),
            };
            if entries.last().is_none_or(|last| last.name != name) {
                entries.push(TreeEntry { name: name.to_owned(), kind, bytes });
            }
        }
        if entries.is_empty() && !dir.is_empty() {
            return Err(TreeError::NotFound(dir.to_owned()));
        }
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        match self.files.get(path) {
            Some(Content::File(bytes)) => Ok(bytes.clone()),
            Some(Content::Link(_) | Content::Submodule) | None => {
                Err(TreeError::NotFound(path.to_owned()))
            }
        }
    }
}

//! A revision, through the `git` that is installed: one process lists the files, one gives their bytes.
//!
//! Nothing of the repository's is run: no hook, no filter, no checkout.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use render::{EntryKind, Tree, TreeEntry, TreeError};

use crate::error::{Error, Exit};

/// Largest file that is read, in bytes; the hub refuses larger ones too.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Entries of a revision; a repository of the hub has at most as many files.
const ENTRIES_MAX: usize = 200_000;

/// The files of one commit.
pub(super) struct Commit {
    /// By folder, the entries in it.
    folders: BTreeMap<String, Vec<TreeEntry>>,
    objects: BTreeMap<String, String>,
    reader: Mutex<Reader>,
}

/// `git cat-file --batch`.
struct Reader {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It ends when nobody asks any more; waited for so that it leaves no trace.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["--no-optional-locks", "--no-replace-objects"]);
    git
}

fn fault(message: impl Into<String>) -> Error {
    Error::new(Exit::Usage, message)
        .hint("give the root of a Git repository, and a revision that `git log` knows")
}

impl Commit {
    pub(super) fn open(root: &Path, revision: &str) -> Result<Commit, Error> {
        let spec = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &spec];
        let found = git(root).args(arguments).output();
        let found = found.map_err(|e| fault(format!("run `git`: {e}")))?;
        let commit = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        if !found.status.success() || commit.is_empty() {
            let shown = root.display();
            let known = git(root).args(["rev-parse", "--git-dir"]).output();
            if !known.is_ok_and(|known| known.status.success()) {
                return Err(fault(format!("`{shown}` is no Git repository")));
            }
            return Err(fault(format!("`{revision}` is no revision of `{shown}`")));
        }
        // Paths are from the root that was given, which may lie below the top of the repository.
        let arguments = ["ls-tree", "-r", "-t", "-z", "--long", &commit];
        let listed = git(root).args(arguments).output();
        let listed = listed.map_err(|e| fault(format!("run `git ls-tree`: {e}")))?;
        if !listed.status.success() {
            let words = String::from_utf8_lossy(&listed.stderr).trim().to_owned();
            return Err(fault(format!("list `{revision}`: {words}")));
        }
        let mut reader = Reader::start(root)?;
        let mut folders: BTreeMap<String, Vec<TreeEntry>> = [(String::new(), Vec::new())].into();
        let mut objects = BTreeMap::new();
        for line in listed.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let Some((about, path)) = line.split_once('\t') else { continue };
            let mut words = about.split_whitespace();
            let (Some(mode), Some(_), Some(object), size) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let bytes = size.and_then(|size| size.parse().ok()).unwrap_or(0);
            let kind = match mode {
                "040000" => EntryKind::Dir,
                "160000" => EntryKind::Submodule,
                "120000" => {
                    let target = reader.read(object).map_err(fault)?;
                    EntryKind::Link { target: String::from_utf8_lossy(&target).into_owned() }
                }
                _ => EntryKind::File,
            };
            if kind == EntryKind::Dir {
                folders.entry(path.to_owned()).or_default();
            }
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let entry = TreeEntry { name: name.to_owned(), kind, bytes };
            folders.entry(folder.to_owned()).or_default().push(entry);
            objects.insert(path.to_owned(), object.to_owned());
            if objects.len() > ENTRIES_MAX {
                return Err(fault(format!("`{revision}` has more than {ENTRIES_MAX} files")));
            }
        }
        Ok(Commit { folders, objects, reader: Mutex::new(reader) })
    }

    fn entry(&self, path: &str) -> Option<&TreeEntry> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.folders.get(folder)?.iter().find(|entry| entry.name == name)
    }
}

impl Reader {
    fn start(root: &Path) -> Result<Reader, Error> {
        let mut command = git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| fault(format!("run `git cat-file`: {e}")))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(ask), Some(answer)) => Ok(Reader { child, ask, answer: BufReader::new(answer) }),
            _ => Err(fault("talk with `git cat-file`")),
        }
    }

    fn read(&mut self, object: &str) -> Result<Vec<u8>, String> {
        let talk = |e: std::io::Error| format!("read `{object}`: {e}");
        writeln!(self.ask, "{object}").and_then(|()| self.ask.flush()).map_err(talk)?;
        let mut head = String::new();
        self.answer.read_line(&mut head).map_err(talk)?;
        let size: Option<usize> = head.trim().rsplit(' ').next().and_then(|n| n.parse().ok());
        let Some(size) = size else { return Err(format!("read `{object}`: {}", head.trim())) };
        let mut bytes = vec![0; size];
        self.answer.read_exact(&mut bytes).map_err(talk)?;
        let mut end = [0];
        self.answer.read_exact(&mut end).map_err(talk)?;
        Ok(bytes)
    }
}

impl Tree for Commit {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        self.folders.get(dir).cloned().ok_or_else(|| TreeError::NotFound(dir.to_owned()))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let missing = || TreeError::NotFound(path.to_owned());
        let entry = self.entry(path).filter(|e| e.kind == EntryKind::File).ok_or_else(missing)?;
        if entry.bytes > FILE_BYTES_MAX {
            let (path, bytes) = (path.to_owned(), entry.bytes);
            return Err(TreeError::TooLarge { path, bytes, limit: FILE_BYTES_MAX });
        }
        let object = self.objects.get(path).ok_or_else(missing)?;
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read(object).map_err(|why| TreeError::Other { path: path.to_owned(), why })
    }
}

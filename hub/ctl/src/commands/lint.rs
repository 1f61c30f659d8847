//! `tidegate lint PATH`: checks a fleet repository on disk with the code that the hub runs; needs no hub.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::{Reason, api::List};
use render::{Diagnostic, EntryKind, Tree, TreeEntry, TreeError};

use crate::{
    error::{Error, Exit},
    output::{Format, Output},
};

/// Largest file that is read, in bytes; the hub refuses larger ones too.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Root of the fleet repository
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs it: 0 when nothing is wrong, 1 when something is.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let root = args.path.as_path();
    if !root.is_dir() {
        let message = format!("`{}` is not a folder", root.display());
        return Err(Error::because(Exit::Usage, Reason::BadRequest, message)
            .hint("give the root of the fleet repository, where `apps/` is"));
    }
    let mut found = render::lint(&Folder { root: root.to_owned() });
    if !root.join("apps").is_dir() {
        let message = "there is no folder `apps`, so there is no App";
        let fault = Diagnostic::error(Reason::PathMissing, "apps", message)
            .hint("put each App into `apps/NAME/app.yaml`");
        found.retain(|d| d.file != "apps");
        found.push(fault);
    }
    let errors = found.iter().filter(|d| d.is_error()).count();
    match output.format {
        Format::Json => Output::json(&List::new(found.clone()))?,
        Format::Table | Format::Name if found.is_empty() => {}
        Format::Table | Format::Name => {
            let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
            Output::data(&crate::output::safe(&lines.join("\n")))?;
        }
    }
    output.say(&format!("{errors} errors, {} warnings", found.len() - errors));
    Ok(if errors == 0 { Exit::Fine } else { Exit::No })
}

/// A folder on disk, seen as the hub sees a commit.
struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Where a path of the tree is on disk. No part of it may be a link: a commit has no way out of its
    /// own tree, so neither may its picture on disk.
    fn at(&self, path: &str) -> Result<PathBuf, TreeError> {
        let mut place = self.root.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            let about = fs::symlink_metadata(&place).map_err(|e| fault(path, &e))?;
            if part == ".." || about.is_symlink() {
                return Err(TreeError::NotFound(path.to_owned()));
            }
        }
        Ok(place)
    }
}

fn fault(path: &str, error: &io::Error) -> TreeError {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind());
    if absent {
        TreeError::NotFound(path.to_owned())
    } else {
        TreeError::Other { path: path.to_owned(), why: error.to_string() }
    }
}

impl Tree for Folder {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(dir)?).map_err(|e| fault(dir, &e))? {
            let entry = entry.map_err(|e| fault(dir, &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == ".git" {
                continue;
            }
            entries.push(describe(&entry.path(), name).map_err(|e| fault(dir, &e))?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let file = self.at(path)?;
        let about = fs::symlink_metadata(&file).map_err(|e| fault(path, &e))?;
        if about.len() > FILE_BYTES_MAX {
            let (path, bytes) = (path.to_owned(), about.len());
            return Err(TreeError::TooLarge { path, bytes, limit: FILE_BYTES_MAX });
        }
        fs::read(&file).map_err(|e| fault(path, &e))
    }
}

fn describe(path: &Path, name: String) -> io::Result<TreeEntry> {
    let about = fs::symlink_metadata(path)?;
    let kind = if about.is_symlink() {
        EntryKind::Link { target: fs::read_link(path)?.to_string_lossy().into_owned() }
    } else if about.is_dir() {
        EntryKind::Dir
    } else {
        EntryKind::File
    };
    Ok(TreeEntry { name, kind, bytes: about.len() })
}

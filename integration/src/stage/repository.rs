//! A throwaway Git repository, used through the `git` program as people use theirs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Error;

/// A repository with a work tree.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Makes an empty one on branch `main`.
    pub fn init(root: &Path) -> Result<Repository, Error> {
        fs::create_dir_all(root).map_err(|cause| Error::File { path: root.to_owned(), cause })?;
        let repository = Repository { root: root.to_owned() };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(repository)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// What `source add --url` wants.
    pub fn url(&self) -> String {
        format!("file://{}", self.root.display())
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let file = self.root.join(path);
        let folder = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .map_err(|cause| Error::File { path: file.clone(), cause })
    }

    /// Removes a file or folder.
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        let file = self.root.join(path);
        let removed =
            if file.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) };
        removed.map_err(|cause| Error::File { path: file, cause })
    }

    /// Commits everything; returns the commit id.
    pub fn commit(&self, message: &str) -> Result<String, Error> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.head()
    }

    /// Commit id of HEAD.
    pub fn head(&self) -> Result<String, Error> {
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Runs git here, untouched by the settings of whoever runs the story.
    pub fn git(&self, arguments: &[&str]) -> Result<String, Error> {
        let identity = ["-c", "user.name=Story", "-c", "user.email=story@tidegate.invalid"];
        let output = Command::new("git")
            .args(identity)
            .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .map_err(|cause| Error::File { path: PathBuf::from("git"), cause })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(Error::Command {
            command: format!("git {}", arguments.join(" ")),
            code: output.status.to_string(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }
}

//! Real repositories, made by the `git` program in a folder of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use model::Commit;

/// A working copy that others fetch from.
pub(crate) struct Repository {
    pub(crate) dir: PathBuf,
}

impl Repository {
    /// A repository with one commit on `main`.
    pub(crate) fn new(dir: &Path) -> Repository {
        std::fs::create_dir_all(dir).unwrap();
        let repository = Repository { dir: dir.to_owned() };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit("apps/web/app.yaml", "name: web\n");
        repository
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.dir.display())
    }

    /// Runs git and gives what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
            .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
            .output()
            .expect("the git program runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file and commits everything.
    pub(crate) fn commit(&self, path: &str, content: impl AsRef<[u8]>) -> Commit {
        self.write(path, content);
        self.commit_all(&format!("Change {path}"))
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn commit_all(&self, message: &str) -> Commit {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> Commit {
        Commit::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }
}

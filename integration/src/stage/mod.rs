//! A whole Tidegate in a folder of its own: the real programs as child processes, a real Git repository,
//! and the command line that people use. Stories and the demo are told on it.
//!
//! Deliberately absent: shortcuts. What a story knows, a person could have seen; what it does, a person
//! could have typed.

mod fleet;
mod prometheus;
mod programs;
mod repository;

use std::{fmt, io, path::PathBuf};

pub use fleet::{Answer, Stage};
pub use programs::{Programs, programs};
pub use prometheus::Prometheus;
pub use repository::Repository;

use crate::kubernetes;

/// Why a story cannot go on.
#[derive(thiserror::Error)]
pub enum Error {
    /// A program was not built.
    #[error("no program `{program}` in {folder}: run `cargo build --workspace --bins`")]
    NotBuilt {
        /// Which.
        program: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file cannot be used.
    #[error("use the file {path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A child process failed.
    #[error(transparent)]
    Process(#[from] kubernetes::Error),
    /// A command did not do what the story needs.
    #[error("`{command}` ended with {code}\n{stdout}{stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Exit code, or the signal.
        code: String,
        /// What it printed.
        stdout: String,
        /// What it said.
        stderr: String,
    },
    /// What was waited for did not come.
    #[error("waited {seconds} s for {what}; last seen:\n{last}")]
    Waited {
        /// For how long.
        seconds: u64,
        /// For what.
        what: String,
        /// What was there instead.
        last: String,
    },
    /// An answer is not what the story needs.
    #[error("{0}")]
    Unexpected(String),
}

/// For people: a failed story prints its error this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

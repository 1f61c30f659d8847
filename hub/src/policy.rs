//! The policy of the fleet: a file beside the hub, read again when it changes.
//!
//! A file that is wrong at start stops the hub; one that becomes wrong later leaves the last good policy in
//! force, loudly: a slip of the pen must not open the door.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::Digest;
use render::{Diagnostic, Policy};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("read the policy `{path}`")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file is no policy.
    #[error("the policy is refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Diagnostic>),
}

/// The policy in force; none when no file was named.
#[derive(Debug, Default)]
pub struct PolicyFile {
    path: Option<PathBuf>,
    now: Mutex<InForce>,
}

#[derive(Debug, Default)]
struct InForce {
    policy: Option<Arc<Policy>>,
    /// Digest of the text that it was made of.
    version: Option<Digest>,
    /// Digest of the newest text, whether it is a policy or not: each is complained about once.
    seen: Option<Digest>,
}

impl PolicyFile {
    /// Reads the file.
    pub fn open(path: Option<&Path>) -> Result<PolicyFile, Error> {
        let Some(path) = path else { return Ok(PolicyFile::default()) };
        let text = read(path)?;
        let policy = Policy::parse(&path.display().to_string(), &text).map_err(Error::Wrong)?;
        let version = Some(Digest::of(text.as_bytes()));
        let now = InForce { policy: Some(Arc::new(policy)), version, seen: version };
        Ok(PolicyFile { path: Some(path.to_owned()), now: Mutex::new(now) })
    }

    /// The policy in force and its version, after a look at the file.
    pub fn now(&self) -> (Option<Arc<Policy>>, Option<Digest>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path {
            match read(path) {
                Ok(text) => now.learn(path, &text),
                Err(error) if now.seen.is_some() => {
                    now.seen = None;
                    tracing::error!(%error, "the policy cannot be read; the last one stays in force");
                }
                Err(_) => {}
            }
        }
        (now.policy.clone(), now.version)
    }
}

impl InForce {
    fn learn(&mut self, path: &Path, text: &str) {
        let version = Digest::of(text.as_bytes());
        if self.seen == Some(version) {
            return;
        }
        self.seen = Some(version);
        match Policy::parse(&path.display().to_string(), text) {
            Ok(policy) => {
                tracing::info!(path = %path.display(), "a new policy is in force");
                (self.policy, self.version) = (Some(Arc::new(policy)), Some(version));
            }
            Err(faults) => {
                let error = Error::Wrong(faults);
                tracing::error!(%error, "the new policy is refused; the last one stays in force");
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path)
        .map_err(|cause| Error::Read { path: path.display().to_string(), cause })
}

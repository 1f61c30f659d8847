//! Git revisions, in the one printed form `main@sha1:1f3c9a2…`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What names a revision: a Git commit (SHA-1, 40 hex digits), or an artifact (SHA-256, 64 hex digits).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

/// A text that is no commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a commit id: expected 40 hexadecimal digits, or 64 for an artifact")]
pub struct ParseCommitError(String);

impl Commit {
    /// Accepts 40 or 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, ParseCommitError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if matches!(text.len(), 40 | 64) && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseCommitError(text.to_owned()))
        }
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Commit {
    type Error = ParseCommitError;
    fn try_from(text: String) -> Result<Self, ParseCommitError> {
        Self::parse(&text)
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> String {
        commit.0
    }
}

/// A commit and the ref under which the hub saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// Short ref name, such as `main`.
    pub reference: String,
    /// The commit.
    pub commit: Commit,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.commit.as_str().len() == 64 { "sha256" } else { "sha1" };
        write!(f, "{}@{kind}:{}", self.reference, self.commit)
    }
}

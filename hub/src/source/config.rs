//! What a source is, checked before anything is dialled.

use std::path::PathBuf;

use model::SourceName;

use crate::registry::SourceRecord;

/// Longest URL and ref, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// Where a source is and what of it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name.
    pub name: SourceName,
    /// `file:///path` or `https://host/path`; without credentials.
    pub url: String,
    /// A branch or a tag.
    pub reference: String,
    /// File with `user:password` on one line, for `https://`. Read at every look, so it can be renewed.
    pub credentials_file: Option<PathBuf>,
    /// File with further roots to trust (PEM), for `https://`. Read at every look.
    pub ca_file: Option<PathBuf>,
}

/// Why a source cannot be followed as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither `file://` nor `https://`.
    #[error("url `{0}` cannot be followed: it must begin with `https://` or `file:///`")]
    Scheme(String),
    /// A password would be stored and shown with the URL.
    #[error("the url carries credentials; put `user:password` into a file and name that")]
    Credentials,
    /// Not a URL at all.
    #[error("url cannot be followed: it has white space, `?` or `#`, or is too long")]
    Url,
    /// Not a name of a branch or tag.
    #[error("ref `{0}` is not the name of a branch or tag")]
    Reference(String),
}

impl SourceConfig {
    /// Checks URL and ref.
    pub fn check(&self) -> Result<(), ConfigError> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#".contains(c);
        if self.url.len() > TEXT_BYTES_MAX || self.url.contains(odd) {
            return Err(ConfigError::Url);
        }
        let host = self.url.strip_prefix("https://").map(|rest| rest.split('/').next());
        match host {
            Some(Some(host)) if host.contains('@') => return Err(ConfigError::Credentials),
            Some(Some(host)) if !host.is_empty() => {}
            _ if self.url.starts_with("file:///") => {}
            _ => return Err(ConfigError::Scheme(self.url.clone())),
        }
        if is_reference(&self.reference) {
            Ok(())
        } else {
            Err(ConfigError::Reference(self.reference.clone()))
        }
    }
}

/// The rules of Git for the name of a branch, a little stricter.
fn is_reference(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\\"'@{}".contains(c);
    let part =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains(".lock");
    name.len() <= TEXT_BYTES_MAX
        && !name.contains(odd)
        && !name.contains("..")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

impl From<&SourceRecord> for SourceConfig {
    fn from(record: &SourceRecord) -> SourceConfig {
        SourceConfig {
            name: record.name.clone(),
            url: record.url.clone(),
            reference: record.reference.clone(),
            credentials_file: record.credentials_file.as_ref().map(PathBuf::from),
            ca_file: record.ca_file.as_ref().map(PathBuf::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, reference: &str) -> Result<(), ConfigError> {
        let name = SourceName::parse("fleet").unwrap();
        let (url, reference) = (url.to_owned(), reference.to_owned());
        SourceConfig { name, url, reference, credentials_file: None, ca_file: None }.check()
    }

    #[test]
    fn only_files_and_https_are_followed() {
        for url in ["file:///srv/fleet.git", "https://git.example/fleet.git"] {
            assert_eq!(check(url, "main"), Ok(()), "{url}");
        }
        for url in [
            "http://git.example/x",
            "ssh://git@git.example/x",
            "git@git.example:x",
            "ext::sh -c x",
            "file://host/x",
            "/srv/x",
            "https://",
            "",
        ] {
            assert!(check(url, "main").is_err(), "{url}");
        }
        assert_eq!(check("https://me:secret@git.example/x", "main"), Err(ConfigError::Credentials));
        assert!(!ConfigError::Credentials.to_string().contains("secret"));
    }

    #[test]
    fn a_ref_is_a_name_and_nothing_else() {
        for reference in ["main", "release/1.2", "v1.2.0", "feature_x"] {
            assert_eq!(check("file:///x", reference), Ok(()), "{reference}");
        }
        for reference in [
            "",
            "-x",
            "a..b",
            "a:b",
            "a b",
            "refs/heads/*",
            "a~1",
            "HEAD@{1}",
            "/a",
            "a/",
            "a.lock",
        ] {
            assert!(check("file:///x", reference).is_err(), "{reference}");
        }
    }
}

//! What of a source is followed: a name, a range of versions, or one commit or digest.

use semver::{Version, VersionReq};

/// Longest ref, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// A branch or a tag of this name; the branch goes first.
    Name(String),
    /// The highest version among the tags that is in the range.
    Versions(VersionReq),
    /// One commit.
    Commit(String),
    /// One artifact, by its SHA-256.
    Digest(String),
}

/// Reads what a source follows.
pub(super) fn parse(text: &str) -> Option<Follow> {
    let digits = |text: &str, n: usize| {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        text.len() == n && text.bytes().all(digit)
    };
    if let Some(range) = text.strip_prefix("semver:") {
        return VersionReq::parse(range).ok().map(Follow::Versions);
    }
    if let Some(digest) = text.strip_prefix("sha256:") {
        return digits(digest, 64).then(|| Follow::Digest(digest.to_owned()));
    }
    if digits(text, 40) {
        return Some(Follow::Commit(text.to_owned()));
    }
    is_name(text).then(|| Follow::Name(text.to_owned()))
}

/// The highest version in the range; `names` are tags as they stand at the server.
pub(super) fn highest<'a>(
    range: &VersionReq,
    names: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let version = |name: &'a str| {
        // A registry may not keep `+`, so `_` stands for it there.
        let text = name.strip_prefix('v').unwrap_or(name).replace('_', "+");
        Version::parse(&text).ok().filter(|version| range.matches(version))
    };
    let found = names.filter_map(|name| Some((version(name)?, name)));
    found.max().map(|(_, name)| name)
}

/// The rules of Git for the name of a branch, a little stricter.
pub(super) fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\\"'@{}".contains(c);
    let part =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains(".lock");
    name.len() <= TEXT_BYTES_MAX
        && !name.contains(odd)
        && !name.contains("..")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, names: &[&str], expect: Option<&str>) {
        let Some(Follow::Versions(range)) = parse(&format!("semver:{range}")) else {
            panic!("{range} is a range")
        };
        assert_eq!(highest(&range, names.iter().copied()), expect, "{range} {names:?}");
    }

    #[test]
    fn the_highest_version_in_the_range_is_taken() {
        check("^1.2", &["1.2.0", "v1.10.0", "1.9.0", "2.0.0"], Some("v1.10.0"));
        check(">=1, <3", &["0.9.0", "2.9.9", "3.0.0"], Some("2.9.9"));
        check("^1.2", &["1.1.9", "nightly", "v1", "latest"], None);
        check("*", &[], None);
    }

    #[test]
    fn a_pre_release_is_taken_only_by_a_range_that_names_one() {
        check("^1.2", &["1.2.0", "1.3.0-rc.1"], Some("1.2.0"));
        check(">=1.3.0-rc", &["1.2.0", "1.3.0-rc.1", "1.3.0-rc.2"], Some("1.3.0-rc.2"));
    }

    #[test]
    fn what_is_followed_is_read() {
        let commit = "1f3c9a21f3c9a21f3c9a21f3c9a21f3c9a21f3c9";
        assert_eq!(parse(commit), Some(Follow::Commit(commit.to_owned())));
        assert_eq!(parse("main"), Some(Follow::Name("main".to_owned())));
        assert_eq!(parse("semver:nonsense"), None);
        assert_eq!(parse("sha256:12"), None);
        assert!(matches!(parse(&format!("sha256:{}", "0".repeat(64))), Some(Follow::Digest(_))));
    }
}

//! What of a source is followed.

/// Longest ref, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// A branch or a tag of this name; the branch goes first.
    Name(String),
    /// One commit.
    Commit(String),
}

/// Reads what a source follows.
pub(super) fn parse(text: &str) -> Option<Follow> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() == 40 && text.bytes().all(digit) {
        return Some(Follow::Commit(text.to_owned()));
    }
    is_name(text).then(|| Follow::Name(text.to_owned()))
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

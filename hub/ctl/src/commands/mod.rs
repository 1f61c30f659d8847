//! One file a command.

pub(crate) mod rollout;
pub(crate) mod gate;
pub(crate) mod show;
pub(crate) mod act;
pub(crate) mod reach;
pub(crate) mod simulate;
pub(crate) mod get;
pub(crate) mod why;
pub(crate) mod cluster;
pub(crate) mod hold;
pub(crate) mod blocker;
pub(crate) mod token;
pub(crate) mod source;
pub(crate) mod import;
pub(crate) mod preview;
pub(crate) mod targets;
pub(crate) mod render;
pub(crate) mod agent;
pub(crate) mod lint;
pub(crate) mod health;
pub(crate) mod schema;
mod offline;
mod archives;
pub(crate) mod reason;
pub(crate) mod version;

use std::time::Duration;

use crate::{connect::Hub, output::Output};

/// What every command that asks the hub gets.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hub: Hub,
    pub(crate) output: Output,
    pub(crate) timeout: Option<Duration>,
}

/// A path segment that is safe in a URL: names are DNS-1123 labels, everything else is escaped.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The known name that is most like `asked`, when one is near enough to be a slip of the finger.
pub(crate) fn did_you_mean<'a>(
    asked: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    const DISTANCE_MAX: usize = 2; // one letter wrong, or two swapped
    known
        .map(|name| (strsim::damerau_levenshtein(asked, name), name))
        .filter(|(distance, _)| *distance <= DISTANCE_MAX)
        .min()
        .map(|(_, name)| name)
}

//! What went wrong with a source, as one of the reasons that people know.

use std::{fmt, io, path::Path, time::Duration};

use model::Reason;

/// Longest text of the other side that is quoted, in characters.
const QUOTE_CHARS_MAX: usize = 200;

/// Why a look failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Fault {
    /// Entry of the registry.
    pub(in crate::source) reason: Reason,
    /// What and where.
    pub(in crate::source) message: String,
    /// The server asked to be left alone for so long.
    pub(in crate::source) pause: Option<Duration>,
    /// What is kept here is broken, and can be built anew.
    pub(in crate::source) damaged: bool,
}

impl Fault {
    pub(in crate::source) fn new(reason: Reason, message: impl Into<String>) -> Fault {
        Fault { reason, message: message.into(), pause: None, damaged: false }
    }

    /// With the pause that the server asked for.
    pub(in crate::source) fn after(self, pause: Option<Duration>) -> Fault {
        Fault { pause, ..self }
    }

    /// What is kept in `dir` cannot be used.
    pub(in crate::source) fn damaged(dir: &Path, why: impl fmt::Display) -> Fault {
        let message = format!("mirror `{}` is damaged: {why}", dir.display());
        Fault { damaged: true, ..Fault::new(Reason::Internal, message) }
    }

    /// The disk under `dir` failed.
    pub(in crate::source) fn disk(dir: &Path, error: &io::Error) -> Fault {
        let reason = if is_full(error.kind()) { Reason::DiskFull } else { Reason::Internal };
        Fault::new(reason, format!("mirror `{}`: {error}", dir.display()))
    }

    /// What the HTTPS client said about the server at `url`.
    pub(in crate::source) fn of_http(url: &str, error: &reqwest::Error) -> Fault {
        let mut causes = vec![Cause::read(error)];
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(Cause::read(cause));
            next = cause.source();
        }
        Fault::judged(url, &causes, Class::default())
    }

    /// What is behind a chain of errors about `url`.
    pub(in crate::source) fn judged(url: &str, causes: &[Cause], class: Class) -> Fault {
        let (reason, words) = judge(causes, class);
        let deepest = causes.last().map(|cause| quote(&cause.text)).unwrap_or_default();
        Fault::new(reason, format!("`{url}`: {words}: {deepest}"))
    }
}

pub(in crate::source) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What is looked at of one error in a chain.
pub(in crate::source) struct Cause {
    text: String,
    io: Option<io::ErrorKind>,
    slow: bool,
}

impl Cause {
    pub(in crate::source) fn read(error: &(dyn std::error::Error + 'static)) -> Cause {
        let http = error.downcast_ref::<reqwest::Error>();
        Cause {
            text: error.to_string(),
            io: error.downcast_ref::<io::Error>().map(io::Error::kind),
            slow: http.is_some_and(reqwest::Error::is_timeout),
        }
    }
}

/// What a library says of an error as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::source) struct Class {
    /// A limit was met.
    pub(in crate::source) exhausted: bool,
    /// There is nothing of that name.
    pub(in crate::source) missing: bool,
    /// The answer is none that it understands.
    pub(in crate::source) foreign: bool,
}

/// The reason, and what happened in our own words.
fn judge(causes: &[Cause], class: Class) -> (Reason, &'static str) {
    let says = |words: &str| causes.iter().any(|cause| cause.text.contains(words));
    let is = |kind: io::ErrorKind| causes.iter().any(|cause| cause.io == Some(kind));
    if causes.iter().any(|cause| cause.io.is_some_and(is_full)) {
        (Reason::DiskFull, "the disk of the hub is full")
    } else if class.exhausted {
        (Reason::GitTooLarge, "an object is over the limit")
    } else if causes.iter().any(|cause| cause.slow) || is(io::ErrorKind::TimedOut) {
        (Reason::GitTimeout, "the server does not answer in time")
    } else if says("peer certificate") || says("received fatal alert") || says("corrupt message") {
        (Reason::GitTlsFailed, "the connection cannot be trusted")
    } else if says("proxy authorization required") {
        (Reason::GitAuthFailed, "the proxy refuses access")
    } else if class.missing {
        (Reason::GitNotARepository, "there is no repository")
    } else if class.foreign {
        (Reason::GitNotARepository, "this is not how a Git server answers")
    } else if is(io::ErrorKind::UnexpectedEof) || says("the pack sent by the remote") {
        (Reason::GitUnreachable, "the transfer broke off")
    } else {
        (Reason::GitUnreachable, "the server cannot be reached")
    }
}

/// Text of somebody else: one line, bounded, without the URL that stands before it already.
pub(in crate::source) fn quote(text: &str) -> String {
    let text = text.split(" for url (").next().unwrap_or_default();
    let mut out: String =
        text.chars().take(QUOTE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

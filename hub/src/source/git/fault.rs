//! What went wrong with a remote or a mirror, as one of the reasons that people know.

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
    /// The mirror itself is broken, and can be built anew.
    pub(super) damaged: bool,
}

impl Fault {
    pub(in crate::source) fn new(reason: Reason, message: impl Into<String>) -> Fault {
        Fault { reason, message: message.into(), pause: None, damaged: false }
    }

    /// The mirror in `dir` cannot be used.
    pub(super) fn damaged(dir: &Path, why: impl fmt::Display) -> Fault {
        let message = format!("mirror `{}` is damaged: {why}", dir.display());
        Fault { damaged: true, ..Fault::new(Reason::Internal, message) }
    }

    /// What gix said about the mirror in `dir`.
    pub(super) fn of_mirror(dir: &Path, error: &gix::Error) -> Fault {
        let disk = error.iter_errors().find_map(|cause| cause.downcast_ref::<io::Error>());
        match disk {
            Some(disk) if is_full(disk.kind()) => Fault::disk(dir, disk),
            Some(_) | None => Fault::damaged(dir, error),
        }
    }

    /// The disk under the mirror failed.
    pub(super) fn disk(dir: &Path, error: &io::Error) -> Fault {
        let reason = if is_full(error.kind()) { Reason::DiskFull } else { Reason::Internal };
        Fault::new(reason, format!("mirror `{}`: {error}", dir.display()))
    }

    /// With the pause that the server asked for.
    pub(in crate::source) fn after(self, pause: Option<Duration>) -> Fault {
        Fault { pause, ..self }
    }

    /// What the HTTPS client said about the remote at `url`.
    pub(in crate::source) fn of_http(url: &str, error: &reqwest::Error) -> Fault {
        let mut causes = vec![Cause::read(error)];
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(Cause::read(cause));
            next = cause.source();
        }
        Fault::judged(url, &causes, &[])
    }

    /// What gix said about the remote at `url`.
    pub(super) fn of(url: &str, error: &gix::Error) -> Fault {
        let causes: Vec<Cause> = error.iter_errors().map(Cause::read).collect();
        let class = error.classify().map(|found| found.class()).collect::<Vec<_>>();
        Fault::judged(url, &causes, &class)
    }

    fn judged(url: &str, causes: &[Cause], class: &[gix::error::Class]) -> Fault {
        let (reason, words) = judge(causes, class);
        let deepest = causes.last().map(|cause| quote(&cause.text)).unwrap_or_default();
        Fault::new(reason, format!("`{url}`: {words}: {deepest}"))
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What is looked at of one error in a chain.
struct Cause {
    text: String,
    io: Option<io::ErrorKind>,
    slow: bool,
}

impl Cause {
    fn read(error: &(dyn std::error::Error + 'static)) -> Cause {
        let http = error.downcast_ref::<reqwest::Error>();
        Cause {
            text: error.to_string(),
            io: error.downcast_ref::<io::Error>().map(io::Error::kind),
            slow: http.is_some_and(reqwest::Error::is_timeout),
        }
    }
}

/// The reason, and what happened in our own words.
fn judge(causes: &[Cause], class: &[gix::error::Class]) -> (Reason, &'static str) {
    use gix::error::Class;
    let says = |words: &str| causes.iter().any(|cause| cause.text.contains(words));
    let is = |kind: io::ErrorKind| causes.iter().any(|cause| cause.io == Some(kind));
    let exhausted = class.iter().any(|class| matches!(class, Class::ResourceExhaustion(_)));
    if causes.iter().any(|cause| cause.io.is_some_and(is_full)) {
        (Reason::DiskFull, "the disk of the hub is full")
    } else if exhausted {
        (Reason::GitTooLarge, "an object is over the limit")
    } else if causes.iter().any(|cause| cause.slow) || is(io::ErrorKind::TimedOut) {
        (Reason::GitTimeout, "the server does not answer in time")
    } else if says("peer certificate") || says("received fatal alert") || says("corrupt message") {
        (Reason::GitTlsFailed, "the connection cannot be trusted")
    } else if says("proxy authorization required") {
        (Reason::GitAuthFailed, "the proxy refuses access")
    } else if class.contains(&Class::NotFound) {
        (Reason::GitNotARepository, "there is no repository")
    } else if class.contains(&Class::Unsupported) || class.contains(&Class::Validation) {
        (Reason::GitNotARepository, "this is not how a Git server answers")
    } else if is(io::ErrorKind::UnexpectedEof) || says("the pack sent by the remote") {
        (Reason::GitUnreachable, "the transfer broke off")
    } else {
        (Reason::GitUnreachable, "the server cannot be reached")
    }
}

/// Text of somebody else: one line, bounded, without the URL that stands before it already.
pub(super) fn quote(text: &str) -> String {
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

//! Data to stdout, talk to stderr. The only place of the crate that prints.
#![expect(clippy::print_stderr, reason = "printing is what this module is for")]

pub(crate) mod changes;
mod sarif;
mod table;

use std::io::{IsTerminal, Write};

use model::State;
use serde::Serialize;
#[cfg(target_os = "linux")]
use {
    std::os::fd::AsFd,
    tokio::{io::Interest, net::unix::pipe},
};

use crate::error::{Error, Exit};

pub(crate) use sarif::sarif;
pub(crate) use table::Table;

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One document.
    Json,
    /// One name a line.
    Name,
}

/// Forms that only some commands have; to the others they are a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// A stream of documents.
    Yaml,
    /// A comment for a pull request.
    Markdown,
    /// Findings for code review.
    Sarif,
}

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Form of the data.
    pub(crate) format: Format,
    /// What was asked for beside that.
    pub(crate) special: Option<Special>,
    /// No talk.
    pub(crate) quiet: bool,
}

impl Output {
    /// Data: one JSON document.
    pub(crate) fn json<T: Serialize>(document: &T) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|e| Error::new(Exit::Internal, format!("write JSON: {e}")))?;
        Output::data(&text)
    }

    /// Data: text that ends with a line break. A closed pipe (`| head`) is no error.
    pub(crate) fn data(text: &str) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{}", text.trim_end_matches('\n')) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::new(Exit::Internal, format!("write to stdout: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Ends when nobody reads stdout any more (`| head -1`). Where that cannot be known, such as for a file,
    /// it never ends.
    pub(crate) async fn closed() {
        // Only watched, by a descriptor of its own; what is printed goes the usual way.
        #[cfg(target_os = "linux")]
        if let Ok(stdout) = std::io::stdout().as_fd().try_clone_to_owned()
            && let Ok(pipe) = pipe::Sender::from_file_unchecked(stdout.into())
            && pipe.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Talk.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// Prints the error that ends the process.
pub(crate) fn fail(error: &Error) {
    eprintln!("{error}");
}

/// A state as people see it: never by colour alone.
pub(crate) fn state(state: State) -> String {
    if !std::io::stdout().is_terminal() {
        return state.to_string();
    }
    let icon = match state {
        State::Ready => "✔",
        State::Progressing => "◐",
        State::Waiting => "⏸",
        State::Paused => "‖",
        State::Drifted => "≠",
        State::Failed => "✖",
        State::Offline => "⌁",
        State::Unknown => "?",
    };
    format!("{icon} {state}")
}

/// `1 line`, `2 lines`.
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Makes text from clusters and commits safe for a terminal: control and direction characters are
/// shown as escapes.
pub(crate) fn safe(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) && c != '\n' {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn terminal_escapes_from_a_cluster_are_shown_not_obeyed() {
        assert_eq!(super::safe("a\u{1b}[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
        assert_eq!(super::safe("web läuft"), "web läuft");
    }
}

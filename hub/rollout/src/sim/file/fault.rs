//! What is wrong with a scenario, where, and what to do.

/// One fault, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What, one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    pub(super) fn of_parser(file: &str, error: &serde_saphyr::Error) -> Fault {
        let text = error.without_snippet().to_string();
        // The place is told once, in front.
        let ends = [" at line ", " (defined at ", " (used at "].map(|mark| text.find(mark));
        let end = ends.into_iter().flatten().min().unwrap_or(text.len());
        let line = error.location().map_or(1, |l| l.line());
        Fault { file: file.to_owned(), line, message: text[..end].to_owned(), hint: None }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

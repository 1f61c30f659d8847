//! Kustomize and Helm, as rendering asks for them. Running them is for whoever implements [`Tools`].
//!
//! A job carries everything that the tool may see, so that its digest stands for the answer.

use std::{collections::BTreeMap, sync::Arc};

use model::{Digest, Reason};

use crate::diagnostic::Diagnostic;

/// A program that renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// `kustomize build`.
    Kustomize,
    /// `helm template`.
    Helm,
}

impl Tool {
    /// Name of the program.
    pub fn as_str(self) -> &'static str {
        match self {
            Tool::Kustomize => "kustomize",
            Tool::Helm => "helm",
        }
    }
}

/// What a tool wrote to stdout.
pub type Output = Arc<[u8]>;

/// One run of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which.
    pub tool: Tool,
    /// What it is told.
    pub arguments: Vec<String>,
    /// Every file that it can read, by path from the folder in which it runs.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Whether two runs must agree, because the input could make each run different.
    pub twice: bool,
}

impl Job {
    /// A run without files.
    pub fn new(tool: Tool, arguments: Vec<String>) -> Job {
        Job { tool, arguments, files: BTreeMap::new(), twice: false }
    }

    /// Digest of all that can change the answer, save the tool itself.
    pub fn digest(&self) -> Digest {
        let mut bytes = format!("{} {:?} {}\n", self.tool.as_str(), self.arguments, self.twice);
        for (path, content) in &self.files {
            bytes.push_str(&format!("{path:?} {}\n", Digest::of(content)));
        }
        Digest::of(bytes.as_bytes())
    }
}

/// Why a tool gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The program is not installed.
    #[error("`{}` is not installed: it was looked for {looked}", tool.as_str())]
    Missing {
        /// Which.
        tool: Tool,
        /// Where it was looked for.
        looked: String,
    },
    /// It ended with a fault.
    #[error("{words}")]
    Failed {
        /// Its own words.
        words: String,
    },
    /// It was stopped.
    #[error("it took too much {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// Two runs on the same input gave different output.
    #[error("two renders of the same commit differ, first at `{line}`")]
    Differs {
        /// The first line of the first that is not in the second.
        line: String,
    },
    /// It cannot be run safely, so it is not run.
    #[error("{why}")]
    Sandbox {
        /// Why.
        why: String,
    },
}

/// Longest part of a tool's own words in a message: enough for its last sentence.
const WORDS_MAX: usize = 600;

impl ToolError {
    /// As a fault of `file`.
    pub(crate) fn fault(&self, tool: Tool, file: &str) -> Diagnostic {
        let name = tool.as_str();
        match self {
            ToolError::Missing { .. } => {
                let message = format!("the folder is for {name}: {self}");
                let fault = Diagnostic::error(Reason::ToolMissing, file, message);
                fault.hint(format!(
                    "install `{name}` beside Tidegate or on its PATH, or name it with `--{name}`"
                ))
            }
            ToolError::Failed { words } => {
                let message = format!("{name} says: {}", quoted(words));
                Diagnostic::error(Reason::ToolFailed, file, message)
            }
            ToolError::TooMuch { what } => {
                let message = format!("{name} was stopped: it took too much {what}");
                Diagnostic::error(Reason::RenderTooMuch, file, message)
            }
            ToolError::Differs { line } => {
                // What stands behind the colon may be a secret, and is another one each time.
                let place = line.split(':').next().unwrap_or_default();
                let message = format!("{name}: two renders differ, first at `{}`", clip(place));
                Diagnostic::error(Reason::NotReproducible, file, message)
            }
            ToolError::Sandbox { why } => {
                let message = format!("{name} is not run, because its sandbox fails: {why}");
                Diagnostic::error(Reason::SandboxFailed, file, message)
            }
        }
    }
}

fn clip(line: &str) -> String {
    crate::yaml::clip(line)
}

/// The words on one line, bounded; what comes last says most.
fn quoted(words: &str) -> String {
    let lines = words.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with("WARN") && !line.starts_with("Use --debug")
    });
    let text = lines.collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = text.strip_prefix("Error: ").unwrap_or(&text).trim().to_owned();
    let count = text.chars().count();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    if count <= WORDS_MAX {
        return text;
    }
    let tail: String = text.chars().skip(count - WORDS_MAX).collect();
    format!("…{tail}")
}

/// Runs tools.
pub trait Tools {
    /// Runs one job to its end. Equal jobs give equal answers.
    fn run(&self, job: &Job) -> Result<Output, ToolError>;

    /// Which version would run.
    fn version(&self, tool: Tool) -> Result<String, ToolError>;
}

/// No tool at all: plain YAML only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTools;

impl Tools for NoTools {
    fn run(&self, job: &Job) -> Result<Output, ToolError> {
        self.version(job.tool).map(|_| Arc::from([]))
    }

    fn version(&self, tool: Tool) -> Result<String, ToolError> {
        Err(ToolError::Missing { tool, looked: "nowhere".to_owned() })
    }
}

//! Charts that other charts depend on, as rendering asks for them. Fetching them is for whoever implements [`Charts`];
//! the tool that renders fetches nothing.

use std::sync::Arc;

use model::Reason;

use crate::diagnostic::Diagnostic;

/// One chart of one version, as a chart in the repository names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Where it is said to be: `https://…` or `oci://…`.
    pub repository: String,
    /// Its name.
    pub name: String,
    /// Its one version.
    pub version: String,
}

impl Wanted {
    /// The name of its archive, as Helm calls it.
    pub fn archive(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }
}

/// Why a chart cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChartError {
    /// Entry of the registry.
    pub reason: Reason,
    /// What and why, one sentence.
    pub message: String,
    /// What to do, when it can be said more exactly than the reason says it.
    pub hint: Option<String>,
}

impl ChartError {
    /// As a fault of `file`.
    pub(crate) fn fault(self, file: &str) -> Diagnostic {
        let fault = Diagnostic::error(self.reason, file, self.message);
        match self.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// Where charts come from that are not in the repository.
pub trait Charts {
    /// Its archive, as it was packed. The same chart gives the same bytes for ever. Does not wait for a network: what is
    /// still on its way is an error until it is there.
    fn archive(&self, wanted: &Wanted) -> Result<Arc<[u8]>, ChartError>;
}

/// Nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCharts;

impl Charts for NoCharts {
    fn archive(&self, wanted: &Wanted) -> Result<Arc<[u8]>, ChartError> {
        let message =
            format!("dependency `{}` is not in `charts`, and nothing is fetched here", wanted.name);
        Err(ChartError { reason: Reason::DependencyMissing, message, hint: None })
    }
}

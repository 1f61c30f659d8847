//! What rendering works with beside the files.

use model::SourceName;

use crate::{
    charts::{Charts, NoCharts},
    policy::Policy,
    tools::{NoTools, Tools},
};

/// What rendering works with.
#[derive(Clone, Copy)]
pub struct Kit<'a> {
    /// Kustomize and Helm.
    pub tools: &'a dyn Tools,
    /// Charts that are not in the repository.
    pub charts: &'a dyn Charts,
    /// What the fleet allows.
    pub policy: Option<&'a Policy>,
    /// Where the commit comes from; rules for one source ask for it.
    pub source: Option<&'a SourceName>,
}

impl std::fmt::Debug for Kit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kit").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Kit<'_> {
    /// Plain YAML, no policy.
    pub fn plain() -> Kit<'static> {
        Kit { tools: &NoTools, charts: &NoCharts, policy: None, source: None }
    }
}

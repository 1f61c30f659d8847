//! Which cluster in which wave.

use std::collections::BTreeMap;

use model::{ClusterUid, Reason};

use crate::{
    obs::ClusterObs,
    release::{Plan, Variants},
    spec::{Strategy, Targets},
    state::App,
};

/// Why a release cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanFault {
    /// Entry of the registry.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

/// Distributes the targets over the waves.
pub fn plan(
    app: &App,
    targets: &Targets,
    strategy: &Strategy,
    variants: &Variants,
    clusters: &BTreeMap<ClusterUid, ClusterObs>,
) -> Result<Plan, Vec<PlanFault>> {
    let _ = (app, targets, strategy, variants, clusters);
    Err(Vec::new())
}

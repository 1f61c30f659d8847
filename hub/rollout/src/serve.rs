//! What one cluster is told: a projection of the state, resent freely.

use model::{ClusterUid, Directive};

use crate::state::App;

/// The directive for one cluster. A function of the state alone: what was not appended is never said.
pub fn serve(app: &App, cluster: &ClusterUid) -> Directive {
    let Some(holding) = app.holding(cluster).filter(|h| !h.departed) else {
        return Directive::Hold;
    };
    match holding.newest() {
        Some(given) if holding.recalled && !holding.is_settled() => {
            Directive::Fence(given.grant.epoch)
        }
        Some(given) => Directive::Grant(given.grant),
        None => Directive::Hold,
    }
}

//! In which cluster the agent is, and in which one its state was made. A state that was copied into another cluster, or a
//! kubeconfig that leads to another one, must not write there. Uses the client once.

use tokio::sync::OnceCell;

use crate::cluster::Cluster;
use crate::state::State;

/// Both uids, once known.
#[derive(Debug, Default)]
pub(super) struct Place {
    known: OnceCell<(String, String)>,
}

impl Place {
    /// Uid of the cluster of the state, and of this one; `None` while one of them cannot be told.
    pub(super) async fn both(&self, cluster: &Cluster, state: &State) -> Option<(&str, &str)> {
        let look = || async {
            let here = cluster.uid().await.ok().flatten().ok_or(())?;
            let made = match state.cluster().await {
                Ok(Some(made)) => made,
                Ok(None) => {
                    if let Err(fault) = state.note_cluster(&here).await {
                        tracing::warn!(fault = crate::fault::causes(&fault), "cluster not noted");
                    }
                    here.clone()
                }
                Err(fault) => {
                    tracing::warn!(fault = crate::fault::causes(&fault), "cluster not known");
                    return Err(());
                }
            };
            Ok((made, here))
        };
        let (made, here) = self.known.get_or_try_init(look).await.ok()?;
        Some((made.as_str(), here.as_str()))
    }
}

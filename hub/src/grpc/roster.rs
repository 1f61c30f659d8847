//! The live sessions, so that one task can cut those whose cluster was deleted, revoked or given another
//! certificate, instead of each session watching every change of the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::admit::{Cut, judge};
use super::parts::Parts;
use crate::pki::Peer;
use crate::registry::{ClusterRecord, ClusterState};

/// Changes of the registry that come closer together are looked at once: a fleet that connects makes one
/// for each agent. Cutting takes at most this long.
const GATHER: Duration = Duration::from_millis(200);

/// All live sessions.
#[derive(Debug, Default)]
pub(super) struct Roster {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    last: u64,
    live: BTreeMap<u64, Live>,
}

#[derive(Debug)]
struct Live {
    peer: Peer,
    suspended: bool,
    cut: Option<oneshot::Sender<Cut>>,
}

/// A session's row; removed when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    roster: Arc<Roster>,
    number: u64,
}

impl Roster {
    /// Enters a session. What comes out of the receiver ends it.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: Peer,
        suspended: bool,
    ) -> (Seat, oneshot::Receiver<Cut>) {
        let (cut, receiver) = oneshot::channel();
        let mut rows = self.lock();
        rows.last += 1;
        let number = rows.last;
        rows.live.insert(number, Live { peer, suspended, cut: Some(cut) });
        drop(rows);
        (Seat { roster: self.clone(), number }, receiver)
    }

    /// Looks at every session with the registry as it is now.
    fn check(&self, parts: &Parts) {
        let clusters = parts.registry.clusters();
        let now = parts.clock.now();
        for live in self.lock().live.values_mut() {
            let cluster = clusters.get(&live.peer.cluster);
            if let Err(cut) = judge(cluster, &live.peer, now)
                && let Some(sender) = live.cut.take()
            {
                // A session that ends by itself at this moment does not listen any more.
                drop(sender.send(cut));
            }
            let suspended = cluster.is_some_and(is_suspended);
            if suspended != live.suspended {
                live.suspended = suspended;
                parts.fleet.wake(&live.peer.cluster);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.roster.lock().live.remove(&self.number);
    }
}

/// Whether a cluster receives nothing.
pub(super) fn is_suspended(cluster: &ClusterRecord) -> bool {
    matches!(cluster.state, ClusterState::Suspended { .. })
}

/// Follows the registry until `shutdown`.
pub(super) async fn watch(parts: Parts, roster: Arc<Roster>, shutdown: CancellationToken) {
    let mut changed = parts.registry.changed();
    let follow = async {
        while changed.changed().await.is_ok() {
            roster.check(&parts);
            sleep(GATHER).await;
        }
    };
    let _ended = shutdown.run_until_cancelled(follow).await;
}

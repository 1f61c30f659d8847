//! What the hub serves to each cluster: a projection of decided state, published by the driver and
//! read by sessions. Nothing is decided here, and a wrong or missing entry can only delay.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{AppName, ClusterUid, Digest, Directive};

/// One directive with what people and traces need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The App.
    pub app: AppName,
    /// What the agent shall do.
    pub directive: Directive,
    /// Revision behind a grant, `main@sha1:…`; empty otherwise.
    pub revision: String,
    /// `correct`, `report` or `ignore`.
    pub drift: String,
    /// W3C traceparent of the rollout.
    pub trace: Option<String>,
    /// Manifests that the cluster was granted earlier and may hold: what a new one can be told as a
    /// difference to.
    pub earlier: Vec<Digest>,
}

type Row = BTreeMap<AppName, Served>;

/// What is served now, by cluster and App.
#[derive(Debug, Default)]
pub struct Desk {
    rows: Mutex<BTreeMap<ClusterUid, Row>>,
}

impl Desk {
    /// Serves nothing.
    pub fn new() -> Desk {
        Desk::default()
    }

    /// Everything served to a cluster, by App name.
    pub fn served(&self, uid: &ClusterUid) -> Vec<Served> {
        self.lock().get(uid).map(|row| row.values().cloned().collect()).unwrap_or_default()
    }

    /// Whether a cluster may pull this manifest: only what it is granted now.
    pub fn granted(&self, uid: &ClusterUid, app: &AppName, manifest: &Digest) -> bool {
        let rows = self.lock();
        let served = rows.get(uid).and_then(|row| row.get(app));
        served.is_some_and(|s| matches!(s.directive, Directive::Grant(g) if g.digest == *manifest))
    }

    /// Whether a cluster was granted this manifest, now or earlier, as far as is remembered.
    pub fn may_hold(&self, uid: &ClusterUid, app: &AppName, manifest: &Digest) -> bool {
        let rows = self.lock();
        let served = rows.get(uid).and_then(|row| row.get(app));
        served.is_some_and(|s| s.earlier.contains(manifest))
    }

    /// Replaces what is served for one App; returns the clusters for which something changed.
    pub fn publish(&self, app: &AppName, served: BTreeMap<ClusterUid, Served>) -> Vec<ClusterUid> {
        let mut rows = self.lock();
        let mut changed = Vec::new();
        for (uid, row) in rows.iter_mut() {
            if row.contains_key(app) && !served.contains_key(uid) {
                row.remove(app);
                changed.push(uid.clone());
            }
        }
        for (uid, new) in served {
            let row = rows.entry(uid.clone()).or_default();
            if row.get(app) != Some(&new) {
                row.insert(app.clone(), new);
                changed.push(uid);
            }
        }
        changed
    }

    /// Drops a cluster that was deleted.
    pub fn forget(&self, uid: &ClusterUid) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterUid, Row>> {
        // A panic while holding the lock leaves whole rows only; the next publish repairs them.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One App as the engine holds it: decided state, what Git offers, what people see.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use model::{AppName, ClusterName, ClusterUid, Digest, Directive, SourceName, Status};
use rollout::{Candidate, ClusterObs, Holding, Now, Obs, Proven, view::AppView};

use super::{Desk, Fleet, Served, offer::Wanted};
use crate::registry::ClusterRecord;

/// What Git says about an App.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The newest valid release; kept when a later commit is broken.
    pub candidate: Option<Arc<Candidate>>,
    /// Why the newest commit is not it.
    pub fault: Option<Status>,
    /// The revision at which `fault` was found.
    pub fault_at: Option<String>,
    /// `correct`, `report` or `ignore`.
    pub drift: String,
}

/// One App.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) source: Option<SourceName>,
    /// The fold of the log.
    pub(super) state: Arc<rollout::App>,
    /// Sequence number of the next event.
    pub(super) next_seq: u64,
    pub(super) offer: Offer,
    /// The proven release for clusters that came after it, while a newer commit is on its way.
    pub(super) proven: Option<Proven>,
    /// Which manifest came from which revision, for people.
    pub(super) revisions: Arc<BTreeMap<Digest, String>>,
}

impl Slot {
    pub(super) fn new(state: rollout::App, next_seq: u64) -> Slot {
        Slot {
            source: None,
            state: Arc::new(state),
            next_seq,
            offer: Offer::default(),
            proven: None,
            revisions: Arc::default(),
        }
    }

    /// The proven release, when the newest commit is another one and selects a cluster that it does not name.
    pub(super) fn lacks_proven(
        &self,
        clusters: &BTreeMap<ClusterUid, ClusterRecord>,
    ) -> Option<Wanted> {
        let (stable, candidate) = (self.state.stable.as_ref()?, self.offer.candidate.as_ref()?);
        let lacks =
            |uid: &ClusterUid| clusters.contains_key(uid) && !stable.variants.contains_key(uid);
        let wanted = *stable.commit() != candidate.commit && candidate.variants.keys().any(lacks);
        let source = self.source.clone().filter(|_| wanted)?;
        Some(Wanted { app: self.state.name.clone(), source, commit: stable.commit().clone() })
    }

    /// Takes the proven release as it was rendered for the clusters that are there now.
    pub(super) fn learn_proven(&mut self, proven: Proven) {
        let Some(stable) = self.state.stable.as_ref() else { return };
        // Nothing is what is known after a panic.
        if *stable.commit() != proven.commit || proven.variants.is_empty() {
            return;
        }
        let revision = stable.revision.to_string();
        let revisions = Arc::make_mut(&mut self.revisions);
        for digest in proven.variants.values().collect::<BTreeSet<_>>() {
            revisions.entry(*digest).or_insert_with(|| revision.clone());
        }
        self.proven = Some(proven);
    }

    /// What the brain is told: every registered cluster, and every one that this App still holds.
    pub(super) fn observe(
        &self,
        clusters: &BTreeMap<ClusterUid, ClusterRecord>,
        fleet: &Fleet,
    ) -> Obs {
        let name = &self.state.name;
        let mut seen: BTreeMap<ClusterUid, ClusterObs> =
            clusters.values().map(|c| (c.uid.clone(), unheard(c))).collect();
        // Nothing is served to a cluster that may not connect, so to the brain it is as silent as a dark one.
        let may_hear = |uid: &ClusterUid| clusters.get(uid).is_some_and(ClusterRecord::may_receive);
        fleet.each(|uid, agent| {
            if let Some(obs) = seen.get_mut(uid).filter(|_| may_hear(uid)) {
                obs.connected = agent.connected && agent.synced;
                obs.last_heard = agent.heard_whole();
                obs.facts = agent.facts.clone().unwrap_or_default();
                obs.report = agent.reports.get(name).map(|h| h.report.clone());
            }
        });
        // The registry is durable and checked at open, so a cluster that it does not have was deleted.
        let members = self.state.active.iter().flat_map(|rollout| rollout.members.keys());
        for uid in members.filter(|uid| !self.state.clusters.contains_key(*uid)) {
            // Its name went with its record; a uid is a name too.
            let name = ClusterName::parse(&uid.to_string()).ok();
            if let Some(name) = name.filter(|_| !clusters.contains_key(uid)) {
                seen.insert(uid.clone(), departed(name));
            }
        }
        for (uid, holding) in &self.state.clusters {
            seen.entry(uid.clone()).or_insert_with(|| departed(holding.name.clone()));
        }
        let candidate = self.offer.candidate.clone();
        Obs { candidate, proven: self.proven.clone(), clusters: seen, ..Obs::default() }
    }

    /// Puts what is decided onto the desk; returns the clusters to wake.
    pub(super) fn publish(
        &self,
        desk: &Desk,
        clusters: &BTreeMap<ClusterUid, ClusterRecord>,
    ) -> Vec<ClusterUid> {
        let served = self
            .state
            .clusters
            .iter()
            .filter(|(uid, _)| clusters.contains_key(*uid))
            .map(|(uid, holding)| (uid.clone(), self.serve(uid, holding)))
            .collect();
        desk.publish(&self.state.name, served)
    }

    fn serve(&self, uid: &ClusterUid, holding: &Holding) -> Served {
        let directive = rollout::serve(&self.state, uid);
        let rollout = holding.newest().and_then(|given| self.state.rollout(given.rollout));
        Served {
            app: self.state.name.clone(),
            directive,
            revision: match directive {
                Directive::Grant(grant) => self.revision(&grant.digest).unwrap_or_default(),
                Directive::Hold | Directive::Fence(_) => String::new(),
            },
            drift: self.offer.drift.clone(),
            trace: rollout.and_then(|r| r.trace.clone()),
            earlier: granted(holding),
        }
    }

    /// The revision that a manifest came from, as far as it is remembered.
    pub(super) fn revision(&self, digest: &Digest) -> Option<String> {
        self.revisions.get(digest).cloned()
    }

    /// Learns which manifest came from which revision: from what is decided and what is offered.
    pub(super) fn learn_revisions(&mut self) {
        let (state, revisions) = (&self.state, Arc::make_mut(&mut self.revisions));
        let known = state.past.iter().rev().chain(&state.active).map(|r| &r.release);
        for release in known.chain(&state.stable) {
            let revision = release.revision.to_string();
            for digest in release.variants.values().collect::<BTreeSet<_>>() {
                revisions.entry(*digest).or_insert_with(|| revision.clone());
            }
        }
        if let Some(candidate) = &self.offer.candidate {
            for digest in candidate.variants.values().collect::<BTreeSet<_>>() {
                revisions.insert(*digest, candidate.revision().to_string());
            }
        }
    }
}

/// Manifests that a cluster was granted and may hold.
fn granted(holding: &Holding) -> Vec<Digest> {
    let given = holding.confirmed.iter().chain(&holding.outstanding).map(|g| g.grant.digest);
    given.chain(holding.good.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A cluster that was deleted.
fn departed(name: ClusterName) -> ClusterObs {
    ClusterObs {
        name,
        labels: BTreeMap::new(),
        facts: serde_json::Value::Null,
        connected: false,
        last_heard: None,
        report: None,
        deleted: true,
        cordon: None,
        pin: None,
        busy: 0,
    }
}

fn unheard(record: &ClusterRecord) -> ClusterObs {
    ClusterObs {
        name: record.name.clone(),
        labels: record.labels.clone(),
        facts: serde_json::Value::Null,
        connected: false,
        last_heard: None,
        report: None,
        deleted: false,
        cordon: None,
        pin: None,
        busy: 0,
    }
}

/// What people are shown of one App: state and facts of one instant.
#[derive(Debug)]
pub struct AppNow {
    /// Its name.
    pub name: AppName,
    /// Where it comes from; `None` when no source has it any more.
    pub source: Option<SourceName>,
    /// Decided state.
    pub state: Arc<rollout::App>,
    /// What was known when it was decided.
    pub obs: Obs,
    /// When that was.
    pub now: Now,
    /// What Git offers.
    pub offer: Offer,
    /// Which manifest came from which revision.
    pub revisions: Arc<BTreeMap<Digest, String>>,
    pub(super) shown: Shown,
}

/// What was worked out of one instant for somebody who asked; the next one finds it.
#[derive(Debug, Default)]
pub(super) struct Shown {
    view: OnceLock<AppView>,
    clusters: Mutex<BTreeMap<ClusterUid, Status>>,
}

impl AppNow {
    /// The App as people see it.
    pub fn view(&self) -> &AppView {
        self.shown.view.get_or_init(|| rollout::view::app(&self.state, self.now, &self.obs))
    }

    /// How it is on one cluster.
    pub fn on(&self, uid: &ClusterUid) -> Status {
        let mut known = self.shown.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let look = || rollout::explain_cluster(&self.state, uid, self.now, &self.obs);
        known.entry(uid.clone()).or_insert_with(look).clone()
    }
}

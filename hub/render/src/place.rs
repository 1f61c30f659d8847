//! One App over a fleet: which clusters, what each runs, in which wave.

use std::collections::BTreeMap;

use model::{ClusterUid, Reason};
use rollout::{ClusterObs, WaveSpec};

use crate::{
    app::App,
    diagnostic::Diagnostic,
    fleet::{FleetCluster, Target},
    kit::Kit,
    release::{Variants, render_all},
    tree::Tree,
};

/// Where an App goes.
#[derive(Debug, Clone, Default)]
pub struct Placement<'a> {
    /// The clusters that it selects.
    pub targets: Vec<&'a FleetCluster>,
    /// What each runs.
    pub variants: Variants,
    /// Its waves in order, and who is in each.
    pub waves: Vec<(WaveSpec, Vec<&'a FleetCluster>)>,
    /// Why it cannot go out.
    pub faults: Vec<Diagnostic>,
}

impl Placement<'_> {
    /// The wave of a cluster.
    pub fn wave_of(&self, uid: &ClusterUid) -> Option<&WaveSpec> {
        let member = |members: &Vec<&FleetCluster>| members.iter().any(|c| c.uid == *uid);
        self.waves.iter().find(|(_, members)| member(members)).map(|(spec, _)| spec)
    }
}

/// Places an App on a fleet.
pub fn place<'a>(
    kit: &Kit<'_>,
    app: &App,
    tree: &dyn Tree,
    clusters: &'a [FleetCluster],
) -> Placement<'a> {
    let fault = |reason, message: String| Diagnostic::error(reason, &app.file, message);
    let mut placed = Placement::default();
    for cluster in clusters {
        match app.targets.selects(&cluster.labels, &cluster.facts) {
            Ok(true) => placed.targets.push(cluster),
            Ok(false) => {}
            Err(error) => {
                let message = format!("for cluster {}: {error}", cluster.name);
                placed.faults.push(fault(Reason::AppInvalid, message));
                return placed;
            }
        }
    }
    let targets = placed.targets.iter().map(|cluster| Target::from(*cluster));
    placed.variants = render_all(kit, app, tree, targets);
    if !placed.variants.faults.is_empty() {
        placed.faults.clone_from(&placed.variants.faults);
        return placed;
    }
    let seen: BTreeMap<ClusterUid, ClusterObs> =
        placed.targets.iter().map(|cluster| observed(cluster)).collect();
    let fresh = rollout::App::new(app.name.clone());
    let digests = placed.variants.by_cluster.clone().into();
    match rollout::plan(&fresh, &app.targets, &app.strategy, &digests, &seen) {
        Ok(plan) => {
            let by_uid: BTreeMap<_, _> = placed.targets.iter().map(|c| (&c.uid, *c)).collect();
            let members = |uids: &[ClusterUid]| {
                uids.iter().filter_map(|uid| by_uid.get(uid).copied()).collect()
            };
            placed.waves =
                plan.waves.into_iter().map(|wave| (wave.spec, members(&wave.members))).collect();
        }
        Err(faults) => {
            placed.faults.extend(faults.into_iter().map(|f| fault(f.reason, f.message)));
        }
    }
    placed
}

fn observed(cluster: &FleetCluster) -> (ClusterUid, ClusterObs) {
    let observed = ClusterObs {
        name: cluster.name.clone(),
        labels: cluster.labels.clone(),
        facts: cluster.facts.clone(),
        connected: false,
        last_heard: None,
        report: None,
        deleted: false,
        cordon: None,
        pin: None,
        busy: 0,
    };
    (cluster.uid.clone(), observed)
}

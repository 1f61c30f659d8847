//! Which cluster in which wave: decided once, when a rollout starts. First match wins, and nothing later
//! moves a cluster.

use std::collections::{BTreeMap, BTreeSet};

use model::{ClusterUid, Facts, Labels, Reason, Selector, SelectorError};

use crate::{
    amount::Amount,
    assign,
    obs::ClusterObs,
    release::{Place, Plan, PlannedWave, Variants},
    spec::{Members, Strategy, Targets, WaveSpec},
    state::App,
    window::Zone,
};

/// Most clusters that a message names; the rest is a number.
const NAMED_MAX: usize = 5;

/// Why a release cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanFault {
    /// Entry of the registry.
    pub reason: Reason,
    /// What, where and what to do.
    pub message: String,
}

/// Distributes the targets over the waves, or names everything that is wrong.
pub fn plan(
    app: &App,
    targets: &Targets,
    strategy: &Strategy,
    variants: &Variants,
    clusters: &BTreeMap<ClusterUid, ClusterObs>,
) -> Result<Plan, Vec<PlanFault>> {
    plan_for(app, targets, strategy, variants, clusters, None)
}

/// As [`plan`], for `only` some of the targets. A wave that would not be empty with all of them may then be.
pub(crate) fn plan_for(
    app: &App,
    targets: &Targets,
    strategy: &Strategy,
    variants: &Variants,
    clusters: &BTreeMap<ClusterUid, ClusterObs>,
    only: Option<&BTreeSet<ClusterUid>>,
) -> Result<Plan, Vec<PlanFault>> {
    let known: BTreeMap<&ClusterUid, &ClusterObs> = variants
        .keys()
        .filter_map(|uid| clusters.get_key_value(uid))
        .filter(|(_, cluster)| !cluster.deleted)
        .collect();
    let mut faults = strategy.faults();
    faults.extend(brakes(app, targets, variants));
    if variants.is_empty() {
        return Err(faults); // every wave would be empty, too, which says nothing more
    }
    let labels = known.iter().map(|(uid, cluster)| (*uid, &cluster.labels));
    let turn = variants.digest().to_string();
    let mut left = assign::ordered(&strategy.assign, app.name.as_str(), &turn, labels);
    if let Some(only) = only {
        left.retain(|uid| only.contains(uid));
    }
    let mut waves = Vec::new();
    for spec in &strategy.waves {
        match take_wave(spec, &mut left, &known) {
            Ok(members) if members.is_empty() && !spec.allow_empty && only.is_none() => {
                faults.push(wave_empty(spec));
            }
            Ok(members) => waves.extend(ramped(spec, members)),
            Err(error) => faults.push(PlanFault {
                reason: Reason::AppInvalid,
                message: format!("wave `{}`: {error}", spec.name),
            }),
        }
    }
    if !left.is_empty() && faults.is_empty() {
        faults.push(PlanFault {
            reason: Reason::TargetInNoWave,
            message: format!(
                "{} in no wave; add a last wave with `rest: true`",
                names(&left, &known)
            ),
        });
    }
    if faults.is_empty() {
        let members = waves.iter().flat_map(|w| &w.members);
        let targets = members.filter_map(|uid| Some((uid.clone(), *variants.get(uid)?))).collect();
        let places = waves.iter().flat_map(|wave| {
            let place = |uid: &ClusterUid| place(&wave.spec, &known.get(uid)?.labels);
            wave.members.iter().filter_map(move |uid| Some((uid.clone(), place(uid)?)))
        });
        let places = places.collect();
        Ok(Plan { waves, targets, irreversible: Vec::new(), places })
    } else {
        Err(faults)
    }
}

impl Targets {
    /// Whether a cluster runs the App.
    pub fn selects(&self, labels: &Labels, facts: &Facts) -> Result<bool, SelectorError> {
        let excluded = self.exclude.as_ref().map_or(Ok(false), |s| s.matches(labels, facts))?;
        Ok(!excluded && self.select.matches(labels, facts)?)
    }
}

/// Faults of the target set as a whole: a selector that suddenly matches the wrong clusters.
pub(crate) fn brakes(app: &App, targets: &Targets, variants: &Variants) -> Vec<PlanFault> {
    let size = variants.len();
    if size == 0 {
        let message = format!(
            "no cluster matches `{}`; correct `targets.select` or label a cluster",
            targets.select
        );
        return vec![PlanFault { reason: Reason::NoTargets, message }];
    }
    let mut faults = Vec::new();
    if let Some(min) = targets.expect.min
        && size < min as usize
    {
        let message = format!(
            "{size} clusters match and `targets.expect.min` is {min}; check labels and selector, or lower it"
        );
        faults.push(PlanFault { reason: Reason::TargetsTooFew, message });
    }
    if let Some(max) = targets.expect.max_change
        && !app.targets.is_empty()
    {
        let before = app.targets.len();
        let dropped = app.targets.iter().filter(|uid| !variants.contains_key(*uid)).count();
        let added = variants.keys().filter(|uid| !app.targets.contains(*uid)).count();
        let allowed = match max {
            Amount::Count(n) => n,
            // A share always allows one, so that a small fleet can grow at all.
            Amount::Percent(_) => max.tolerance(u32::try_from(before).unwrap_or(u32::MAX)).max(1),
        };
        if dropped + added > allowed as usize {
            let message = format!(
                "{dropped} of {before} clusters dropped and {added} added at once, and \
                 `targets.expect.maxChange` is {max}; check labels and selector, or raise it"
            );
            faults.push(PlanFault { reason: Reason::TargetsChangedTooMuch, message });
        }
    }
    faults
}

/// The waves that one wave with a ramp stands for: the same limits and gates, a part of the members each.
fn ramped(spec: &WaveSpec, members: Vec<ClusterUid>) -> Vec<PlannedWave> {
    if spec.ramp.is_empty() {
        return vec![PlannedWave { spec: spec.clone(), members }];
    }
    let size = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let mut rest = members.into_iter();
    let mut taken = 0;
    let steps = spec.ramp.iter().enumerate().map(|(step, share)| {
        let upto = if step + 1 == spec.ramp.len() { size } else { share.at_least_one(size) };
        let part: Vec<_> = rest.by_ref().take(upto.saturating_sub(taken) as usize).collect();
        taken = taken.max(upto);
        // A small wave has nothing for each step.
        let name = spec.step(step).unwrap_or_else(|| spec.name.clone());
        let allow_empty = spec.allow_empty || step > 0;
        let spec = WaveSpec { name, ramp: Vec::new(), allow_empty, ..spec.clone() };
        PlannedWave { spec, members: part }
    });
    steps.collect()
}

impl WaveSpec {
    /// Name of one step of its ramp: `prod-1`, `prod-2`, ….
    pub(crate) fn step(&self, index: usize) -> Option<model::WaveName> {
        model::WaveName::parse(&format!("{}-{}", self.name, index + 1)).ok()
    }
}

/// Where a cluster stands, if the wave asks for it.
pub(crate) fn place(spec: &WaveSpec, labels: &Labels) -> Option<Place> {
    let zone = |window: &crate::window::Window| match &window.zone {
        Zone::Label(label) => Some(label.clone()),
        Zone::Named(_) => None,
    };
    let wanted = spec.before.windows.iter().filter_map(zone);
    let zones = wanted.filter_map(|l| labels.get(&l).map(|v| (l, v.clone()))).collect();
    let value = |key: &String| labels.get(key).cloned();
    let place = Place {
        domain: spec.spread.as_ref().map(|s| value(&s.key).unwrap_or_default()),
        pair: spec.separate.as_ref().and_then(value),
        zones,
    };
    (place != Place::default()).then_some(place)
}

/// Takes the members of a wave out of `left`, keeping the order.
fn take_wave(
    spec: &WaveSpec,
    left: &mut Vec<ClusterUid>,
    known: &BTreeMap<&ClusterUid, &ClusterObs>,
) -> Result<Vec<ClusterUid>, SelectorError> {
    let (selector, limit): (Option<&Selector>, _) = match &spec.members {
        Members::Rest => (None, None),
        Members::Select(selector) => (Some(selector), None),
        Members::Take { select, count, min, largest } => {
            (select.as_ref(), Some((*count, *min, *largest)))
        }
    };
    let mut matching = Vec::new();
    for uid in left.iter() {
        let cluster = known.get(uid);
        let matches = |s: &Selector| cluster.map_or(Ok(false), |c| s.matches(&c.labels, &c.facts));
        if selector.map_or(Ok(true), matches)? {
            matching.push(uid.clone());
        }
    }
    let size = u32::try_from(matching.len()).unwrap_or(u32::MAX);
    let mut gone: BTreeSet<ClusterUid> = BTreeSet::new();
    match limit {
        None => gone.extend(matching),
        Some((count, min, largest)) => {
            // The largest come on top of those that the hash chose.
            let mut by_size = matching.clone();
            by_size.sort_by_key(|uid| std::cmp::Reverse(known.get(uid).map_or(0, |c| nodes(c))));
            gone.extend(by_size.into_iter().take(largest as usize));
            let wanted = count.at_least_one(size).max(min) as usize;
            let rest = matching.into_iter().filter(|uid| !gone.contains(uid));
            let chosen: Vec<_> = rest.take(wanted).collect();
            gone.extend(chosen);
        }
    }
    let taken = left.iter().filter(|uid| gone.contains(*uid)).cloned().collect();
    left.retain(|uid| !gone.contains(uid));
    Ok(taken)
}

/// Nodes of a cluster, as its agent reports them: its size.
fn nodes(cluster: &ClusterObs) -> u64 {
    let nodes = &cluster.facts["nodes"];
    nodes.as_u64().or_else(|| nodes["total"].as_u64()).unwrap_or_default()
}

fn wave_empty(spec: &WaveSpec) -> PlanFault {
    let who = match &spec.members {
        Members::Select(selector) => format!("no target matches `{selector}`"),
        Members::Take { .. } | Members::Rest => "no target is left for it".to_owned(),
    };
    let message = format!(
        "wave `{}` is empty: {who}; correct the selector, or set `allowEmpty: true`",
        spec.name
    );
    PlanFault { reason: Reason::WaveEmpty, message }
}

fn names(uids: &[ClusterUid], known: &BTreeMap<&ClusterUid, &ClusterObs>) -> String {
    let name =
        |uid: &ClusterUid| known.get(uid).map_or_else(|| uid.to_string(), |c| c.name.to_string());
    let mut text = uids.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ");
    if uids.len() > NAMED_MAX {
        text = format!("{text} and {} more", uids.len() - NAMED_MAX);
    }
    let are = if uids.len() == 1 { "is" } else { "are" };
    format!("{text} {are}")
}

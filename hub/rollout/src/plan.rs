//! Which cluster in which wave: decided once, when a rollout starts. First match wins, and nothing later
//! moves a cluster.

use std::collections::{BTreeMap, BTreeSet};

use model::{ClusterUid, Facts, Labels, Reason, Selector, SelectorError};

use crate::{
    amount::Amount,
    assign,
    obs::ClusterObs,
    release::{Plan, PlannedWave, Variants},
    spec::{Members, Strategy, Targets, WaveSpec},
    state::App,
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
    let mut left = assign::ordered(&strategy.assign, app.name.as_str(), labels);
    if let Some(only) = only {
        left.retain(|uid| only.contains(uid));
    }
    let mut waves = Vec::new();
    for spec in &strategy.waves {
        match take_wave(spec, &mut left, &known) {
            Ok(members) if members.is_empty() && !spec.allow_empty && only.is_none() => {
                faults.push(wave_empty(spec));
            }
            Ok(members) => waves.push(PlannedWave { spec: spec.clone(), members }),
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
        Ok(Plan { waves, targets, irreversible: Vec::new() })
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

impl Strategy {
    /// What its types cannot forbid, found at lint time and again when a rollout is planned.
    pub fn faults(&self) -> Vec<PlanFault> {
        let mut faults = Vec::new();
        let mut say = |message: String| {
            faults.push(PlanFault { reason: Reason::AppInvalid, message });
        };
        if self.waves.is_empty() {
            say("`waves` is empty; add one with `rest: true`".to_owned());
        }
        let mut seen = BTreeSet::new();
        for (index, wave) in self.waves.iter().enumerate() {
            let name = &wave.name;
            if !seen.insert(name) {
                say(format!("two waves are called `{name}`; give each a name of its own"));
            }
            if wave.members == Members::Rest && index + 1 < self.waves.len() {
                say(format!(
                    "wave `{name}` has `rest: true` and is not the last; move it to the end"
                ));
            }
            if let Members::Take { count, .. } = wave.members
                && is_zero(count)
            {
                say(format!("wave `{name}` takes none; `take` must be at least 1"));
            }
            wave.settings.faults().iter().for_each(|f| say(format!("wave `{name}`: {f}")));
        }
        self.rollback.faults().iter().for_each(|f| say(format!("`rollback`: {f}")));
        faults
    }
}

impl crate::spec::WaveSettings {
    fn faults(&self) -> Vec<String> {
        let percents = [
            ("maxInFlight", self.max_in_flight),
            ("maxFailures", self.max_failures),
            ("evidence.min", self.evidence_min),
        ];
        let over = percents.iter().filter(|(_, a)| matches!(a, Amount::Percent(p) if *p > 100));
        let mut faults: Vec<_> =
            over.map(|(field, a)| format!("`{field}` is {a}; at most 100 %")).collect();
        if is_zero(self.max_in_flight) {
            faults.push(
                "`maxInFlight` is 0; to hold a rollout use `start: manual` or pause it".into(),
            );
        }
        if is_zero(self.evidence_min) {
            faults.push("`evidence.min` is 0; a wave needs at least one proof".into());
        }
        if self.offline.stale_after.is_zero() {
            faults.push("`offline.staleAfter` is 0; every report would be stale".into());
        }
        faults
    }
}

fn is_zero(amount: Amount) -> bool {
    matches!(amount, Amount::Count(0) | Amount::Percent(0))
}

/// Faults of the target set as a whole: a selector that suddenly matches the wrong clusters.
fn brakes(app: &App, targets: &Targets, variants: &Variants) -> Vec<PlanFault> {
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

/// Takes the members of a wave out of `left`, keeping the order.
fn take_wave(
    spec: &WaveSpec,
    left: &mut Vec<ClusterUid>,
    known: &BTreeMap<&ClusterUid, &ClusterObs>,
) -> Result<Vec<ClusterUid>, SelectorError> {
    let (selector, limit): (Option<&Selector>, _) = match &spec.members {
        Members::Rest => (None, None),
        Members::Select(selector) => (Some(selector), None),
        Members::Take { select, count, min } => (select.as_ref(), Some((*count, *min))),
    };
    let mut matching = BTreeSet::new();
    for uid in left.iter() {
        let cluster = known.get(uid);
        let matches = |s: &Selector| cluster.map_or(Ok(false), |c| s.matches(&c.labels, &c.facts));
        if selector.map_or(Ok(true), matches)? {
            matching.insert(uid.clone());
        }
    }
    let size = u32::try_from(matching.len()).unwrap_or(u32::MAX);
    let limit = limit.map_or(size, |(count, min)| count.at_least_one(size).max(min)) as usize;
    let taken: Vec<_> =
        left.iter().filter(|u| matching.contains(*u)).take(limit).cloned().collect();
    let gone: BTreeSet<_> = taken.iter().collect();
    left.retain(|uid| !gone.contains(uid));
    Ok(taken)
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

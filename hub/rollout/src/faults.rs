//! What is wrong with a strategy that its types cannot forbid: found at lint time and again when a rollout is
//! planned.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Reason};

use crate::{
    amount::Amount,
    gate::{Analysis, Ask},
    plan::PlanFault,
    spec::{Members, Strategy, WaveSettings, WaveSpec},
    window::{self, Window, Zone},
};

/// Most people that a gate may ask for.
const APPROVALS_MAX: u32 = 10;
/// A measurement is asked at most this often, in seconds: it costs others something.
const EVERY_MIN: u64 = 10;

impl Strategy {
    /// The Apps that its waves wait for.
    pub fn waits_for(&self) -> BTreeSet<AppName> {
        self.waves.iter().flat_map(|w| &w.before.depends_on).map(|on| on.app.clone()).collect()
    }

    /// What its types cannot forbid.
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
            let steps = (0..wave.ramp.len()).filter_map(|step| wave.step(step));
            for name in std::iter::once(name.clone()).chain(steps) {
                if !seen.insert(name.clone()) {
                    say(format!("two waves are called `{name}`; give each a name of its own"));
                }
            }
            if wave.members == Members::Rest && index + 1 < self.waves.len() {
                say(format!(
                    "wave `{name}` has `rest: true` and is not the last; move it to the end"
                ));
            }
            wave.faults().iter().for_each(|f| say(format!("wave `{name}`: {f}")));
        }
        self.rollback.faults().iter().for_each(|f| say(format!("`rollback`: {f}")));
        if self.catch_up.max_in_flight == 0 {
            say("`catchUp.maxInFlight` is 0; clusters that join would never get the release".into());
        }
        if self.grants_per_minute == Some(0) {
            say("`pace.grantsPerMinute` is 0; to hold a rollout pause it".into());
        }
        faults
    }
}

impl WaveSpec {
    fn faults(&self) -> Vec<String> {
        let mut faults = self.settings.faults();
        if let Members::Take { count, .. } = &self.members
            && is_zero(*count)
        {
            faults.push("it takes none; `take` must be at least 1".into());
        }
        faults.extend(ramp(self));
        if self.spread.as_ref().is_some_and(|s| s.max == 0) {
            faults.push("`spread.max` is 0; nothing could be in flight".into());
        }
        for approval in self.before.approval.iter().chain(&self.after.approval) {
            if approval.count == 0 || approval.count > APPROVALS_MAX {
                let n = approval.count;
                faults.push(format!("`approval.count` is {n}; from 1 to {APPROVALS_MAX}"));
            }
            if approval.ttl.is_zero() {
                faults.push("`approval.ttl` is 0; no approval could ever count".into());
            }
        }
        faults.extend(self.before.windows.iter().filter_map(never_opens));
        faults.extend(self.after.analysis.iter().flat_map(Analysis::faults));
        faults
    }
}

fn ramp(wave: &WaveSpec) -> Option<String> {
    let last = wave.ramp.last()?;
    let rank = |amount: &Amount| match amount {
        Amount::Percent(p) => (0, u32::from(*p)),
        Amount::Count(n) => (1, *n),
    };
    let kinds: BTreeSet<_> = wave.ramp[..wave.ramp.len() - 1].iter().map(|a| rank(a).0).collect();
    let rises = wave.ramp.windows(2).all(|w| {
        let (a, b) = (rank(&w[0]), rank(&w[1]));
        a.0 != b.0 || a.1 < b.1
    });
    if *last != Amount::Percent(100) {
        Some(format!("`ramp` ends at {last}; its last step must be 100 %"))
    } else if !rises || kinds.len() > 1 || wave.ramp.iter().any(|a| is_zero(*a)) {
        Some("`ramp` must rise from step to step, in numbers or in shares".into())
    } else {
        None
    }
}

fn never_opens(window: &Window) -> Option<String> {
    if let Zone::Named(name) = &window.zone
        && !window::is_zone(name)
    {
        return Some(format!("`windows`: there is no time zone `{name}`"));
    }
    let opens = window.days.iter().any(|day| *day) && window.from != window.to;
    let days = window::OPENS_WITHIN_DAYS;
    (!opens).then(|| format!("`windows`: it does not open once in {days} days"))
}

impl Analysis {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.every.as_secs() < EVERY_MIN {
            faults.push(format!("`analysis.every` must be at least {EVERY_MIN}s"));
        }
        if self.failures == 0 {
            faults.push("`analysis.failures` is 0; it would halt before the first answer".into());
        }
        match &self.ask {
            Ask::Prometheus(query) => {
                if query.trim().is_empty() {
                    faults.push("`analysis.prometheus` is empty".into());
                }
                if self.expect.is_none() {
                    faults
                        .push("`analysis.expect` is missing; such as `expect: \"< 0.01\"`".into());
                }
                if self.compare && !query.contains("${clusters}") {
                    faults.push(
                        "`analysis.compare` needs `${clusters}` in the query, such as \
                         `{cluster=~\"${clusters}\"}`"
                            .into(),
                    );
                }
            }
            Ask::Http(url) => {
                if !(url.starts_with("https://") || url.starts_with("http://")) {
                    faults.push(format!("`analysis.http` is `{url}`, which is no URL"));
                }
            }
        }
        faults
    }
}

impl WaveSettings {
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

/// A circle among Apps that depend on one another: nobody in it could ever go first. Names it once, in the
/// order of the arrows, beginning at the least name.
pub fn circle(depends_on: &BTreeMap<AppName, BTreeSet<AppName>>) -> Option<Vec<AppName>> {
    let mut done: BTreeSet<&AppName> = BTreeSet::new();
    for start in depends_on.keys() {
        // A walk in depth with its own stack: the path, and what is left to try at each step.
        let mut path: Vec<&AppName> = vec![start];
        let mut left: Vec<Vec<&AppName>> = vec![next(depends_on, start)];
        while let Some(choices) = left.last_mut() {
            let Some(step) = choices.pop() else {
                left.pop();
                done.extend(path.pop());
                continue;
            };
            if let Some(from) = path.iter().position(|app| *app == step) {
                return Some(path[from..].iter().map(|app| (*app).clone()).collect());
            }
            if !done.contains(step) {
                path.push(step);
                left.push(next(depends_on, step));
            }
        }
    }
    None
}

fn next<'a>(
    depends_on: &'a BTreeMap<AppName, BTreeSet<AppName>>,
    app: &AppName,
) -> Vec<&'a AppName> {
    depends_on.get(app).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &[&str])]) -> BTreeMap<AppName, BTreeSet<AppName>> {
        let app = |name: &str| AppName::parse(name).unwrap();
        pairs.iter().map(|(a, on)| (app(a), on.iter().map(|b| app(b)).collect())).collect()
    }

    #[test]
    fn a_circle_is_named_and_a_diamond_is_none() {
        let diamond = names(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])]);
        assert_eq!(circle(&diamond), None);
        let round = names(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
        let found = circle(&round).unwrap();
        assert_eq!(found.iter().map(AppName::as_str).collect::<Vec<_>>(), ["b", "c"]);
        assert!(circle(&names(&[("a", &["a"])])).is_some());
    }
}

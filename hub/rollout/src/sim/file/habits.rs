//! What clusters do by themselves over time, and what contents do to them.

use std::time::Duration;

use model::ClusterUid;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    Act, Cast, Faulty, Habit, Share,
    texts::{self, Texts},
};
use crate::sim::agent::Behaviour;

/// Most turns of a link that flaps.
const FLAPS_MAX: u32 = 10_000;
/// How long content takes to become healthy, or to fail, when nothing is said.
const USUAL: Duration = Duration::from_secs(20);

/// The part of a cluster that is about time.
pub(super) struct Life<'a> {
    pub(super) dark: &'a [Span],
    pub(super) broken: &'a [Span],
    pub(super) flaps: Option<&'a Flaps>,
    pub(super) restarts: &'a [Spanned<String>],
}

/// From when to when; open ends are the ends of the scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flaps {
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    every: Spanned<String>,
}

impl Life<'_> {
    pub(super) fn read(
        &self,
        uid: &ClusterUid,
        until: Duration,
        timeline: &mut Vec<(Duration, Act)>,
        faults: &mut Faulty<'_>,
    ) {
        let one = || vec![uid.clone()];
        for span in self.dark {
            let (from, to) = ends(span.from.as_ref(), span.to.as_ref(), faults);
            timeline.push((from, Act::Link { of: one(), up: false }));
            timeline.extend(to.map(|to| (to, Act::Link { of: one(), up: true })));
        }
        for span in self.broken {
            let (from, to) = ends(span.from.as_ref(), span.to.as_ref(), faults);
            timeline.push((from, Act::Broken { of: one(), broken: true }));
            timeline.extend(to.map(|to| (to, Act::Broken { of: one(), broken: false })));
        }
        for at in self.restarts {
            timeline.extend(faults.time(at).map(|at| (at, Act::Restart(one()))));
        }
        let Some(flaps) = self.flaps else { return };
        let (from, to) = ends(flaps.from.as_ref(), flaps.to.as_ref(), faults);
        let (to, every) = (to.unwrap_or(until), faults.time(&flaps.every).unwrap_or(until));
        let mut at = from;
        for turn in 0..FLAPS_MAX {
            if at >= to || every.is_zero() {
                break;
            }
            timeline.push((at, Act::Link { of: one(), up: turn % 2 == 1 }));
            at += every;
        }
        timeline.push((to, Act::Link { of: one(), up: true }));
    }
}

fn ends(
    from: Option<&Spanned<String>>,
    to: Option<&Spanned<String>>,
    faults: &mut Faulty<'_>,
) -> (Duration, Option<Duration>) {
    let from = from.and_then(|text| faults.time(text)).unwrap_or_default();
    (from, to.and_then(|text| faults.time(text)))
}

/// What one content does; of several habits the last that names a cluster counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHabit {
    does: Spanned<String>,
    after: Option<Spanned<String>>,
    on: Option<Spanned<Texts>>,
}

/// What a word means.
pub(super) fn behaviour(word: &str, after: Option<Duration>) -> Option<Behaviour> {
    let after = after.unwrap_or(USUAL);
    Some(match word {
        "healthy" => Behaviour::Good(after),
        "stuck" => Behaviour::Stuck,
        "fails" => Behaviour::Terminal(after),
        "cutsNetwork" => Behaviour::CutsNetwork,
        "regresses" => Behaviour::Regresses { healthy: USUAL, lasts: after },
        _ => return None,
    })
}

pub(super) fn read(raw: &[RawHabit], cast: &Cast, faults: &mut Faulty<'_>) -> Vec<Habit> {
    raw.iter().map(|raw| habit(raw, cast, faults)).collect()
}

fn habit(raw: &RawHabit, cast: &Cast, faults: &mut Faulty<'_>) -> Habit {
    let after = raw.after.as_ref().and_then(|text| faults.time(text));
    let does = behaviour(&raw.does.value, after).unwrap_or_else(|| {
        let what = format!("no behaviour `{}`", raw.does.value);
        let hint = "write `healthy`, `stuck`, `fails`, `cutsNetwork` or `regresses`";
        faults.add(raw.does.referenced.line(), what, hint);
        Behaviour::Stuck
    });
    Habit { does, on: share(raw.on.as_ref(), cast, faults) }
}

fn share(on: Option<&Spanned<Texts>>, cast: &Cast, faults: &mut Faulty<'_>) -> Share {
    let Some(on) = on else { return Share::All };
    let mut named = Vec::new();
    for (line, text) in texts::each(on) {
        if let Some(percent) = text.strip_suffix('%').and_then(|n| n.parse().ok()) {
            return Share::Percent(percent);
        }
        let found = cast.matching(text);
        if found.is_empty() {
            let hint = "name a cluster, `p*` for all that begin so, or a share such as `10%`";
            faults.add(line, format!("no cluster `{text}`"), hint);
        }
        named.extend(found);
    }
    Share::Named(named)
}

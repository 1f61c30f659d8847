//! `before` and `after` of a wave: approvals, windows, blockers, dependencies, measurements.

use std::time::Duration;

use model::AppName;
use rollout::{
    After, Analysis, ApprovalRule, Ask, Before, DependsOn, Expectation, Scope, Window, Zone,
};

use super::fields::{Faults, Fields};
use crate::{diagnostic::Position, yaml::clip};

/// Days as people write them, Monday first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `before:` of a wave.
pub(super) fn before(wave: &Fields<'_>, faults: &mut Faults<'_>) -> Before {
    let Some(fields) = wave.section("before", faults) else { return Before::default() };
    let known = ["approval", "windows", "blockers", "dependsOn", "maxUnhealthy"];
    fields.only(&known, &[], faults);
    let hint = "write `windows: [{days: Mon-Fri, hours: 09-17, tz: Europe/Berlin}]`";
    let windows = fields.maps("windows", hint, faults);
    let hint = "write `dependsOn: [{app: NAME}]`";
    let on = fields.maps("dependsOn", hint, faults);
    Before {
        approval: approval(&fields, faults),
        windows: windows.iter().filter_map(|w| window(w, faults)).collect(),
        blockers: fields.texts("blockers", faults).into_iter().map(|(t, _)| t.to_owned()).collect(),
        depends_on: on.iter().filter_map(|d| depends_on(d, faults)).collect(),
        max_unhealthy: fields.amount("maxUnhealthy", faults),
    }
}

/// `after:` of a wave, and its soak.
pub(super) fn after(wave: &Fields<'_>, faults: &mut Faults<'_>) -> (After, Option<Duration>) {
    let Some(fields) = wave.section("after", faults) else { return (After::default(), None) };
    fields.only(&["soak", "analysis", "approval"], &[], faults);
    let soak = fields.duration("soak", faults);
    let analysis = fields.section("analysis", faults).and_then(|a| analysis(&a, faults));
    (After { approval: approval(&fields, faults), analysis }, soak)
}

/// `approval: {groups: [sre], count: 1, notAuthor: true, ttl: 72h}`.
fn approval(of: &Fields<'_>, faults: &mut Faults<'_>) -> Option<ApprovalRule> {
    let fields = of.section("approval", faults)?;
    fields.only(&["groups", "count", "notAuthor", "ttl"], &[], faults);
    let usual = ApprovalRule::default();
    let groups = fields.texts("groups", faults).into_iter().map(|(text, _)| text.to_owned());
    Some(ApprovalRule {
        groups: groups.collect(),
        count: fields.count("count", faults).unwrap_or(usual.count),
        not_author: fields.flag("notAuthor", faults).unwrap_or(usual.not_author),
        ttl: fields.time("ttl", faults).unwrap_or(usual.ttl),
    })
}

/// `{days: Mon-Thu, hours: 09-16, tz: "${labels.tz}"}`.
fn window(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Window> {
    fields.only(&["days", "hours", "tz"], &["cron", "duration"], faults);
    let days = days(fields, faults);
    let (from, to) = match fields.text("hours", faults) {
        Some((text, at)) => hours(text, at, faults)?,
        None => (0, 24 * 60),
    };
    let zone = match fields.text("tz", faults) {
        None => Zone::Named("UTC".to_owned()),
        Some((text, at)) => zone(text, at, faults)?,
    };
    Some(Window { days, from, to, zone })
}

fn zone(text: &str, at: Position, faults: &mut Faults<'_>) -> Option<Zone> {
    if let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        return Some(Zone::Label(label("tz", inner, at, faults)?));
    }
    if !rollout::is_zone(text) {
        let message = format!("there is no time zone `{}`", clip(text));
        let hint =
            "write one such as `Europe/Berlin`, or `\"${labels.tz}\"` for that of the cluster";
        faults.wrong(at, message, hint);
        return None;
    }
    Some(Zone::Named(text.to_owned()))
}

/// The key of a label, written `labels.KEY`.
pub(super) fn label(
    field: &str,
    text: &str,
    at: Position,
    faults: &mut Faults<'_>,
) -> Option<String> {
    let key = text.trim().strip_prefix("labels.").filter(|key| !key.is_empty());
    if key.is_none() {
        let message = format!("`{field}` must name a label, but is `{}`", clip(text));
        faults.wrong(at, message, "write it as `labels.KEY`");
    }
    key.map(str::to_owned)
}

/// `Mon-Thu`, `Sat`, or a list of them.
fn days(fields: &Fields<'_>, faults: &mut Faults<'_>) -> [bool; 7] {
    let texts = fields.texts("days", faults);
    if texts.is_empty() {
        return [true; 7];
    }
    let mut days = [false; 7];
    for (text, at) in texts {
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (day(first), day(last)) else {
                let message = format!("`{}` names no days", clip(part));
                faults.wrong(at, message, "write `Mon-Fri`, `Sat` or `[Mon, Wed]`");
                continue;
            };
            // `Fri-Mon` goes over the end of the week.
            let count = (last + 7 - first) % 7;
            (0..=count).for_each(|step| days[(first + step) % 7] = true);
        }
    }
    days
}

fn day(text: &str) -> Option<usize> {
    let text = text.trim();
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))
}

/// `09-16`, `09:30-16:00`, `22-04`.
fn hours(text: &str, at: Position, faults: &mut Faults<'_>) -> Option<(u16, u16)> {
    let read = |text: &str| {
        let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let whole = hour * 60 + minute;
        (hour <= 24 && minute < 60 && whole <= 24 * 60).then_some(whole)
    };
    let span = text.split_once('-').and_then(|(from, to)| Some((read(from)?, read(to)?)));
    match span {
        Some((from, to)) if from != to && from < 24 * 60 => Some((from, to)),
        Some(_) | None => {
            let message = format!("`hours` cannot be `{}`", clip(text));
            faults.wrong(at, message, "write `09-16`, `09:30-16:00` or `22-04`");
            None
        }
    }
}

fn depends_on(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<DependsOn> {
    fields.only(&["app", "in"], &[], faults);
    fields.need("app", "write the name of the App that goes first", faults)?;
    let (text, at) = fields.text("app", faults)?;
    let app = match AppName::parse(text) {
        Ok(app) => app,
        Err(error) => {
            faults.wrong(at, error.to_string(), "write the name of an App");
            return None;
        }
    };
    let words = [("sameCluster", Scope::SameCluster), ("fleet", Scope::Fleet)];
    let scope = fields.choice("in", &words, faults).unwrap_or_default();
    Some(DependsOn { app, scope })
}

/// `{prometheus: "…", expect: "< 0.01", …}` or `{http: "https://…", …}`.
fn analysis(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Analysis> {
    let known = [
        "prometheus",
        "http",
        "expect",
        "compare",
        "every",
        "failures",
        "minSamples",
        "inconclusive",
        "lowTraffic",
    ];
    fields.only(&known, &["interval", "query"], faults);
    let ask = match (fields.text("prometheus", faults), fields.text("http", faults)) {
        (Some((query, _)), None) => Ask::Prometheus(query.to_owned()),
        (None, Some((url, _))) => Ask::Http(url.to_owned()),
        (Some(_), Some((_, at))) => {
            let message = format!("`{}` asks two at once", fields.path());
            faults.wrong(at, message, "keep one of `prometheus` and `http`");
            return None;
        }
        (None, None) => {
            let message = format!("`{}` asks nobody", fields.path());
            faults.wrong(fields.at, message, "write `prometheus: QUERY` or `http: URL`");
            return None;
        }
    };
    let expect = fields.text("expect", faults).and_then(|(text, at)| {
        Expectation::parse(text)
            .map_err(|why| {
                let message = format!("`{}`: {why}", fields.name("expect"));
                faults.wrong(at, message, "write one such as `\"< 0.01\"`");
            })
            .ok()
    });
    let compare = fields.choice("compare", &[("not-updated", true)], faults).unwrap_or_default();
    // There is no other choice on purpose: what is not known is neither good nor bad.
    fields.choice("inconclusive", &[("hold", ())], faults);
    Some(Analysis {
        ask,
        expect,
        compare,
        every: fields.time("every", faults).unwrap_or(Duration::from_mins(1)),
        failures: fields.count("failures", faults).unwrap_or(3),
        min_samples: fields.count("minSamples", faults).unwrap_or(1),
        pass_after: low_traffic(fields, faults),
    })
}

/// `lowTraffic: {passAfter: 2h}`.
fn low_traffic(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Duration> {
    let low = fields.section("lowTraffic", faults)?;
    low.only(&["passAfter"], &[], faults);
    low.time("passAfter", faults)
}

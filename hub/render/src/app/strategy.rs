//! `spec.rollout`: how a release goes out.

use std::collections::BTreeMap;

use model::WaveName;
use rollout::{
    Amount, Assign, CatchUp, Members, OnFailure, OnNewRelease, Order, RollbackPolicy, Spread,
    StartMode, Strategy, WaveSettings, WaveSpec,
};

use super::{
    fields::{Faults, Fields},
    gates, selector,
};
use crate::yaml::{Node, Value, clip};

/// Waves of one App; each is a step that people wait for.
const WAVES_MAX: usize = 64;
/// Steps of one ramp; each is a wave.
const RAMP_MAX: usize = 16;

/// Settings that stand in `defaults`, in a wave and in `rollback`.
const SETTINGS: [&str; 8] = [
    "maxInFlight",
    "maxFailures",
    "minHealthy",
    "progressDeadline",
    "offline",
    "evidence",
    "timeout",
    "retry",
];

pub(super) fn read(spec: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Strategy> {
    if spec.get("rollout").is_none() {
        return Some(Strategy::default());
    }
    let rollout = spec.section("rollout", faults)?;
    let known = [
        "onNewRelease",
        "onFailure",
        "start",
        "probe",
        "assign",
        "defaults",
        "waves",
        "rollback",
        "catchUp",
        "pace",
    ];
    rollout.only(&known, &["membership", "windows", "strict"], faults);
    let mut strategy = Strategy::default();
    choices(&rollout, &mut strategy, faults);
    strategy.probe = rollout.count("probe", faults).unwrap_or(strategy.probe);
    strategy.assign = assign(&rollout, faults).unwrap_or_default();
    let defaults = block(&rollout, "defaults", &[], WaveSettings::default(), faults);
    // A rollback has limits of its own; what healthy means, and how long it may take, is the App's.
    let WaveSettings { min_healthy, progress_deadline, offline, .. } = defaults;
    let base = WaveSettings { min_healthy, progress_deadline, offline, ..WaveSettings::rollback() };
    strategy.rollback = block(&rollout, "rollback", &["windows", "unsafeKinds"], base, faults);
    strategy.rollback_policy = rollback_policy(&rollout, faults);
    if let Some(lane) = rollout.section("catchUp", faults) {
        lane.only(&["maxInFlight"], &[], faults);
        let most = lane.count("maxInFlight", faults);
        strategy.catch_up =
            most.map_or(strategy.catch_up, |max_in_flight| CatchUp { max_in_flight });
    }
    if let Some(pace) = rollout.section("pace", faults) {
        pace.only(&["grantsPerMinute"], &[], faults);
        strategy.grants_per_minute = pace.count("grantsPerMinute", faults);
    }
    if let Some(node) = rollout.get("waves") {
        strategy.waves = waves(&rollout.name("waves"), node, defaults, faults);
    } else {
        for wave in &mut strategy.waves {
            let WaveSettings { max_in_flight, soak, .. } = wave.settings;
            wave.settings = WaveSettings { max_in_flight, soak, ..defaults };
        }
    }
    Some(strategy)
}

/// `windows: ignore|strict` and `unsafeKinds: halt|ignore` of `rollback`.
fn rollback_policy(rollout: &Fields<'_>, faults: &mut Faults<'_>) -> RollbackPolicy {
    let Some(fields) = rollout.section("rollback", faults) else {
        return RollbackPolicy::default();
    };
    let words = [("ignore", false), ("strict", true)];
    let strict = fields.choice("windows", &words, faults).unwrap_or_default();
    let words = [("halt", false), ("ignore", true)];
    let ignore_unsafe = fields.choice("unsafeKinds", &words, faults).unwrap_or_default();
    RollbackPolicy { strict, ignore_unsafe }
}

fn choices(rollout: &Fields<'_>, strategy: &mut Strategy, faults: &mut Faults<'_>) {
    let words = [
        ("auto", OnNewRelease::Auto),
        ("supersede", OnNewRelease::Supersede),
        ("queue", OnNewRelease::Queue),
    ];
    strategy.on_new_release = rollout.choice("onNewRelease", &words, faults).unwrap_or_default();
    let words = [("halt", OnFailure::Halt), ("rollback", OnFailure::Rollback)];
    strategy.on_failure = rollout.choice("onFailure", &words, faults).unwrap_or_default();
    let words = [("auto", StartMode::Auto), ("manual", StartMode::Manual)];
    strategy.start = rollout.choice("start", &words, faults).unwrap_or_default();
}

fn assign(rollout: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Assign> {
    let assign = rollout.section("assign", faults)?;
    assign.only(&["order", "seed", "rotate"], &[], faults);
    let order = assign.text("order", faults).and_then(|(text, at)| {
        let label = text.strip_prefix("label:").map(str::trim).filter(|key| !key.is_empty());
        match (text, label) {
            ("hash", _) => Some(Order::Hash),
            (_, Some(key)) => Some(Order::Label(key.to_owned())),
            (_, None) => {
                let message = format!("`{}` cannot be `{}`", assign.name("order"), clip(text));
                faults.wrong(at, message, "write `hash` or `label:KEY`");
                None
            }
        }
    });
    let seed = assign.text("seed", faults).map(|(seed, _)| seed.to_owned());
    let rotate = assign.flag("rotate", faults).unwrap_or_default();
    Some(Assign { order: order.unwrap_or_default(), seed: seed.unwrap_or_default(), rotate })
}

/// `defaults` or `rollback`: settings, and what `also` names.
fn block(
    of: &Fields<'_>,
    key: &str,
    also: &[&str],
    base: WaveSettings,
    faults: &mut Faults<'_>,
) -> WaveSettings {
    let Some(fields) = of.section(key, faults) else { return base };
    let known = [&SETTINGS[..], also].concat();
    fields.only(&known, &[], faults);
    settings(&fields, base, faults)
}

/// The settings that are written in `fields`, over those of `base`.
fn settings(fields: &Fields<'_>, base: WaveSettings, faults: &mut Faults<'_>) -> WaveSettings {
    let mut s = base;
    let why = "write at least 1; to hold a wave back, pause the rollout";
    s.max_in_flight = fields.some("maxInFlight", why, faults).unwrap_or(s.max_in_flight);
    s.max_failures = fields.amount("maxFailures", faults).unwrap_or(s.max_failures);
    s.min_healthy = fields.duration("minHealthy", faults).unwrap_or(s.min_healthy);
    s.progress_deadline = fields.time("progressDeadline", faults).unwrap_or(s.progress_deadline);
    s.timeout = fields.time("timeout", faults).unwrap_or(s.timeout);
    if let Some(offline) = fields.section("offline", faults) {
        offline.only(&["grace", "staleAfter"], &["policy", "after"], faults);
        s.offline.grace = offline.duration("grace", faults).unwrap_or(s.offline.grace);
        s.offline.stale_after = offline.time("staleAfter", faults).unwrap_or(s.offline.stale_after);
    }
    if let Some(evidence) = fields.section("evidence", faults) {
        evidence.only(&["min"], &[], faults);
        let why = "write at least 1: a wave passes on proof, never on its absence";
        s.evidence_min = evidence.some("min", why, faults).unwrap_or(s.evidence_min);
    }
    if let Some(retry) = fields.section("retry", faults) {
        retry.only(&["limit", "backoff"], &[], faults);
        s.retry.limit = retry.count("limit", faults).unwrap_or(s.retry.limit);
        s.retry.backoff = retry.duration("backoff", faults).unwrap_or(s.retry.backoff);
    }
    s
}

fn waves(
    path: &str,
    node: &Node,
    defaults: WaveSettings,
    faults: &mut Faults<'_>,
) -> Vec<WaveSpec> {
    let Value::List(items) = &node.value else {
        let message = format!("`{path}` must be a list, but is {}", node.what());
        faults.wrong(node.at, message, "begin each wave with `- name: NAME`");
        return Vec::new();
    };
    if items.is_empty() {
        let hint = "add a wave such as `- {name: all, rest: true}`, or remove `waves`";
        faults.wrong(node.at, format!("`{path}` is empty"), hint);
    }
    if items.len() > WAVES_MAX {
        let message =
            format!("`{path}` has {} waves, at most {WAVES_MAX} are allowed", items.len());
        faults.wrong(node.at, message, "put clusters together");
    }
    let mut names = BTreeMap::new();
    let mut shares = 0_u32;
    let mut specs = Vec::new();
    for (index, item) in items.iter().take(WAVES_MAX).enumerate() {
        let Some(fields) = Fields::open(item, format!("{path}[{index}]"), faults) else { continue };
        let Some(wave) = wave(&fields, defaults, faults) else { continue };
        if let Some(first) = names.insert(wave.name.clone(), index) {
            let message = format!("`{path}[{first}]` is called `{}` too", wave.name);
            faults.wrong(fields.at, message, "give each wave a name of its own");
        }
        if wave.members == Members::Rest && index + 1 < items.len() {
            let message = format!("wave `{}` takes the rest, but is not the last one", wave.name);
            faults.wrong(fields.at, message, "move it to the end of `waves`");
        }
        if let Members::Take { select: None, count: Amount::Percent(share), .. } = wave.members {
            shares += u32::from(share);
            if shares > 100 {
                let message = format!("the waves up to `{}` take {shares}% of all", wave.name);
                faults.wrong(fields.at, message, "lower the shares, or use `rest: true`");
            }
        }
        specs.push(wave);
    }
    specs
}

fn wave(fields: &Fields<'_>, defaults: WaveSettings, faults: &mut Faults<'_>) -> Option<WaveSpec> {
    let mut known = vec!["name", "select", "take", "rest", "allowEmpty", "before", "after"];
    known.extend(["ramp", "spread", "separate"]);
    known.extend(SETTINGS);
    fields.only(&known, &["gate", "batch", "targets"], faults);
    let name = fields.need("name", "give the wave a name such as `canary`", faults);
    let name = name.and(fields.text("name", faults));
    let name = name.and_then(|(text, at)| match WaveName::parse(text) {
        Ok(name) => Some(name),
        Err(error) => {
            faults.wrong(at, error.to_string(), "rename the wave");
            None
        }
    });
    let members = members(fields, faults);
    let allow_empty = fields.flag("allowEmpty", faults).unwrap_or(false);
    let mut settings = settings(fields, defaults, faults);
    let before = gates::before(fields, faults);
    let (after, soak) = gates::after(fields, faults);
    settings.soak = soak.unwrap_or(settings.soak);
    let spread = fields.section("spread", faults).and_then(|spread| spread_of(&spread, faults));
    let separate = fields.text("separate", faults);
    let separate = separate.and_then(|(text, at)| gates::label("separate", text, at, faults));
    let ramp = ramp(fields, faults);
    let spec = WaveSpec::new(name?, members?, settings);
    Some(WaveSpec { allow_empty, ramp, spread, separate, before, after, ..spec })
}

/// `spread: {key: labels.region, max: 1}`.
fn spread_of(spread: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Spread> {
    spread.only(&["key", "max"], &[], faults);
    spread.need("key", "write the label, such as `key: labels.region`", faults)?;
    let (text, at) = spread.text("key", faults)?;
    let key = gates::label("spread.key", text, at, faults)?;
    Some(Spread { key, max: spread.count("max", faults).unwrap_or(1) })
}

/// `ramp: [10%, 50%, 100%]`.
fn ramp(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<Amount> {
    let Some(node) = fields.get("ramp") else { return Vec::new() };
    let Value::List(items) = &node.value else {
        let message = format!("`{}` must be a list, but is {}", fields.name("ramp"), node.what());
        faults.wrong(node.at, message, "write one such as `ramp: [10%, 50%, 100%]`");
        return Vec::new();
    };
    if items.len() > RAMP_MAX {
        let message = format!(
            "`{}` has {} steps, at most {RAMP_MAX} are allowed",
            fields.name("ramp"),
            items.len()
        );
        faults.wrong(node.at, message, "take larger steps");
    }
    let path = fields.name("ramp");
    let steps = items.iter().take(RAMP_MAX).enumerate();
    steps
        .filter_map(|(i, item)| super::fields::amount(item, &format!("{path}[{i}]"), faults))
        .collect()
}

fn members(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Members> {
    let hint = "write one of `select: \"…\"`, `take: 1` and `rest: true`";
    let select = selector(fields, "select", faults);
    let rest = fields.flag("rest", faults);
    if let (Some(false), Some(node)) = (rest, fields.get("rest")) {
        faults.wrong(node.at, format!("`{}` is `false`", fields.name("rest")), "remove it");
    }
    if fields.get("rest").is_some()
        && let Some(node) = fields.get("select").or(fields.get("take"))
    {
        let message = format!("`{}` stands beside `select` or `take`", fields.name("rest"));
        faults.wrong(node.at, message, hint);
        return None;
    }
    if fields.get("take").is_some() {
        let (count, min, largest) = take(fields, faults)?;
        return Some(Members::Take { select, count, min, largest });
    }
    match (fields.get("select").is_some(), rest) {
        (true, _) => select.map(Members::Select),
        (false, Some(true)) => Some(Members::Rest),
        (false, Some(false)) => None,
        (false, None) => {
            if fields.get("rest").is_none() {
                let message = format!("`{}` does not say which clusters", fields.path());
                faults.wrong(fields.at, message, hint);
            }
            None
        }
    }
}

/// `take: 1`, `take: 5%` or `take: {count: 5%, min: 2, largest: 1}`.
fn take(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<(Amount, u32, u32)> {
    let why = "take at least 1";
    let node = fields.get("take")?;
    if !matches!(node.value, Value::Map(_)) {
        return Some((fields.some("take", why, faults)?, 0, 0));
    }
    let take = fields.section("take", faults)?;
    take.only(&["count", "min", "largest"], &[], faults);
    take.need("count", "write how many, such as `count: 1` or `count: 5%`", faults)?;
    let count = take.some("count", why, faults)?;
    let few = |key, faults: &mut Faults<'_>| take.count(key, faults).unwrap_or(0);
    Some((count, few("min", faults), few("largest", faults)))
}

//! A scenario as a person writes it: one YAML file, read into a [`Scenario`].
//!
//! What is not understood is refused with its line, never ignored. The section `app` is not read here: it
//! goes, line for line, to whoever reads an `app.yaml` (see [`Reader`]). Files are not opened here either.

mod habits;
mod script;
mod people;
mod act;
mod claim;
mod excerpt;
mod texts;
mod fault;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Facts, Labels};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    agent::Behaviour,
    world::{Faults, uid},
};
use crate::{Strategy, Targets};

pub use act::{Act, Order};
pub use claim::Claim;
pub use fault::Fault;

/// Most clusters of a scenario.
const CLUSTERS_MAX: usize = 20_000;
/// Longest scenario: a leap year.
const UNTIL_MAX: Duration = Duration::from_hours(366 * 24);

/// What an `app.yaml` says about a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// Which clusters.
    pub targets: Targets,
    /// How.
    pub strategy: Strategy,
}

/// Reads the text of an `app.yaml`; the first argument is the path that its faults name.
pub type Reader<'a> = &'a dyn Fn(&str, &str) -> Result<AppSpec, Vec<Fault>>;

/// Opens a file that a scenario names, relative to the scenario.
pub type Opener<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// One cluster at the beginning, or one that joins.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its uid.
    pub uid: ClusterUid,
    /// Its name.
    pub name: ClusterName,
    /// Labels the hub keeps of it.
    pub labels: Labels,
    /// What its agent says of it.
    pub facts: Facts,
    /// How long everything takes, in percent of what is usual.
    pub slow: u32,
}

/// What a content does.
#[derive(Debug, Clone, PartialEq)]
pub struct Habit {
    /// What.
    pub does: Behaviour,
    /// On which clusters.
    pub on: Share,
}

/// Some clusters.
#[derive(Debug, Clone, PartialEq)]
pub enum Share {
    /// Everywhere.
    All,
    /// On these.
    Named(Vec<ClusterUid>),
    /// On so many percent of all, chosen by the seed.
    Percent(u32),
}

/// A scenario, checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows.
    pub about: String,
    /// Seed when nobody gives another one.
    pub seed: u64,
    /// Wall clock at its beginning.
    pub begin: Option<Timestamp>,
    /// How often an agent reports when nothing changes.
    pub heartbeat: Duration,
    /// From a directive to the report about it.
    pub answer: Duration,
    /// Times of clusters are longer by up to so many percent, by the seed.
    pub jitter: u32,
    /// How unreliable the network and the hub are.
    pub faults: Faults,
    /// Clusters at the beginning.
    pub clusters: Vec<Member>,
    /// What contents do, by name, in the order written.
    pub releases: Vec<(String, Vec<Habit>)>,
    /// What is at HEAD of each commit.
    pub apps: BTreeMap<String, AppSpec>,
    /// What happens, in time order.
    pub timeline: Vec<(Duration, Act)>,
    /// When it ends.
    pub until: Duration,
    /// What must be so, in time order, with the line that says it.
    pub claims: Vec<(Duration, u64, Claim)>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    about: String,
    #[serde(default)]
    seed: u64,
    begin: Option<Spanned<String>>,
    heartbeat: Option<Spanned<String>>,
    answer: Option<Spanned<String>>,
    #[serde(default)]
    jitter: u32,
    #[serde(default)]
    faults: RawFaults,
    clusters: Vec<Spanned<RawCluster>>,
    app: Option<Spanned<serde_json::Value>>,
    app_file: Option<Spanned<String>>,
    #[serde(default)]
    apps: BTreeMap<String, Spanned<serde_json::Value>>,
    #[serde(default)]
    releases: BTreeMap<String, Vec<habits::RawHabit>>,
    #[serde(default)]
    timeline: Vec<Spanned<act::RawStep>>,
    until: Spanned<String>,
    #[serde(default)]
    expect: Vec<Spanned<claim::RawClaim>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFaults {
    #[serde(default)]
    loss: u64,
    #[serde(default)]
    duplicate: u64,
    #[serde(default)]
    crash: u64,
    delay: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCluster {
    name: Spanned<String>,
    count: Option<usize>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    facts: Facts,
    slow: Option<u32>,
    #[serde(default)]
    dark: Vec<habits::Span>,
    #[serde(default)]
    broken: Vec<habits::Span>,
    flaps: Option<habits::Flaps>,
    #[serde(default)]
    restarts: Vec<Spanned<String>>,
}

/// Reads a scenario. `file` names it in faults.
pub fn parse(
    file: &str,
    text: &str,
    open: Opener<'_>,
    reader: Reader<'_>,
) -> Result<Scenario, Vec<Fault>> {
    let raw: Raw = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| vec![Fault::of_parser(file, &error)])?;
    let mut faults = Faulty { file, list: Vec::new() };
    let until = faults.time(&raw.until).unwrap_or_default();
    if until > UNTIL_MAX {
        faults.add(raw.until.referenced.line(), "`until` is over a year", "choose a shorter time");
    }
    let mut cast = Cast::default();
    let mut timeline = Vec::new();
    let clusters = clusters(&raw.clusters, until, &mut cast, &mut timeline, &mut faults);
    let apps = apps(&raw, text, open, reader, &mut faults);
    script::read(&raw.timeline, &apps, &mut cast, &mut timeline, &mut faults);
    timeline.sort_by_key(|(at, _)| *at);
    let releases = raw
        .releases
        .iter()
        .map(|(name, habits)| (name.clone(), habits::read(habits, &cast, &mut faults)));
    let releases = releases.collect();
    let mut claims = claim::read(&raw.expect, until, &cast, &mut faults);
    claims.sort_by_key(|(at, ..)| *at);
    let (begin, heartbeat, answer, network) = rest(&raw, &mut faults);
    let scenario = Scenario {
        about: raw.about.trim().to_owned(),
        seed: raw.seed,
        begin,
        heartbeat,
        answer,
        jitter: raw.jitter,
        faults: network,
        clusters,
        releases,
        apps,
        timeline,
        until,
        claims,
    };
    if faults.list.is_empty() { Ok(scenario) } else { Err(faults.list) }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true, with_snippet: false }
}

type Rest = (Option<Timestamp>, Duration, Duration, Faults);

fn rest(raw: &Raw, faults: &mut Faulty<'_>) -> Rest {
    let begin = raw.begin.as_ref().and_then(|text| {
        let parsed = text.value.parse();
        if parsed.is_err() {
            let what = format!("`{}` is not a time", text.value);
            faults.add(text.referenced.line(), what, "write `2026-01-05T08:00:00Z`");
        }
        parsed.ok()
    });
    let mut time = |text: &Option<Spanned<String>>, or: u64| {
        let given = text.as_ref().and_then(|text| faults.time(text));
        given.unwrap_or(Duration::from_secs(or))
    };
    let heartbeat = time(&raw.heartbeat, 10).max(Duration::from_millis(10));
    let answer = time(&raw.answer, 1);
    let network = Faults {
        loss: raw.faults.loss,
        duplicate: raw.faults.duplicate,
        delay_secs: time(&raw.faults.delay, 0).as_secs(),
        crash: raw.faults.crash,
    };
    (begin, heartbeat, answer, network)
}

/// Names of all clusters there ever are, and their uids. The newest of a name is the one meant.
#[derive(Debug, Default)]
pub(super) struct Cast {
    names: Vec<(String, ClusterUid)>,
}

impl Cast {
    fn enter(&mut self, name: &str) -> ClusterUid {
        let uid = uid(1 + self.names.len() as u64);
        self.names.push((name.to_owned(), uid.clone()));
        uid
    }

    fn find(&self, name: &str) -> Option<ClusterUid> {
        self.names.iter().rev().find(|(n, _)| n == name).map(|(_, uid)| uid.clone())
    }

    /// All that a pattern names: a name, or one with a `*` at its end.
    fn matching(&self, pattern: &str) -> Vec<ClusterUid> {
        match pattern.strip_suffix('*') {
            Some(start) => {
                let all = self.names.iter().filter(|(n, _)| n.starts_with(start));
                all.map(|(_, uid)| uid.clone()).collect()
            }
            None => self.find(pattern).into_iter().collect(),
        }
    }
}

/// Faults of one file.
pub(super) struct Faulty<'a> {
    file: &'a str,
    list: Vec<Fault>,
}

impl Faulty<'_> {
    fn add(&mut self, line: u64, what: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (what.into(), Some(hint.into()));
        self.list.push(Fault { file: self.file.to_owned(), line, message, hint });
    }

    fn time(&mut self, text: &Spanned<String>) -> Option<Duration> {
        let time = duration(&text.value);
        if time.is_none() {
            let what = format!("`{}` is not a time", text.value);
            self.add(text.referenced.line(), what, "write `90s`, `10m` or `1h30m`");
        }
        time
    }
}

/// `90s`, `10m`, `1h30m`, `50ms`.
fn duration(text: &str) -> Option<Duration> {
    let span: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(span).ok()
}

fn clusters(
    raw: &[Spanned<RawCluster>],
    until: Duration,
    cast: &mut Cast,
    timeline: &mut Vec<(Duration, Act)>,
    faults: &mut Faulty<'_>,
) -> Vec<Member> {
    let mut all = Vec::new();
    for entry in raw {
        let (cluster, line) = (&entry.value, entry.referenced.line());
        let names: Vec<String> = match (cluster.count, cluster.name.value.contains('%')) {
            (None, false) => vec![cluster.name.value.clone()],
            (Some(count), true) if all.len() + count <= CLUSTERS_MAX => {
                (1..=count).map(|n| cluster.name.value.replace('%', &n.to_string())).collect()
            }
            (Some(_), true) => {
                faults.add(line, format!("over {CLUSTERS_MAX} clusters"), "simulate fewer");
                return all;
            }
            (Some(_), false) | (None, true) => {
                let hint = "write `{name: p%, count: 50}`: `%` becomes 1, 2, 3 …";
                faults.add(line, "`count` and a `%` in the name go together", hint);
                continue;
            }
        };
        for name in names {
            let Ok(parsed) = ClusterName::parse(&name) else {
                faults.add(line, format!("`{name}` is no cluster name"), "use a-z, 0-9 and `-`");
                continue;
            };
            if cast.find(&name).is_some() {
                faults.add(line, format!("cluster `{name}` stands twice"), "rename one");
                continue;
            }
            let uid = cast.enter(&name);
            let habits = habits::Life {
                dark: &cluster.dark,
                broken: &cluster.broken,
                flaps: cluster.flaps.as_ref(),
                restarts: &cluster.restarts,
            };
            habits.read(&uid, until, timeline, faults);
            let slow = 100 * cluster.slow.unwrap_or(1);
            let (labels, facts) = (cluster.labels.clone(), cluster.facts.clone());
            all.push(Member { uid, name: parsed, labels, facts, slow });
        }
    }
    all
}

/// The App at HEAD, and further ones by name. The usual one has the name of the empty text.
fn apps(
    raw: &Raw,
    text: &str,
    open: Opener<'_>,
    reader: Reader<'_>,
    faults: &mut Faulty<'_>,
) -> BTreeMap<String, AppSpec> {
    let mut found = BTreeMap::new();
    let mut take =
        |name: &str, spec: Result<AppSpec, Vec<Fault>>, faults: &mut Faulty<'_>| match spec {
            Ok(spec) => drop(found.insert(name.to_owned(), spec)),
            Err(more) => faults.list.extend(more),
        };
    match (&raw.app, &raw.app_file) {
        (Some(_), Some(path)) => {
            let hint = "keep one of the two";
            faults.add(path.referenced.line(), "both `app` and `appFile` are there", hint);
        }
        (None, Some(path)) => match open(&path.value) {
            Ok(text) => take("", reader(&path.value, &text), faults),
            Err(why) => {
                let what = format!("`{}` cannot be read: {why}", path.value);
                faults.add(path.referenced.line(), what, "give a path beside this file");
            }
        },
        (Some(app), None) => {
            take("", reader(faults.file, &excerpt::document(text, app)), faults);
        }
        (None, None) => take("", reader(faults.file, excerpt::NOTHING), faults),
    }
    for (name, app) in &raw.apps {
        take(name, reader(faults.file, &excerpt::document(text, app)), faults);
    }
    found
}

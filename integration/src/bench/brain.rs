//! What deciding costs: the brain alone, no hub around it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use model::{AppName, ClusterName, ClusterUid, Commit, Digest, LeaseEpoch, Selector, WaveName};
use rollout::{
    Amount, App, Candidate, ClusterObs, Event, Expect, Members, Now, Obs, OnUntarget, Scan,
    Strategy, Targets, WaveSettings, WaveSpec,
};

use super::{Options, table::Row};
use crate::stage::Error;

/// Fleets that are measured.
const SIZES: [u64; 4] = [10, 100, 1_000, 10_000];
/// Clusters of the largest fleet whose report is measured.
const REPORTS: u64 = 1_000;
/// Events of the long log.
const LOG: usize = 1_000_000;

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("measure the brain: {error}"))
}

/// Decisions of an opening wave, one report, a long log, and the size of what is remembered.
pub(super) fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let mut points = Vec::new();
    for size in SIZES {
        let mut best = Duration::MAX;
        for _ in 0..options.samples(5, 2) {
            let mut world = World::new(size)?;
            world.begin()?;
            let begin = Instant::now();
            let events = world.settle().len();
            let took = begin.elapsed();
            if events < usize::try_from(size).unwrap_or(usize::MAX) {
                return Err(fault(format!("only {events} decisions for {size} clusters")));
            }
            best = best.min(took);
        }
        points.push((size, best));
        let each = best.as_nanos() / u128::from(size);
        let how = format!("open, and grant all at once; {each} ns a cluster, the best of a few");
        rows.push(Row::value(format!("decide until quiet, {size} clusters"), ms(best), "ms", how));
    }
    rows.push(Row::value(
        "slope of time against size",
        format!("{:.2}", slope(&points)),
        "",
        "log-log, least squares; 1 is linear",
    ));
    let mut world = World::new(SIZES[3])?;
    world.begin()?;
    world.settle();
    rows.push(one_report(&mut world)?);
    rows.push(remembered(&world)?);
    rows.push(fold(&world, options));
    Ok(rows)
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// Least squares through the logarithms.
fn slope(points: &[(u64, Duration)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    let logs: Vec<_> =
        points.iter().map(|(n, t)| ((*n as f64).ln(), t.as_secs_f64().ln())).collect();
    #[expect(clippy::cast_precision_loss, reason = "four points")]
    let n = logs.len() as f64;
    let (x, y) = logs.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let above: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = logs.iter().map(|p| (p.0 - x) * (p.0 - x)).sum();
    above / below
}

/// A report that changes nothing, as most do.
fn one_report(world: &mut World) -> Result<Row, Error> {
    let mut scan = Scan::default();
    if scan.next(&world.app, world.now, &world.obs).is_some() {
        return Err(fault("something was left to decide"));
    }
    let uids: Vec<_> =
        world.obs.clusters.keys().take(usize::try_from(REPORTS).unwrap_or(0)).cloned().collect();
    let begin = Instant::now();
    for uid in &uids {
        if let Some(seen) = world.obs.clusters.get_mut(uid) {
            seen.last_heard = Some(world.now.mono);
        }
        scan.heard(uid.clone());
        if scan.next(&world.app, world.now, &world.obs).is_some() {
            return Err(fault("a report that says nothing new was news"));
        }
    }
    let each = begin.elapsed() / u32::try_from(uids.len().max(1)).unwrap_or(1);
    let how = format!("at {} clusters in flight, mean of {REPORTS}", SIZES[3]);
    Ok(Row::value("one report", format!("{:.2}", each.as_secs_f64() * 1e6), "us", how))
}

/// Bytes of the snapshot for each cluster, as the store keeps it.
fn remembered(world: &World) -> Result<Row, Error> {
    let text = serde_json::to_vec(&world.app).map_err(fault)?;
    let packed = hub::store::pack(&text);
    let each = packed.len() as u64 / SIZES[3];
    let how = format!(
        "snapshot in the store, every cluster in flight; {} B as plain JSON",
        text.len() as u64 / SIZES[3]
    );
    Ok(Row::value("memory of one (App, cluster) in the store", each, "B", how))
}

/// A long log, folded.
fn fold(world: &World, options: &Options) -> Row {
    let wanted = options.samples(LOG, LOG / 10);
    let grants: Vec<&Event> =
        world.log.iter().filter(|e| matches!(e, Event::Granted { .. })).collect();
    let acks = grants.iter().filter_map(|event| {
        let Event::Granted { cluster, grant, at, .. } = event else { return None };
        Some(Event::Acked { cluster: cluster.clone(), grant: *grant, at: *at })
    });
    // The same ten thousand grants and acknowledgements again and again: each of them is looked up and kept.
    let acks: Vec<_> = acks.collect();
    let mut app = App::fold(world.app.name.clone(), world.log.iter().take(2));
    let turn: Vec<&Event> = grants.iter().copied().zip(&acks).flat_map(|(g, a)| [g, a]).collect();
    let begin = Instant::now();
    for event in turn.iter().cycle().take(wanted) {
        app.apply(event);
    }
    let took = begin.elapsed();
    Row::value(
        format!("fold of {wanted} events"),
        ms(took),
        "ms",
        "grants and acknowledgements of 10,000 clusters",
    )
}

/// A fleet of which every cluster is there, and a release for all of it in one wave.
struct World {
    app: App,
    obs: Obs,
    now: Now,
    log: Vec<Event>,
}

impl World {
    fn new(size: u64) -> Result<World, Error> {
        let digest = Digest::of(b"release");
        let mut clusters = BTreeMap::new();
        for n in 0..size {
            // Spread over the key space, as real uids are.
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (high, low) = (mixed >> 32, n);
            let text = format!("{high:08x}-0000-4000-8000-{low:012x}");
            let uid = ClusterUid::parse(&text).map_err(fault)?;
            clusters.insert(uid, cluster(n)?);
        }
        let settings =
            WaveSettings { max_in_flight: Amount::Percent(100), ..WaveSettings::default() };
        let name = WaveName::parse("all").map_err(fault)?;
        let strategy = Strategy {
            probe: 0,
            waves: vec![WaveSpec::new(name, Members::Rest, settings)],
            ..Strategy::default()
        };
        let candidate = Candidate {
            commit: Commit::parse(&"a".repeat(40)).map_err(fault)?,
            reference: "main".to_owned(),
            author: None,
            subject: "release".to_owned(),
            targets: Targets {
                select: Selector::parse("true").map_err(fault)?,
                exclude: None,
                expect: Expect::default(),
                on_untarget: OnUntarget::Retain,
            },
            strategy,
            variants: clusters.keys().map(|uid| (uid.clone(), digest)).collect(),
            trace: None,
            hard_to_undo: Vec::new(),
        };
        let wall = Timestamp::from_second(1_700_000_000).map_err(fault)?;
        let mono = Duration::from_mins(5);
        Ok(World {
            app: App::new(AppName::parse("web").map_err(fault)?),
            obs: Obs { candidate: Some(Arc::new(candidate)), clusters, ..Obs::default() },
            now: Now { wall, mono, term: LeaseEpoch(1), stepped: false },
            log: Vec::new(),
        })
    }

    /// Plans the release, which is not measured.
    fn begin(&mut self) -> Result<(), Error> {
        let event = rollout::decide(&self.app, self.now, &self.obs);
        let event = event.filter(|e| matches!(e, Event::Started(_)));
        let event = event.ok_or_else(|| fault("the release does not start"))?;
        self.app.apply(&event);
        self.log.push(event);
        Ok(())
    }

    fn settle(&mut self) -> Vec<Event> {
        let mut scan = Scan::default();
        let mut events = Vec::new();
        while let Some(event) = scan.next(&self.app, self.now, &self.obs) {
            self.app.apply(&event);
            events.push(event);
        }
        self.log.extend(events.iter().cloned());
        events
    }
}

fn cluster(n: u64) -> Result<ClusterObs, Error> {
    Ok(ClusterObs {
        name: ClusterName::parse(&format!("cluster-{n}")).map_err(fault)?,
        labels: BTreeMap::from([("ring".to_owned(), "all".to_owned())]),
        facts: serde_json::Value::Null,
        connected: true,
        last_heard: Some(Duration::from_mins(5)),
        report: None,
        deleted: false,
        cordon: None,
        pin: None,
        busy: 0,
    })
}

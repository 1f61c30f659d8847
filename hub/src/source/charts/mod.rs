//! Charts that charts of a source depend on: fetched here, before anything is rendered, from the repositories that an
//! administrator named for the source, and from nowhere else.
//!
//! ```text
//!   render ──archive()──> shelf ──there──> bytes
//!                           └──not yet──> a fault that says so; fetch; `changed` ──> render again
//! ```
//!
//! Rendering never waits for a server. What failed is tried again after a pause, as long as a commit asks for it.
//!
//! Deliberately absent: ranges of versions (a `Chart.lock` settles them), and any look for newer ones.

mod place;
mod shelf;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Digest, Reason, SourceName};
use render::{ChartError, Wanted};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

use super::{
    artifact::Artifact,
    config::SourceConfig,
    delay::{self, dice},
    fault::Fault,
    limits::SourceLimits,
    lock,
    pauses::Pauses,
    secret::Vault,
    web::Web,
};
use crate::clock::Clock;
use place::Allowed;
use shelf::{Shelf, short};

/// Charts that all sources together wait for at one time: each costs a few hundred bytes.
const JOBS_MAX: usize = 1_000;

/// What fetching works with.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) clock: Clock,
    pub(super) limits: SourceLimits,
    pub(super) permits: Arc<Semaphore>,
    pub(super) vault: Vault,
    pub(super) pauses: Pauses,
    pub(super) changed: watch::Sender<u64>,
}

/// All of them; cloning it gives another handle on the same ones.
#[derive(Debug, Clone)]
pub(super) struct Charts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shelf: Shelf,
    means: Means,
    jobs: Mutex<Jobs>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Jobs {
    all: BTreeMap<(SourceName, Wanted), Job>,
    /// Counts what rendering should look at again, by source.
    news: BTreeMap<SourceName, u64>,
}

/// A chart that is not there yet.
#[derive(Debug, Default)]
struct Job {
    running: bool,
    failures: u32,
    /// Why the last try failed, and when the next one may begin.
    failed: Option<(ChartError, Duration)>,
}

/// The charts of one source.
#[derive(Debug, Clone)]
pub struct SourceCharts {
    all: Charts,
    config: Arc<SourceConfig>,
    handle: Handle,
}

impl Charts {
    /// Takes this folder for what is fetched.
    pub(super) fn open(dir: &Path, means: Means) -> io::Result<Charts> {
        let shelf = Shelf::open(dir)?;
        let (jobs, stop) = (Mutex::default(), Arc::default());
        Ok(Charts(Arc::new(Shared { shelf, means, jobs, stop })))
    }

    /// Needs a tokio runtime.
    pub(super) fn of(&self, config: Arc<SourceConfig>) -> SourceCharts {
        SourceCharts { all: self.clone(), config, handle: Handle::current() }
    }

    /// Forgets what a source waits for; what is on the disk stays.
    pub(super) fn forget(&self, source: &SourceName) {
        lock(&self.0.jobs).all.retain(|(of, _), _| of != source);
    }

    /// Ends all work soon.
    pub(super) fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    /// Has what waits for charts of a source rendered again.
    fn tell(&self, source: &SourceName) {
        *lock(&self.0.jobs).news.entry(source.clone()).or_default() += 1;
        self.0.means.changed.send_modify(|version| *version += 1);
    }
}

impl SourceCharts {
    /// Rises when rendering should look again.
    pub fn news(&self) -> u64 {
        lock(&self.all.0.jobs).news.get(&self.config.name).copied().unwrap_or_default()
    }

    /// What stands for all that a render may depend on here: with the same, the same charts are the same bytes.
    pub fn basis(&self) -> Digest {
        Digest::of(format!("{:?}", self.config.charts).as_bytes())
    }

    /// Begins to fetch, unless that is under way or too early; says why the chart is not there yet.
    fn begin(&self, wanted: &Wanted, allowed: Allowed) -> ChartError {
        let on_its_way = || ChartError {
            reason: Reason::DependencyUnfetched,
            message: format!(
                "dependency `{}` {} is being fetched from `{}`",
                wanted.name, wanted.version, wanted.repository
            ),
            hint: Some("wait a moment".to_owned()),
        };
        let now = self.all.0.means.clock.since_start();
        let mut jobs = lock(&self.all.0.jobs);
        let key = (self.config.name.clone(), wanted.clone());
        if !jobs.all.contains_key(&key) && jobs.all.len() >= JOBS_MAX {
            jobs.all.retain(|_, job| job.running);
            if jobs.all.len() >= JOBS_MAX {
                let message = format!("more than {JOBS_MAX} charts are being fetched already");
                return ChartError { reason: Reason::DependencyUnfetched, message, hint: None };
            }
        }
        let job = jobs.all.entry(key).or_default();
        let due = job.failed.as_ref().is_none_or(|(_, until)| now >= *until);
        let why = job.failed.as_ref().map_or_else(on_its_way, |(error, _)| error.clone());
        if !job.running && due {
            job.running = true;
            let (own, wanted) = (self.clone(), wanted.clone());
            self.handle.spawn(async move { own.run(&wanted, allowed).await });
        }
        why
    }

    async fn run(self, wanted: &Wanted, allowed: Allowed) {
        let Means { permits, limits, .. } = &self.all.0.means;
        let permit = permits.clone().acquire_owned().await;
        let (own, asked) = (self.clone(), wanted.clone());
        let work = tokio::task::spawn_blocking(move || {
            let done = own.fetch(&asked, &allowed);
            drop(permit);
            done
        });
        let fetched = work.await.unwrap_or_else(|error| {
            Err(Fault::new(Reason::Internal, format!("fetching a chart panicked: {error}")))
        });
        let key = (self.config.name.clone(), wanted.clone());
        let Err(fault) = fetched else {
            tracing::info!(source = %self.config.name, chart = %wanted.archive(), "fetched");
            lock(&self.all.0.jobs).all.remove(&key);
            self.all.tell(&self.config.name);
            return;
        };
        let error = told(wanted, &fault);
        let now = self.all.0.means.clock.since_start();
        let pause = {
            let mut jobs = lock(&self.all.0.jobs);
            // The source was taken away, or is another one now.
            let Some(job) = jobs.all.get_mut(&key) else { return };
            job.running = false;
            job.failures = job.failures.saturating_add(1);
            let pause = delay::pause(job.failures, limits.backoff_max, dice());
            let pause = pause.max(fault.pause.unwrap_or_default());
            let news = job.failed.as_ref().is_none_or(|(before, _)| *before != error);
            if news {
                tracing::warn!(source = %self.config.name, reason = %error.reason, %error, "chart failed");
            }
            job.failed = Some((error, now + pause));
            drop(jobs);
            if news {
                self.all.tell(&self.config.name);
            }
            pause
        };
        tokio::time::sleep(pause).await;
        if !self.all.0.stop.load(Ordering::Relaxed) {
            self.all.tell(&self.config.name);
        }
    }

    /// Asks the server, checks, and puts the archive on the shelf. Blocks; needs a tokio runtime round it.
    fn fetch(&self, wanted: &Wanted, allowed: &Allowed) -> Result<(), Fault> {
        let Shared { shelf, means, stop, .. } = &*self.all.0;
        let internal =
            |error: &dyn std::fmt::Display| Fault::new(Reason::Internal, error.to_string());
        let config = Arc::new(allowed.source(&self.config.name, wanted));
        let place = config.place().map_err(|error| internal(&error))?;
        let (vault, clock) = (means.vault.clone(), means.clock.clone());
        let web = Web::new(config.clone(), &place.host, means.limits.silence, vault, clock.clone());
        let (limits, pauses) = (means.limits, means.pauses.clone());
        let artifact = Artifact::new(shelf.dir(), config, limits, clock, web, pauses);
        let artifact = artifact.map_err(|error| internal(&error))?;
        let bytes = artifact.packed(&wanted.name, stop)?;
        let before = shelf
            .put(wanted, &allowed.proof(), &bytes)
            .map_err(|error| Fault::disk(shelf.dir(), &error))?;
        match before {
            None => Ok(()),
            Some((first, now)) => {
                let message = format!(
                    "it had the SHA-256 {} when it was fetched first and has {} now",
                    short(&first),
                    short(&now)
                );
                Err(Fault::new(Reason::DependencyRefused, message))
            }
        }
    }
}

impl render::Charts for SourceCharts {
    fn archive(&self, wanted: &Wanted) -> Result<Arc<[u8]>, ChartError> {
        let Some(allowed) = Allowed::find(&self.config.charts, wanted) else {
            return Err(not_allowed(&self.config, wanted));
        };
        match self.all.0.shelf.get(wanted, &allowed.proof()) {
            Some(bytes) => Ok(bytes.into()),
            None => Err(self.begin(wanted, allowed)),
        }
    }
}

fn not_allowed(config: &SourceConfig, wanted: &Wanted) -> ChartError {
    let Wanted { repository, name, .. } = wanted;
    let mut message = format!(
        "dependency `{name}` is not in `charts`, and source `{}` may not fetch from `{repository}`",
        config.name
    );
    let mut known = config.charts.iter().map(|allowed| allowed.url.as_str());
    if let Some(first) = known.next() {
        let rest = match known.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(message, " (only from `{first}`{rest})").ok();
    }
    let hint = format!(
        "run `helm dependency build` and commit the folder `charts`, or delete the source and add it again with \
         `--charts {repository}`; clusters keep what they run"
    );
    ChartError { reason: Reason::DependencyMissing, message, hint: Some(hint) }
}

/// A fault of a fetch as a fault of the chart that wants it.
fn told(wanted: &Wanted, fault: &Fault) -> ChartError {
    let refused =
        [Reason::OciNotFound, Reason::OciInvalid, Reason::OciTooLarge, Reason::DependencyRefused];
    let refused = refused.contains(&fault.reason);
    let reason = if refused { Reason::DependencyRefused } else { Reason::DependencyUnfetched };
    let Wanted { repository, name, version } = wanted;
    let message = if fault.message.contains(repository.as_str()) {
        format!("dependency `{name}` {version}: {fault}")
    } else {
        format!("dependency `{name}` {version} of `{repository}`: {fault}")
    };
    ChartError { reason, message, hint: None }
}

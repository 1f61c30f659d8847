//! How the rest of the hub talks to the driver: ask for a verb, look at the board.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use model::{AppName, Digest, RolloutId, Status};
use rollout::{Actor, Refusal, Verb};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    driver::{Engine, Error, Parts},
    slot::AppNow,
};

/// Verbs that may wait for the driver; people are few.
const ASKED_MAX: usize = 64;

/// Shortest time between two wakes: gathers the reports of a burst (1,000 agents acknowledge within a
/// few milliseconds) into one look, and is far below what a person notices.
const WAKE_INTERVAL_MIN: Duration = Duration::from_millis(5);

/// After a wake the driver rests as long as it took, up to this: a fleet that reports without a pause takes
/// half of one core, and a wake hears more at once.
const REST_MAX: Duration = Duration::from_millis(250);

/// Longest sleep: bounds what a missed signal could cost.
const SLEEP_MAX: Duration = Duration::from_secs(15);

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No App of that name.
    #[error("there is no app `{0}`")]
    NoSuchApp(AppName),
    /// The present state does not allow it.
    #[error("{0}")]
    Refused(Refusal),
    /// The disk refuses writes.
    #[error("the hub's disk refuses writes: {0}")]
    Disk(String),
    /// The driver ended.
    #[error("the hub is shutting down")]
    Gone,
}

/// The rollout that the verb was about; `None` when it makes a new one.
type Answer = Result<Option<RolloutId>, CommandError>;

type Reply = oneshot::Sender<Answer>;

/// A verb on its way to the driver.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) app: AppName,
    pub(super) verb: Verb,
    pub(super) actor: Actor,
    /// Stamp of what the person looked at.
    pub(super) seen: Option<Digest>,
    pub(super) reply: Reply,
}

impl Asked {
    pub(super) fn answer(reply: Reply, answer: Answer) {
        // Whoever asked may be gone; the decision stands all the same.
        drop(reply.send(answer));
    }
}

/// What people see: replaced as a whole after every wake.
#[derive(Debug, Default)]
pub(super) struct Board {
    now: RwLock<Arc<Published>>,
    version: watch::Sender<u64>,
}

/// One instant of all Apps.
#[derive(Debug, Default)]
pub struct Published {
    /// By name.
    pub apps: BTreeMap<AppName, Arc<AppNow>>,
    /// Why the hub itself cannot decide.
    pub fault: Option<Status>,
    /// Whether the driver has looked at least once.
    pub ready: bool,
    /// Apps that were rendered since the hub started: of a commit only those that it reaches.
    pub renders: u64,
}

impl Board {
    pub(super) fn publish(
        &self,
        apps: BTreeMap<AppName, AppNow>,
        fault: Option<Status>,
        renders: u64,
    ) {
        let apps = apps.into_iter().map(|(name, app)| (name, Arc::new(app))).collect();
        let published = Arc::new(Published { apps, fault, ready: true, renders });
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = published;
        self.version.send_modify(|n| *n += 1);
    }
}

/// A handle on the driver; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    asked: mpsc::Sender<Asked>,
    board: Arc<Board>,
}

impl Handle {
    /// Carries out a verb; returns when it is durable and shown. Says which rollout it was about, unless it
    /// makes a new one. With `seen` (see [`rollout::stamp`]) only when nothing changed since.
    pub async fn command(
        &self,
        app: AppName,
        verb: Verb,
        actor: Actor,
        seen: Option<Digest>,
    ) -> Result<Option<RolloutId>, CommandError> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { app, verb, actor, seen, reply };
        self.asked.send(asked).await.map_err(|_| CommandError::Gone)?;
        answer.await.map_err(|_| CommandError::Gone)?
    }

    /// What people see now.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.board.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rises whenever [`Handle::published`] was replaced.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.board.version.subscribe()
    }
}

/// Loads all Apps and drives them until `shutdown`.
pub async fn start(
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<(Handle, tokio::task::JoinHandle<Result<(), Error>>), Error> {
    let board = Arc::new(Board::default());
    let fleet = parts.fleet.moved();
    let (registry, sources) = (parts.registry.changed(), parts.sources.changed());
    let loading = Arc::clone(&board);
    let engine = blocking(move || Engine::load(parts, loading)).await?;
    let signals = Signals { fleet, registry, sources, rendered: engine.rendered() };
    let (asked, inbox) = mpsc::channel(ASKED_MAX);
    let task = tokio::spawn(drive(engine, signals, inbox, shutdown));
    Ok((Handle { asked, board }, task))
}

struct Signals {
    fleet: watch::Receiver<u64>,
    registry: watch::Receiver<u64>,
    sources: watch::Receiver<u64>,
    rendered: watch::Receiver<u64>,
}

async fn drive(
    mut engine: Engine,
    mut signals: Signals,
    mut inbox: mpsc::Receiver<Asked>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut asked = Vec::new();
    loop {
        let batch = std::mem::take(&mut asked);
        let began = Instant::now();
        let (back, next) = blocking(move || {
            let next = engine.wake(batch)?;
            Ok((engine, next))
        })
        .await?;
        engine = back;
        let rest = began.elapsed().clamp(WAKE_INTERVAL_MIN, REST_MAX);
        let sleep = next.unwrap_or(SLEEP_MAX).clamp(WAKE_INTERVAL_MIN, SLEEP_MAX);
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(first) = inbox.recv() => asked.push(first),
            Ok(()) = signals.fleet.changed() => {}
            Ok(()) = signals.registry.changed() => {}
            Ok(()) = signals.sources.changed() => {}
            Ok(()) = signals.rendered.changed() => {}
            () = tokio::time::sleep(sleep) => {}
        }
        tokio::time::sleep(rest).await;
        while asked.len() < ASKED_MAX
            && let Ok(more) = inbox.try_recv()
        {
            asked.push(more);
        }
        signals.fleet.mark_unchanged();
        signals.registry.mark_unchanged();
        signals.sources.mark_unchanged();
        signals.rendered.mark_unchanged();
    }
}

/// Runs `work` where blocking is allowed. A panic in it ends the hub: its state cannot be trusted.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

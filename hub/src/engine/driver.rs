//! The driver: one [`Engine::wake`] that rereads everything, decides until nothing is left, makes each
//! decision durable, and only then lets anything that follows from it leave the hub.
//!
//! It takes no input but "wake" and what people ask. What it knows is in the store, the sources, the
//! registry and the fleet; a crash at any line loses nothing that was acted upon.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use model::{AppName, ClusterUid, Digest, LeaseEpoch, Reason, RolloutId, Status};
use rollout::{Actor, Event, Now, Scan, Verb};
use sandbox::Renderers;
use tokio::sync::watch;

use super::{
    Desk, Fleet, circle,
    claims::Claims,
    feed::{Feed, Watch},
    handle::{Asked, Board, CommandError},
    offer::{Found, News, Offered, Offers, Ready, Survey},
    slot::{AppNow, Shown, Slot},
    undo,
};
use crate::{
    clock::Clock,
    content::{self, Content, Swept},
    policy::PolicyFile,
    registry::{ClusterRecord, Registry},
    source::Sources,
    store::{
        self,
        log::{Log, SNAPSHOT_EVERY},
    },
    telemetry,
};

/// Events that one durable write takes: a wave of 256 grants costs one sync of the disk. They are
/// consecutive decisions of one App and none of them acts before all are durable.
const EVENTS_PER_WRITE_MAX: usize = 256;

/// Decisions of one App in one wake: far above what any plan needs; a brain that never stops would be a
/// bug, and this keeps it from stopping the others.
const DECISIONS_PER_WAKE_MAX: usize = 200_000;

/// Pause after the disk refused a write, before the next try.
const RETRY_AFTER_FAULT: Duration = Duration::from_secs(1);

/// Why the driver ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be trusted or belongs to another hub.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An event of the log cannot be read.
    #[error("event {seq} of app `{app}` cannot be read: {why}; restore the newest backup")]
    Event {
        /// The App.
        app: AppName,
        /// Its place in the log.
        seq: u64,
        /// What is wrong.
        why: String,
    },
}

/// What the driver works with.
#[derive(Debug)]
pub struct Parts {
    /// Clusters and sources.
    pub registry: Registry,
    /// Git.
    pub sources: Sources,
    /// Kustomize and Helm.
    pub renderers: Renderers,
    /// What the fleet allows.
    pub policy: Arc<PolicyFile>,
    /// What agents said.
    pub fleet: Arc<Fleet>,
    /// What is served to them.
    pub desk: Arc<Desk>,
    /// Rendered objects.
    pub content: Arc<Content>,
    /// Decisions.
    pub log: Log,
    /// Time.
    pub clock: Clock,
    /// The lease under which this hub decides.
    pub lease: LeaseEpoch,
}

/// The Apps and everything round them.
#[derive(Debug)]
pub(super) struct Engine {
    parts: Parts,
    offers: Offers,
    claims: Claims,
    /// What was rendered and waits for another App to give an object up, or not to wait for it.
    blocked: BTreeMap<AppName, Found>,
    watch: Watch,
    slots: BTreeMap<AppName, Slot>,
    board: Arc<Board>,
}

type Clusters = BTreeMap<ClusterUid, ClusterRecord>;

impl Engine {
    /// Folds the logs of all Apps.
    pub(super) fn load(parts: Parts, board: Arc<Board>) -> Result<Engine, Error> {
        let mut slots = BTreeMap::new();
        for app in parts.log.apps()? {
            let slot = load(&parts.log, &app)?;
            slots.insert(app, slot);
        }
        sweep(&parts.content, &slots);
        let (claims, blocked) = (Claims::default(), BTreeMap::new());
        let watch = Watch::new(parts.clock.clone(), parts.lease);
        Ok(Engine { parts, offers: Offers::default(), claims, blocked, watch, slots, board })
    }

    /// Rises when something was rendered.
    pub(super) fn rendered(&self) -> watch::Receiver<u64> {
        self.offers.moved()
    }

    /// Rereads, decides, publishes; returns when time alone could change something.
    pub(super) fn wake(&mut self, asked: Vec<Asked>) -> Result<Option<Duration>, Error> {
        let clusters = self.parts.registry.clusters();
        let mut fault = self.refresh(&clusters);
        let mut answers = Vec::new();
        let feed = self.feed();
        for Asked { app, verb, actor, seen, reply } in asked {
            let answer = self.ask(&app, (&verb, &actor, seen.as_ref()), &clusters, &feed)?;
            answers.push((reply, answer));
        }
        let feed = self.feed();
        let mut wakeup = feed.thaws(&clusters);
        let mut seen = BTreeMap::new();
        for name in self.slots.keys().cloned().collect::<Vec<_>>() {
            match self.settle(&name, &clusters, &feed) {
                Ok(Some((app, next))) => {
                    wakeup = wakeup.into_iter().chain(next).min();
                    seen.insert(name, app);
                }
                Ok(None) => {}
                Err(Error::Store(store::Error::Io(error))) => {
                    let message = format!("the hub's disk refuses writes: {error}");
                    fault = Some(Status::because(Reason::DiskFull, message));
                    self.reload(&name)?;
                }
                Err(other) => return Err(other),
            }
        }
        if fault.is_some() {
            wakeup = wakeup.into_iter().chain([RETRY_AFTER_FAULT]).min();
        }
        self.board.publish(seen, fault, self.offers.renders());
        // Answered last, so that whoever asked sees the outcome on the board.
        for (reply, answer) in answers {
            Asked::answer(reply, answer);
        }
        Ok(wakeup)
    }

    /// Begins to render what is new in Git or in the fleet, and takes what is rendered. A disk that is full
    /// keeps the last offers.
    fn refresh(&mut self, clusters: &Clusters) -> Option<Status> {
        let records = self.parts.registry.sources();
        self.offers.refresh(&self.parts, records.keys().cloned(), clusters);
        let wanted = self.slots.values().filter_map(|slot| slot.lacks_proven(clusters)).collect();
        self.offers.prove(&self.parts, wanted, clusters);
        let news = match self.offers.news() {
            Ok(news) => news,
            Err(error) => return Some(content_fault(&error)),
        };
        for one in news {
            match one {
                News::Found(found) => self.take(*found),
                News::Survey(survey) => self.survey(&survey),
                News::Proven(app, proven) => {
                    if let Some(slot) = self.slots.get_mut(&app) {
                        slot.learn_proven(proven);
                    }
                }
            }
        }
        for (name, slot) in &mut self.slots {
            if slot.source.as_ref().is_some_and(|source| !records.contains_key(source)) {
                gone(slot, "its source was deleted");
                slot.source = None;
                self.claims.forget(name);
            }
        }
        None
    }

    /// Learns which Apps a source has.
    fn survey(&mut self, survey: &Survey) {
        let mut left = false;
        for (name, slot) in &mut self.slots {
            if slot.source.as_ref() != Some(&survey.source) || survey.apps.contains(name) {
                continue;
            }
            if let Some(fault) = &survey.refused {
                slot.offer.fault = Some(fault.clone());
            } else {
                gone(slot, "its `app.yaml` is no longer in the source");
                self.claims.forget(name);
                self.blocked.remove(name);
                left = true;
            }
            slot.offer.fault_at = Some(survey.revision.clone());
        }
        if left {
            // What went may be what others wait for.
            for found in std::mem::take(&mut self.blocked).into_values() {
                self.take(found);
            }
        }
    }

    /// Takes what was rendered, unless another App holds an object of it on one of its clusters, or it would wait
    /// for itself by way of others.
    fn take(&mut self, found: Found) {
        let mut open = vec![found];
        while let Some(found) = open.pop() {
            let app = found.app.clone();
            self.blocked.remove(&app);
            let Offered::Candidate(ready) = &found.offer else {
                self.accept(found);
                continue;
            };
            let Some(status) = self.refusal(&app, ready) else {
                let held = ready.held.clone();
                if self.accept(found) {
                    self.claims.take(&app, held);
                    // What it gave up may be what others wait for.
                    open.extend(std::mem::take(&mut self.blocked).into_values());
                }
                continue;
            };
            let revision = ready.candidate.revision().to_string();
            let offer = Offered::Fault { status, revision };
            self.accept(Found { source: found.source.clone(), app: app.clone(), offer });
            self.blocked.insert(app, found);
        }
    }

    /// What stands between the offer of an App and the other Apps.
    fn refusal(&self, app: &AppName, ready: &Ready) -> Option<Status> {
        if let Some((key, other)) = self.claims.conflict(app, &ready.held) {
            let message =
                format!("App `{other}` holds {key} on a cluster that App `{app}` selects");
            return Some(Status::because(Reason::ObjectClaimedTwice, message));
        }
        circle::closed_by(app, &ready.candidate.strategy, &self.slots)
    }

    /// Puts an offer into its slot; `false` when another source holds an App of that name.
    fn accept(&mut self, found: Found) -> bool {
        let Found { source, app, mut offer } = found;
        let slot = self
            .slots
            .entry(app.clone())
            .or_insert_with(|| Slot::new(rollout::App::new(app.clone()), 1));
        if let Some(owner) = slot.source.as_ref().filter(|owner| **owner != source) {
            tracing::warn!(%app, %owner, %source, "two sources hold an app of one name; the first keeps it");
            return false;
        }
        slot.source = Some(source);
        if let Offered::Candidate(ready) = &mut offer {
            undo::judge(&mut ready.candidate, &slot.state, &self.parts.content);
        }
        slot.offer.take(offer);
        slot.learn_revisions();
        true
    }

    /// Decides one App until nothing is left, and publishes what follows.
    fn settle(
        &mut self,
        name: &AppName,
        clusters: &Clusters,
        feed: &Feed,
    ) -> Result<Option<(AppNow, Option<Duration>)>, Error> {
        let now = self.watch.now();
        let Some(slot) = self.slots.get_mut(name) else { return Ok(None) };
        let mut obs = slot.observe(clusters, &self.parts.fleet);
        feed.pour(name, clusters, &mut obs);
        let mut scan = Scan::default();
        let mut decided = 0;
        loop {
            let mut state = Arc::clone(&slot.state);
            let mut events = Vec::new();
            while events.len() < EVENTS_PER_WRITE_MAX
                && let Some(event) = scan.next(&state, now, &obs)
            {
                step(&mut state, &event, now, &obs);
                events.push(event);
            }
            if events.is_empty() {
                break;
            }
            decided += events.len();
            append(&self.parts.log, self.parts.lease, slot, &events)?;
            slot.state = state;
            snapshot(&self.parts.log, self.parts.lease, slot, events.len())?;
            if decided > DECISIONS_PER_WAKE_MAX {
                tracing::error!(app = %name, decided, "the brain does not come to rest");
                break;
            }
        }
        for uid in slot.publish(&self.parts.desk, clusters) {
            self.parts.fleet.wake(&uid);
        }
        let next = rollout::next_wakeup(&slot.state, now, &obs);
        let app = AppNow {
            name: name.clone(),
            source: slot.source.clone(),
            state: Arc::clone(&slot.state),
            obs,
            now,
            offer: slot.offer.clone(),
            revisions: Arc::clone(&slot.revisions),
            shown: Shown::default(),
        };
        Ok(Some((app, next)))
    }

    /// Carries out what a person asked, as one more decision; the rollout that it is about, unless it makes
    /// a new one.
    fn ask(
        &mut self,
        app: &AppName,
        (verb, actor, seen): (&Verb, &Actor, Option<&Digest>),
        clusters: &Clusters,
        feed: &Feed,
    ) -> Result<Result<Option<RolloutId>, CommandError>, Error> {
        let now = self.watch.now();
        let Some(slot) = self.slots.get_mut(app) else {
            return Ok(Err(CommandError::NoSuchApp(app.clone())));
        };
        let mut obs = slot.observe(clusters, &self.parts.fleet);
        feed.pour(app, clusters, &mut obs);
        let event = match rollout::command(&slot.state, verb, actor, seen, now, &obs) {
            Ok(event) => event,
            Err(refusal) => return Ok(Err(CommandError::Refused(refusal))),
        };
        let is_new = matches!(verb, Verb::Start | Verb::Restart | Verb::Rollback);
        let active = slot.state.active.as_ref().map(|rollout| rollout.id);
        let about = active.filter(|_| !is_new);
        let mut state = Arc::clone(&slot.state);
        step(&mut state, &event, now, &obs);
        match append(&self.parts.log, self.parts.lease, slot, &[event]) {
            Ok(()) => slot.state = state,
            Err(Error::Store(store::Error::Io(error))) => {
                self.reload(app)?;
                return Ok(Err(CommandError::Disk(error.to_string())));
            }
            Err(other) => return Err(other),
        }
        Ok(Ok(about))
    }

    /// After a failed write nobody knows what reached the disk: read it again.
    fn reload(&mut self, app: &AppName) -> Result<(), Error> {
        let fresh = load(&self.parts.log, app)?;
        if let Some(slot) = self.slots.get_mut(app) {
            slot.state = fresh.state;
            slot.next_seq = fresh.next_seq;
        }
        Ok(())
    }

    fn feed(&mut self) -> Feed {
        let now = self.watch.now();
        Feed::new(&self.parts.registry, &self.parts.fleet, &self.slots, now)
    }
}

/// Remembers one decision. In debug builds the laws are checked first.
fn step(state: &mut Arc<rollout::App>, event: &Event, now: Now, obs: &rollout::Obs) {
    let before = cfg!(debug_assertions).then(|| Arc::clone(state));
    telemetry::event(state, event);
    Arc::make_mut(state).apply(event);
    if let Some(before) = before {
        let broken = rollout::check::violations(&before, event, state, now, obs);
        if !broken.is_empty() {
            tracing::error!(?broken, ?event, "a decision breaks a law");
        }
        debug_assert!(broken.is_empty(), "a decision breaks a law: {broken:?}");
    }
}

fn append(log: &Log, lease: LeaseEpoch, slot: &mut Slot, events: &[Event]) -> Result<(), Error> {
    let app = slot.state.name.clone();
    let mut rows = Vec::with_capacity(events.len());
    for (event, seq) in events.iter().zip(slot.next_seq..) {
        let bytes = serde_json::to_vec(event).map_err(|e| Error::Event {
            app: app.clone(),
            seq,
            why: e.to_string(),
        })?;
        rows.push(bytes);
    }
    log.append_all(&app, slot.next_seq, lease, &rows)?;
    slot.next_seq += rows.len() as u64;
    Ok(())
}

/// Keeps the fold when a multiple of [`SNAPSHOT_EVERY`] was passed: an open reads at most that many events.
fn snapshot(log: &Log, lease: LeaseEpoch, slot: &Slot, appended: usize) -> Result<(), Error> {
    let last = slot.next_seq - 1;
    let before = last - appended as u64;
    if last / SNAPSHOT_EVERY == before / SNAPSHOT_EVERY {
        return Ok(());
    }
    let app = &slot.state.name;
    let bytes = serde_json::to_vec(&*slot.state).map_err(|e| Error::Event {
        app: app.clone(),
        seq: last,
        why: e.to_string(),
    })?;
    Ok(log.snapshot(app, last, lease, &bytes)?)
}

fn load(log: &Log, app: &AppName) -> Result<Slot, Error> {
    let fault =
        |seq, why: serde_json::Error| Error::Event { app: app.clone(), seq, why: why.to_string() };
    let loaded = log.load(app)?;
    let next_seq = loaded.last() + 1;
    let mut state = match loaded.snapshot {
        None => rollout::App::new(app.clone()),
        Some((seq, bytes)) => serde_json::from_slice(&bytes).map_err(|e| fault(seq, e))?,
    };
    for (seq, bytes) in loaded.events {
        let event: Event = serde_json::from_slice(&bytes).map_err(|e| fault(seq, e))?;
        state.apply(&event);
    }
    let mut slot = Slot::new(state, next_seq);
    slot.learn_revisions();
    Ok(slot)
}

/// Removes content that no App refers to. Before anything is rendered: nobody else puts content.
fn sweep(content: &Content, slots: &BTreeMap<AppName, Slot>) {
    let mut manifests = BTreeSet::from([rollout::tombstone()]);
    manifests.extend(slots.values().flat_map(|slot| slot.state.manifests()));
    match content.sweep(&manifests) {
        Ok(Swept { files: 0, .. }) => {}
        Ok(Swept { files, bytes }) => {
            tracing::info!(files, bytes, "content of old releases is removed");
        }
        Err(error) => tracing::warn!(%error, "no content of old releases is removed"),
    }
}

fn gone(slot: &mut Slot, why: &str) {
    let message = format!("{why}; clusters keep what they run");
    slot.offer.candidate = None;
    slot.offer.fault = Some(Status::because(Reason::AppRemoved, message));
}

fn content_fault(error: &content::Error) -> Status {
    Status::because(Reason::DiskFull, format!("rendered objects cannot be stored: {error}"))
}

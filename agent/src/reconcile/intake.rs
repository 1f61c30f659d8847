//! From a directive to a grant that is held: judge, fetch, verify, store, tell.
//!
//! Runs beside the reconciling of the same App, so that a slow hub never holds up the repair of drift.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{AppName, Choices, Digest, Directive, Grant, Reason};
use plan::accept::{Decision, Stored, accept};
use proto::convert::GrantOptions;
use proto::limits::PULL_OBJECTS_MAX;
use proto::v1::TraceContext;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::Shared;
use crate::clock;
use crate::link::{Heard, PullError};
use crate::state::{Held, Options, Pack, of_release};

/// First bound of the pauses between tries to fetch or store; doubles, with jitter.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Last bound.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Objects that are kept from a fetch that broke off, in bytes.
const PARTIAL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One App's door.
pub(super) struct Intake {
    pub(super) app: AppName,
    pub(super) shared: Arc<Shared>,
    /// The newest directive; older ones do not matter.
    pub(super) heard: watch::Receiver<Option<Heard>>,
    /// What is held.
    pub(super) held: watch::Sender<Held>,
    /// From fetches that did not end.
    pub(super) partial: BTreeMap<Digest, Bytes>,
}

impl Intake {
    /// Runs until the agent stops.
    pub(super) async fn run(mut self) {
        while self.heard.changed().await.is_ok() {
            let mut next = self.heard.borrow_and_update().clone();
            while let Some(heard) = next.take() {
                next = self.follow(heard).await;
            }
        }
    }

    /// Follows one directive; another one that came meanwhile is returned.
    async fn follow(&mut self, heard: Heard) -> Option<Heard> {
        let held = self.held.borrow().clone();
        let directive = heard.directed.directive;
        match accept(&held.stored, heard.hub_term, &directive) {
            Decision::Accept(stored) => {
                let Directive::Grant(grant) = directive else { return None };
                return self.accept(heard, grant, stored).await;
            }
            Decision::Fenced(stored) => {
                tracing::info!(app = %self.app, fence = %stored.fence, "fenced");
                return self.store_until(heard, Held { stored, ..held }).await;
            }
            Decision::NoOp(stored) => {
                let mut next = Held { stored, ..held.clone() };
                if matches!(directive, Directive::Grant(_)) {
                    // The same grant may come with a gate that a person lifted since.
                    let Options { traceparent, parting, .. } = held.options.clone();
                    let said = options(&heard.directed.options, None);
                    next.options = Options { traceparent, parting, ..said };
                }
                if next != held {
                    return self.store_until(heard, next).await;
                }
            }
            Decision::Refuse(reason) => {
                let (epoch, message) = (held.stored.epoch, reason.next_step().to_owned());
                tracing::error!(app = %self.app, %reason, ?directive, "refused a directive");
                self.shared.board.refuse(&self.app, epoch, reason, message);
            }
            Decision::Stale => {
                tracing::debug!(app = %self.app, ?directive, "a directive of the past");
                self.shared.board.hold(&self.app, &held);
            }
        }
        None
    }

    /// Fetches and stores, unless something newer is said meanwhile.
    async fn accept(&mut self, heard: Heard, grant: Grant, stored: Stored) -> Option<Heard> {
        let options = &heard.directed.options;
        let trace = heard.directed.trace.clone();
        let span = tracing::info_span!(
            "fetch", otel.name = format!("fetch {}", self.app), app = %self.app, epoch = %grant.epoch
        );
        crate::telemetry::continue_from(&span, trace.as_ref());
        tracing::info!(
            app = %self.app, epoch = %grant.epoch, digest = grant.digest.short(),
            revision = options.revision, "granted"
        );
        let start_within = options.start_within;
        let late = late(start_within);
        tokio::pin!(late);
        let mut partial = std::mem::take(&mut self.partial);
        let fetched = {
            let fetch = fetch(&self.shared, &self.app, grant.digest, trace.clone(), &mut partial)
                .instrument(span);
            tokio::select! {
                pack = fetch => Ok(pack),
                () = &mut late => Err(None),
                newer = newer(&mut self.heard, &heard) => Err(newer),
            }
        };
        match fetched {
            Ok(pack) => {
                let parting = self.parting(&pack).await;
                let options = Options { parting, ..self::options(options, trace) };
                tokio::select! {
                    newer = self.keep(heard, &pack, Held { stored, options }) => newer,
                    () = &mut late => {
                        tracing::warn!(app = %self.app, epoch = %grant.epoch, "not stored in time");
                        None
                    }
                }
            }
            Err(newer) => {
                if newer.is_none() {
                    tracing::warn!(
                        app = %self.app, epoch = %grant.epoch,
                        "the grant could not be started in time and is left until the hub repeats it"
                    );
                }
                if partial.values().map(Bytes::len).sum::<usize>() <= PARTIAL_BYTES_MAX {
                    self.partial = partial;
                }
                newer
            }
        }
    }

    /// What the release before chose, when `pack` takes the App away.
    async fn parting(&self, pack: &Pack) -> String {
        if !pack.manifest.entries().is_empty() {
            return String::new();
        }
        let held = self.held.borrow().clone();
        let Some(before) = held.stored.digest else { return String::new() };
        let before = match self.shared.state.content(&before).await {
            Ok(Some(before)) if !before.manifest.entries().is_empty() => before,
            Ok(Some(_)) => return held.options.parting,
            Ok(None) | Err(_) => return String::new(),
        };
        let choices = of_release(&before).unwrap_or_default();
        if choices == Choices::default() {
            return String::new();
        }
        serde_json::to_string(&choices).unwrap_or_default()
    }

    /// Content first, then the grant that needs it. A full disk leaves both as they were.
    async fn keep(&mut self, heard: Heard, pack: &Pack, held: Held) -> Option<Heard> {
        let mut pause = PAUSE_MIN;
        loop {
            let stored = {
                let _turn = self.shared.content.lock().await;
                let stored = match self.shared.state.keep(pack).await {
                    Ok(()) => self.shared.state.hold(&self.app, &held).await,
                    Err(fault) => Err(fault),
                };
                if stored.is_ok() {
                    self.shared.board.hold(&self.app, &held);
                }
                // Old content goes once nothing refers to it; that also makes room after a failure.
                let needed = self.shared.board.digests();
                if let Err(fault) = self.shared.state.collect(&needed).await {
                    tracing::debug!(fault = crate::fault::causes(&fault), "old content stays");
                }
                stored
            };
            match stored {
                Ok(()) => {
                    self.held.send_replace(held);
                    return None;
                }
                Err(fault) => self.unwritable(&heard, &fault),
            }
            tokio::select! {
                () = tokio::time::sleep(clock::between(PAUSE_MIN, pause)) => {}
                newer = newer(&mut self.heard, &heard) => return newer,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Stores what needs no content.
    async fn store_until(&mut self, heard: Heard, held: Held) -> Option<Heard> {
        let mut pause = PAUSE_MIN;
        loop {
            match self.shared.state.hold(&self.app, &held).await {
                Ok(()) => {
                    self.shared.board.hold(&self.app, &held);
                    self.held.send_replace(held);
                    return None;
                }
                Err(fault) => self.unwritable(&heard, &fault),
            }
            tokio::select! {
                () = tokio::time::sleep(clock::between(PAUSE_MIN, pause)) => {}
                newer = newer(&mut self.heard, &heard) => return newer,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn unwritable(&self, heard: &Heard, fault: &crate::state::Error) {
        let reason = Reason::AgentStateUnwritable;
        let message = crate::fault::causes(fault);
        tracing::error!(app = %self.app, %reason, fault = message, "{}", reason.next_step());
        let epoch = match heard.directed.directive {
            Directive::Grant(grant) => grant.epoch,
            Directive::Fence(epoch) => epoch,
            Directive::Hold => self.held.borrow().stored.epoch,
        };
        self.shared.board.refuse(&self.app, epoch, reason, message);
    }
}

fn options(options: &GrantOptions, trace: Option<TraceContext>) -> Options {
    Options {
        revision: options.revision.clone(),
        drift: options.drift.clone(),
        allow: options.allow.iter().cloned().collect(),
        traceparent: trace.map(|t| t.traceparent).unwrap_or_default(),
        choices: String::from_utf8_lossy(&options.choices).into_owned(),
        parting: String::new(),
    }
}

/// Resolves when something else than `than` is said.
async fn newer(heard: &mut watch::Receiver<Option<Heard>>, than: &Heard) -> Option<Heard> {
    loop {
        if heard.changed().await.is_err() {
            // The agent is stopping; the task is about to be dropped.
            std::future::pending::<()>().await;
        }
        let now = heard.borrow_and_update().clone();
        let same = now.as_ref().is_some_and(|n| {
            n.hub_term == than.hub_term && n.directed.directive == than.directed.directive
        });
        if !same {
            return now;
        }
    }
}

async fn late(start_within: Duration) {
    if start_within.is_zero() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(start_within).await;
}

/// Fetches the manifest and what is missing of it, for as long as it takes. `partial` keeps what came.
async fn fetch(
    shared: &Shared,
    app: &AppName,
    digest: Digest,
    trace: Option<TraceContext>,
    partial: &mut BTreeMap<Digest, Bytes>,
) -> Pack {
    let mut pause = PAUSE_MIN;
    loop {
        match fetch_once(shared, app, digest, trace.clone(), partial).await {
            Ok(pack) => return pack,
            Err(fault) => {
                tracing::warn!(%app, digest = digest.short(), fault = crate::fault::causes(&fault), "not fetched yet");
                tokio::time::sleep(clock::between(PAUSE_MIN / 2, pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn fetch_once(
    shared: &Shared,
    app: &AppName,
    digest: Digest,
    trace: Option<TraceContext>,
    partial: &mut BTreeMap<Digest, Bytes>,
) -> Result<Pack, PullError> {
    match shared.state.content(&digest).await {
        Ok(Some(pack)) => return Ok(pack),
        Ok(None) => {}
        Err(fault) => {
            tracing::warn!(fault = crate::fault::causes(&fault), "stored content is fetched again");
        }
    }
    // What the present release already has is not sent again.
    let present = match shared.board.stored(app).and_then(|stored| stored.digest) {
        Some(present) => shared.state.content(&present).await.ok().flatten(),
        None => None,
    };
    let release = if partial.is_empty() {
        let base = present.as_ref().map(|pack| &pack.manifest);
        shared.puller.release(app, &digest, base, trace.clone()).await?
    } else {
        // Some of it came before the last try broke off.
        shared.puller.manifest(app, &digest, trace.clone()).await?
    };
    let manifest = release.manifest;
    partial.extend(release.objects);
    if let Some(present) = present {
        for digest in Pack::missing(&manifest, partial) {
            if let Some(bytes) = present.object(&digest) {
                partial.insert(digest, bytes.clone());
            }
        }
    }
    loop {
        let missing = Pack::missing(&manifest, partial);
        if missing.is_empty() {
            break;
        }
        let wanted = &missing[..missing.len().min(PULL_OBJECTS_MAX)];
        let came = shared.puller.objects(app, &digest, wanted, trace.clone()).await?;
        if came.is_empty() {
            return Err(PullError::Broken("the hub lacks objects of its own release".to_owned()));
        }
        partial.extend(came);
    }
    Pack::new(manifest, &std::mem::take(partial)).map_err(PullError::Corrupt)
}

//! Tells forges what became of commits: one status for each (commit, App), "wave 2/3, 51/60 ready".
//!
//! ```text
//!   engine's board ──> words ──> outbox (durable) ──> send ──> forge
//!                                   └─> why: what could not be told
//! ```
//!
//! Bounded: `SENDING_MAX` requests at once, a pause between two words about one commit, doubled pauses after failures,
//! an end to tries. Whoever cannot be told holds up nothing else.
//!
//! Deliberately absent: any decision, and reading anything back from a forge.

mod send;
mod outbox;
mod words;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use model::{AppName, LeaseEpoch, Reason, Status};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    engine::Handle,
    registry::Registry,
    source::Sources,
    store::{self, Store},
};
use outbox::{Outbox, Row, Verdict};

/// Requests under way at once, over all forges.
const SENDING_MAX: usize = 8;

/// Longest time between two looks for what is due.
const LOOK: Duration = Duration::from_secs(1);

/// Pause between two words about one commit, in looks at Git: with 2 s these are 10 s.
const QUIET_LOOKS: u32 = 5;

/// What was told and what could not be; cheap to clone.
#[derive(Debug, Clone)]
pub struct Told(Arc<Outbox>);

/// What the forges are told by.
#[derive(Debug)]
pub struct Parts {
    /// The driver.
    pub engine: Handle,
    /// Which sources there are.
    pub registry: Registry,
    /// The way to their forges.
    pub sources: Sources,
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// The lease under which this hub writes.
    pub lease: LeaseEpoch,
    /// Time.
    pub clock: Clock,
    /// Pause between two looks at Git.
    pub poll: Duration,
}

impl Told {
    /// Why the newest commit of an App is not told to its forge; nothing when it is, or will be shortly.
    pub fn trouble(&self, app: &AppName) -> Option<(String, Status)> {
        let row = self.0.newest(app)?;
        let error = row.error.as_ref()?;
        let subject = format!("commit status {}", row.commit.short());
        let message = if row.gave_up {
            format!("given up after {} tries: {error}", row.tries)
        } else {
            format!("not told yet: {error}")
        };
        Some((subject, Status::because(Reason::StatusNotTold, message).since(row.since)))
    }
}

/// Begins to tell, until `shutdown`.
pub fn start(parts: Parts, shutdown: CancellationToken) -> Result<Told, store::Error> {
    let quiet = parts.poll * QUIET_LOOKS;
    let outbox = Arc::new(Outbox::open(Arc::clone(&parts.store), parts.lease, quiet)?);
    let told = Told(Arc::clone(&outbox));
    tokio::spawn(async move {
        let mut changed = parts.engine.changed();
        let mut sending: JoinSet<()> = JoinSet::new();
        loop {
            gather(&parts, &outbox).await;
            // What was begun comes to its end before the next look: a row is never sent twice at one time.
            for row in outbox.due(parts.clock.now()) {
                while sending.len() >= SENDING_MAX {
                    sending.join_next().await;
                }
                send_one(&parts, &outbox, row, &mut sending);
            }
            while sending.join_next().await.is_some() {}
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            // Reports come in bursts.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(parts.poll.min(LOOK)) => {}
            }
        }
    });
    Ok(told)
}

/// Takes what is to be said now.
async fn gather(parts: &Parts, outbox: &Arc<Outbox>) {
    let sources = parts.registry.sources();
    let published = parts.engine.published();
    let (outbox, now) = (Arc::clone(outbox), parts.clock.now());
    let taken = tokio::task::spawn_blocking(move || {
        let tells =
            |name: &model::SourceName| sources.get(name).is_some_and(|s| s.commit_status.is_some());
        outbox.keep(tells)?;
        for app in published.apps.values() {
            if let Some(source) = app.source.as_ref().filter(|source| tells(source)) {
                outbox.take(source, &app.name, words::words(app), now)?;
            }
        }
        Ok::<_, store::Error>(())
    });
    match taken.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "commit statuses cannot be kept"),
        Err(error) => tracing::error!(%error, "gathering commit statuses panicked"),
    }
}

fn send_one(parts: &Parts, outbox: &Arc<Outbox>, row: Row, sending: &mut JoinSet<()>) {
    let (outbox, clock) = (Arc::clone(outbox), parts.clock.clone());
    let Some(caller) = parts.sources.caller(&row.source) else { return };
    sending.spawn(async move {
        let now: Timestamp = clock.now();
        let answer = send::send(&caller, &row, now).await;
        let judged = send::judge(&answer);
        if judged != Verdict::Taken {
            let forge = caller.forge().name();
            tracing::warn!(source = %row.source, app = %row.app, commit = %row.commit.short(), forge,
                code = answer.code, words = %answer.words, "a commit status was not taken");
        }
        let now = clock.now();
        let kept = tokio::task::spawn_blocking(move || outbox.done(&row, &answer, judged, now));
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "a commit status cannot be kept");
        }
    });
}

//! The life of one source: look, remember, wait.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Next, Reason, Status};
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    Followed, Look, Snapshot, SourceLimits,
    delay::{self, dice},
    fault::Fault,
    follower::Follower,
    lock,
};
use crate::clock::Clock;

/// All that following one source needs.
pub(super) struct Poll {
    pub(super) follower: Follower,
    pub(super) state: Arc<Mutex<Followed>>,
    pub(super) poke: Arc<Notify>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) clock: Clock,
    pub(super) limits: SourceLimits,
    pub(super) changed: watch::Sender<u64>,
}

impl Poll {
    /// Runs until it is aborted.
    pub(super) async fn run(self) {
        let follower = self.follower.clone();
        // What was fetched before a restart is served before the remote answers, or if it never does.
        let stored = {
            let follower = follower.clone();
            tokio::task::spawn_blocking(move || follower.stored()).await
        };
        match stored {
            Ok(Ok(Some(snapshot))) => self.keep(snapshot),
            Ok(Ok(None)) => {}
            Ok(Err(fault)) => {
                tracing::warn!(source = %follower.name(), %fault, "mirror is unusable");
            }
            Err(error) => {
                tracing::error!(source = %follower.name(), %error, "reading a mirror panicked");
            }
        }
        let mut failures = 0_u32;
        let interval = follower.interval(&self.limits);
        loop {
            let (pause, asked) = match self.look(&follower).await {
                Ok(look) => {
                    failures = 0;
                    self.good(look);
                    // A tenth of jitter, so that many sources spread over the interval.
                    let tenth = u64::try_from(interval.as_millis() / 10).unwrap_or(0);
                    let pause = interval + Duration::from_millis(dice() % (tenth + 1));
                    (pause, Duration::ZERO)
                }
                Err(fault) => {
                    failures = failures.saturating_add(1);
                    let pause = delay::pause(failures, self.limits.backoff_max, dice());
                    let asked = fault.pause.unwrap_or_default();
                    let pause = pause.max(interval).max(asked);
                    self.bad(&fault, pause);
                    (pause, asked)
                }
            };
            // A poke ends our own pause, never the one that the server asked for.
            tokio::time::sleep(asked).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(asked)) => {}
                () = self.poke.notified() => {}
            }
        }
    }

    async fn look(&self, follower: &Follower) -> Result<Look, Fault> {
        // First the turn at this remote: who waits for it must not keep others from theirs.
        let turn = match follower.turn() {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        let permit = self.permits.clone().acquire_owned().await;
        let (follower, stop) = (follower.clone(), self.stop.clone());
        let have = lock(&self.state).snapshot.clone();
        let work = tokio::task::spawn_blocking(move || {
            let look = follower.look(have.as_ref(), &stop);
            drop((permit, turn));
            look
        });
        work.await.unwrap_or_else(|error| {
            Err(Fault::new(Reason::Internal, format!("the look at the remote panicked: {error}")))
        })
    }

    fn good(&self, look: Look) {
        let now = self.clock.now();
        // Before the revision, so that nobody sees it without the warning.
        if let Some(rewritten) = look.rewritten {
            tracing::warn!(source = %self.follower.name(), "{rewritten}");
            lock(&self.state).status.rewritten = Some((now, rewritten));
        }
        if let Some(snapshot) = look.snapshot {
            tracing::info!(source = %self.follower.name(), revision = %snapshot.revision, "fetched");
            self.keep(snapshot);
        }
        let mut state = lock(&self.state);
        state.status.looks += 1;
        state.status.fetches += u64::from(look.fetched);
        state.status.fetched_at = Some(now);
        let Some(revision) = state.status.revision.clone() else { return };
        let ready = Status::ready(format!("follows {}", revision.reference));
        if state.status.state.reason().is_some() {
            state.status.state = ready.since(now);
            drop(state);
            self.tell();
        }
    }

    fn bad(&self, fault: &Fault, pause: Duration) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.status.looks += 1;
        let before = &state.status.state;
        let news = before.reason() != Some(fault.reason) || before.message() != fault.message;
        let since = if news { Some(now) } else { before.since };
        let mut status = Status::because(fault.reason, fault.message.clone());
        status.since = since;
        let at = now.checked_add(pause).ok();
        let next = Next { what: "looks at the remote again".to_owned(), at, provided: None };
        state.status.state = status.next(next);
        drop(state);
        if news && !self.stop.load(Ordering::Relaxed) {
            let name = self.follower.name();
            tracing::warn!(source = %name, reason = %fault.reason, %fault, "source failed");
            self.tell();
        }
    }

    fn keep(&self, snapshot: Snapshot) {
        let mut state = lock(&self.state);
        state.status.revision = Some(snapshot.revision.clone());
        state.status.commit_author.clone_from(&snapshot.author);
        state.status.commit_subject = Some(snapshot.subject.clone());
        let vouchers: Vec<_> = snapshot.signed_by.iter().map(ToString::to_string).collect();
        state.status.signed_by = (!vouchers.is_empty()).then(|| vouchers.join(", "));
        state.snapshot = Some(snapshot);
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

//! What there is to tell the hub: per App the newest view, and the newest refusal.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{AppName, Digest, Epoch, LeaseEpoch, Phase, Reason, Report};
use plan::Tracker;
use plan::accept::Stored;
use proto::convert::{Held, Reported, options_mark};
use proto::v1::{Facts, Refused, TraceContext};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::state;

/// While durations are evidence that a rollout waits for, they are told this often: the hub never
/// extrapolates.
const TELL_OFTEN: Duration = Duration::from_secs(2);
/// Afterwards they are told in place of a heartbeat.
const TELL_SELDOM: Duration = Duration::from_secs(18);
/// Evidence older than this changes no wave that is still open.
const SETTLED: Duration = Duration::from_mins(10);
/// Apps of one cluster. Each costs a task, a tracker and an inventory, some 10 kB.
pub(super) const APPS_MAX: usize = 1000;

#[derive(Debug)]
struct Slot {
    stored: Stored,
    /// Of the grant's options.
    mark: NonZeroU32,
    tracker: Tracker,
    trace: Option<TraceContext>,
    /// Something changed since it was told.
    news: bool,
    /// When to tell it again though nothing changed.
    again: Option<Duration>,
    refused: Option<(Epoch, Reason, String)>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: BTreeMap<AppName, Slot>,
    seq: u64,
    heard: LeaseEpoch,
    /// About the cluster, as JSON.
    facts: Option<Vec<u8>>,
    /// They were not told yet.
    facts_news: bool,
}

/// Shared by the Apps, who write, and the session, which reads.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    moved: Notify,
    clock: Clock,
    boot: u64,
}

impl Board {
    /// Empty, for the start number `boot`.
    pub fn new(boot: u64, clock: Clock) -> Board {
        Board { inner: Mutex::default(), moved: Notify::new(), clock, boot }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an App holds. Call it after it was stored durably, never before: what is told is promised.
    pub fn hold(&self, app: &AppName, held: &state::Held) {
        let (stored, options) = (held.stored, &held.options);
        let allow = options.allow.iter().map(String::as_str);
        let mark = options_mark(&options.drift, allow, options.choices.as_bytes());
        let mut inner = self.lock();
        inner.heard = inner.heard.max(stored.hub_term);
        let slot = inner.slots.entry(app.clone()).or_insert_with(|| Slot {
            stored,
            mark,
            tracker: Tracker::new(),
            trace: None,
            news: true,
            again: None,
            refused: None,
        });
        slot.news |= slot.stored != stored || slot.mark != mark;
        (slot.stored, slot.mark) = (stored, mark);
        drop(inner);
        self.moved.notify_one();
    }

    /// Takes what an App sees.
    pub fn see(&self, app: &AppName, tracker: &Tracker, trace: Option<TraceContext>) {
        if let Some(slot) = self.lock().slots.get_mut(app) {
            slot.tracker = tracker.clone();
            slot.trace = trace;
            slot.news = true;
        }
        self.moved.notify_one();
    }

    /// Notes that a directive was not followed.
    pub fn refuse(&self, app: &AppName, epoch: Epoch, reason: Reason, message: String) {
        if !self.lock().slots.contains_key(app) {
            self.hold(app, &state::Held::default());
        }
        if let Some(slot) = self.lock().slots.get_mut(app) {
            slot.refused = Some((epoch, reason, message));
        }
        self.moved.notify_one();
    }

    /// Takes what is known about the cluster.
    pub fn learn(&self, facts: Vec<u8>) {
        let mut inner = self.lock();
        inner.facts_news |= inner.facts.as_ref() != Some(&facts);
        inner.facts = Some(facts);
        drop(inner);
        self.moved.notify_one();
    }

    /// What is known about the cluster, if it was not told yet.
    pub(super) fn facts(&self) -> Option<Facts> {
        let mut inner = self.lock();
        let json = inner.facts.clone().filter(|_| inner.facts_news)?;
        inner.facts_news = false;
        Some(Facts { json })
    }

    /// What an App holds.
    pub fn stored(&self, app: &AppName) -> Option<Stored> {
        self.lock().slots.get(app).map(|slot| slot.stored)
    }

    /// Whether one more App may come.
    pub fn has_room(&self, app: &AppName) -> bool {
        let inner = self.lock();
        inner.slots.contains_key(app) || inner.slots.len() < APPS_MAX
    }

    /// Content that is needed.
    pub fn digests(&self) -> std::collections::BTreeSet<Digest> {
        self.lock().slots.values().filter_map(|slot| slot.stored.digest).collect()
    }

    /// Highest hub term ever obeyed.
    pub fn hub_term(&self) -> LeaseEpoch {
        self.lock().heard
    }

    /// Notes a hub's term; whether it is not older than one heard before.
    pub(super) fn hear(&self, term: LeaseEpoch) -> bool {
        let mut inner = self.lock();
        let newer = term >= inner.heard;
        inner.heard = inner.heard.max(term);
        newer
    }

    /// Everything that is held.
    pub(super) fn held(&self) -> Held {
        let inner = self.lock();
        let of = |s: &Stored| (s.epoch, s.digest, s.fence);
        inner.slots.iter().map(|(app, slot)| (app.clone(), of(&slot.stored))).collect()
    }

    /// Everything is to be told again.
    pub(super) fn all_is_news(&self) {
        let mut inner = self.lock();
        inner.facts_news = true;
        for slot in inner.slots.values_mut() {
            slot.news = true;
        }
        drop(inner);
        self.moved.notify_one();
    }

    /// Waits until something may be worth telling.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// The next report that is due, if any.
    pub(super) fn due(&self) -> Option<Reported> {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        let inner = &mut *inner;
        for (app, slot) in &mut inner.slots {
            // A debounce that has run out is news too.
            let turned = slot.tracker.wake_in(now) == Some(Duration::ZERO);
            if !slot.news && !turned && slot.again.is_some_and(|due| now < due) {
                continue;
            }
            let fence = slot.stored.fence;
            let mut report = slot.tracker.report(now, self.boot, inner.seq + 1, fence);
            if report.epoch != slot.stored.epoch {
                // Accepted and not yet begun: the promise counts, what was seen before does not.
                report = fresh(&slot.stored, self.boot, inner.seq + 1);
            }
            inner.seq += 1;
            slot.news = false;
            slot.again = Some(now + if settled(&report) { TELL_SELDOM } else { TELL_OFTEN });
            let (trace, options) = (slot.trace.clone(), Some(slot.mark));
            return Some(Reported { app: app.clone(), report, trace, options });
        }
        None
    }

    /// The next refusal, if any.
    pub(super) fn refusal(&self) -> Option<Refused> {
        let mut inner = self.lock();
        inner.slots.iter_mut().find_map(|(app, slot)| {
            let (epoch, reason, message) = slot.refused.take()?;
            Some(Refused {
                app: app.to_string(),
                epoch: epoch.0,
                reason: reason.code().to_owned(),
                message: proto::convert::cut(&message, proto::limits::MESSAGE_BYTES_MAX).to_owned(),
            })
        })
    }
}

/// Whether nobody waits for its durations any more.
fn settled(report: &Report) -> bool {
    match report.phase {
        Phase::Healthy => report.healthy_for >= SETTLED,
        Phase::Degraded { .. } | Phase::Failed { .. } => report.bad_for >= SETTLED,
        Phase::Applying => report.epoch == Epoch::NONE,
    }
}

/// The view of a grant of which nothing was seen yet.
fn fresh(stored: &Stored, boot: u64, seq: u64) -> Report {
    Report {
        boot,
        seq,
        epoch: stored.epoch,
        digest: stored.digest,
        fence: stored.fence,
        phase: Phase::Applying,
        healthy_for: Duration::ZERO,
        bad_for: Duration::ZERO,
        applying_for: Duration::ZERO,
        objects_total: 0,
        objects_healthy: 0,
        drifted: 0,
        unhealthy: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn held(stored: Stored) -> state::Held {
        state::Held { stored, ..state::Held::default() }
    }

    #[test]
    fn of_each_app_only_the_newest_waits_and_each_is_told_once() {
        let board = Board::new(3, Clock::system());
        for epoch in 1..=100 {
            board.hold(&app("web"), &held(Stored { epoch: Epoch(epoch), ..Stored::default() }));
        }
        board.hold(&app("db"), &held(Stored { fence: Epoch(4), ..Stored::default() }));
        let first = board.due().unwrap();
        assert_eq!(
            (first.app.as_str(), first.report.fence, first.report.boot),
            ("db", Epoch(4), 3)
        );
        let second = board.due().unwrap();
        assert_eq!((second.app.as_str(), second.report.epoch), ("web", Epoch(100)));
        assert!(second.report.seq > first.report.seq);
        assert!(board.due().is_none());
        board.all_is_news();
        assert_eq!(std::iter::from_fn(|| board.due()).count(), 2);
    }

    #[test]
    fn an_older_hub_is_noticed() {
        let board = Board::new(1, Clock::system());
        let stored = Stored { hub_term: LeaseEpoch(7), ..Stored::default() };
        board.hold(&app("web"), &held(stored));
        assert!(!board.hear(LeaseEpoch(6)));
        assert!(board.hear(LeaseEpoch(7)));
    }
}

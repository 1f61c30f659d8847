//! One App in this cluster: a task with a mailbox that says "something moved".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{AppName, Health, ObjectKey};
use plan::{FightDetector, Inventory, Tracker, Verdict};
use proto::v1::TraceContext;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Shared;
use super::refusals::Refusals;
use super::report::Acted;
use super::schedule::Pauses;
use super::stage::Ledger;
use super::stuck::Pods;
use super::validate::Release;
use crate::state::Held;

/// Events that come within this time are answered together. Far below the two seconds in which drift must be
/// corrected, and long enough for the burst that one change makes.
const GATHER: Duration = Duration::from_millis(100);
/// A release that nothing happened to for so long is dropped from memory and read again when needed.
const RELEASE_IDLE: Duration = Duration::from_secs(30);

/// One App.
pub(super) struct App {
    pub(super) name: AppName,
    pub(super) shared: Arc<Shared>,
    pub(super) held: watch::Receiver<Held>,
    pub(super) moved: Arc<Notify>,
    pub(super) memory: Memory,
}

/// What an App remembers between rounds.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) tracker: Tracker,
    pub(super) inventory: Inventory,
    /// As last stored.
    pub(super) stored: Inventory,
    pub(super) release: Option<Release>,
    pub(super) fights: FightDetector,
    pub(super) pods: Pods,
    pub(super) drifted: u32,
    /// Objects whose drift is reported and not corrected, so that each counts once.
    pub(super) reported: std::collections::BTreeSet<ObjectKey>,
    pub(super) trace: Option<TraceContext>,
    pub(super) pauses: Pauses,
    pub(super) refusals: Refusals,
    /// The inventory is gone or not believed, and not yet made again from what the cluster shows.
    pub(super) lost: bool,
}

impl App {
    /// Reads what was applied before. An inventory that was tampered with is not believed: nothing is deleted
    /// on its word, and what carries our marks is taken up again.
    pub(super) async fn open(
        name: AppName,
        shared: Arc<Shared>,
        held: watch::Receiver<Held>,
    ) -> App {
        let began = held.borrow().stored.digest.is_some();
        let (inventory, lost) = match shared.state.inventory(&name).await {
            Ok(Some(inventory)) => (inventory, false),
            Ok(None) => (Inventory::new(name.clone()), began),
            Err(fault) => {
                tracing::error!(app = %name, fault = crate::fault::causes(&fault), "inventory not believed");
                (Inventory::new(name.clone()), true)
            }
        };
        let memory = Memory {
            tracker: Tracker::new(),
            stored: inventory.clone(),
            inventory,
            release: None,
            fights: FightDetector::new(),
            pods: Pods::default(),
            drifted: 0,
            reported: std::collections::BTreeSet::new(),
            trace: None,
            pauses: Pauses::default(),
            refusals: Refusals::default(),
            lost,
        };
        App { name, shared, held, moved: Arc::new(Notify::new()), memory }
    }

    /// Runs until the agent stops.
    pub(super) async fn run(mut self) {
        let mut kinds = self.shared.cluster.kinds_changed();
        loop {
            let held = self.held.borrow_and_update().clone();
            let wake = self.look(&held).await;
            if !self.rest(wake, &mut kinds).await {
                return;
            }
        }
    }

    /// Waits until something moves or `wake` has passed. False when the agent stops.
    async fn rest(&mut self, wake: Option<Duration>, kinds: &mut watch::Receiver<u64>) -> bool {
        let now = Instant::now();
        let wake = wake.map(|wake| now + wake);
        let mut idle = self.memory.release.is_some().then_some(now + RELEASE_IDLE);
        loop {
            let due = wake.into_iter().chain(idle).min();
            let alarm = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.held.changed() => {
                    self.memory.pauses.reset();
                    self.memory.refusals.clear();
                    return changed.is_ok();
                }
                () = self.moved.notified() => {
                    tokio::time::sleep(GATHER).await;
                    return true;
                }
                Ok(()) = kinds.changed() => {
                    self.memory.refusals.clear();
                    return true;
                }
                () = alarm => {
                    if due == wake {
                        return true;
                    }
                    self.memory.release = None;
                    idle = None;
                }
            }
        }
    }

    /// One round, and what it is told as. Returns when the next one is due by itself.
    async fn look(&mut self, held: &Held) -> Option<Duration> {
        let grant = held.grant()?;
        let now = self.shared.clock.elapsed();
        let fresh = self.memory.tracker.report(now, 0, 0, model::Epoch::NONE).epoch != grant.epoch;
        if fresh {
            self.memory.fights.reset();
            self.memory.pods = Pods::default();
            self.memory.drifted = 0;
            self.memory.reported.clear();
            self.shared.metrics.behind(&self.name, true);
        }
        self.memory.tracker.begin(grant, now);
        let span = tracing::info_span!(
            "apply", otel.name = format!("apply {}", self.name), app = %self.name, epoch = %grant.epoch, digest = grant.digest.short(),
            revision = held.options.revision, result = tracing::field::Empty
        );
        if fresh {
            let parent = TraceContext {
                traceparent: held.options.traceparent.clone(),
                tracestate: String::new(),
            };
            crate::telemetry::continue_from(&span, Some(&parent));
            self.memory.trace = crate::telemetry::context_of(&span)
                .or_else(|| (!parent.traceparent.is_empty()).then_some(parent));
        }
        let began = Instant::now();
        let wake = self.round(held, grant).instrument(span).await;
        self.shared.metrics.synced(&self.name, began.elapsed());
        wake
    }

    /// Tells the hub's side and the metrics.
    pub(super) fn tell(&mut self, verdicts: &BTreeMap<ObjectKey, Verdict>, acted: &Acted) {
        let count = |health: Health| {
            let of = verdicts.values().filter(|verdict| verdict.health == health).count();
            u32::try_from(of).unwrap_or(u32::MAX)
        };
        for health in [
            Health::Healthy,
            Health::Suspended,
            Health::Progressing,
            Health::Missing,
            Health::Degraded,
            Health::Unknown,
        ] {
            self.shared.metrics.objects(&self.name, health.as_str(), count(health));
        }
        let done = acted.is_done() && verdicts.values().all(Verdict::is_settled);
        self.shared.metrics.behind(&self.name, !done);
        self.shared.board.see(&self.name, &self.memory.tracker, self.memory.trace.clone());
    }

    /// What acting may change.
    pub(super) fn ledger(memory: &mut Memory) -> Ledger<'_> {
        Ledger {
            inventory: &mut memory.inventory,
            stored: &mut memory.stored,
            corrections: Vec::new(),
            refusals: &mut memory.refusals,
        }
    }
}

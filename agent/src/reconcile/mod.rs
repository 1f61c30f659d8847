//! Makes the cluster what the grants say, and keeps it so.
//!
//! Each App is a task. A round is six steps, and a round may come at any time: whatever woke it, it looks at
//! everything and does what is missing. Steps that use the client are marked.

mod dispatch;

mod app;
mod intake;

mod decide;
mod schedule;

mod act;

mod hooks;
mod needs;
mod prune;

mod recreate;

mod apply;

mod replace;
mod takeover;

mod answer;
mod guard;
mod terminating;

mod stage;

mod tenant;

mod observe;
mod validate;

mod unseal;

mod refusals;

mod report;

mod handover;
mod place;
mod stuck;

mod mirror;

mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Grant, ObjectKey};
use plan::{Action, Verdict};

pub use dispatch::Apps;

use act::act;
use app::App;
use decide::{Wishes, decide};
use mirror::Mirror;
use observe::{labelled, observe};
use report::{Acted, Seen, Trouble, observation, verdicts};
use stage::Stage;
use tenant::{choices, writer};
use validate::{Release, validate};

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::Limits;
use crate::link::{Board, Puller};
use crate::metrics::Metrics;
use crate::state::{Held, State};

/// What all Apps share.
#[derive(Debug)]
pub struct Shared {
    cluster: Cluster,
    state: State,
    board: Arc<Board>,
    puller: Puller,
    metrics: Arc<Metrics>,
    clock: Clock,
    limits: Limits,
    namespace: String,
    default_account: Option<String>,
    sops_age_keys: Option<std::path::PathBuf>,
    handovers: handover::Handovers,
    place: place::Place,
    mirror: Arc<Mirror>,
    /// Held while content and the grant that needs it are written, and while old content is removed.
    content: tokio::sync::Mutex<()>,
}

impl App {
    /// THE SIX STEPS.
    async fn round(&mut self, held: &Held, grant: Grant) -> Option<Duration> {
        let (acted, release) = match self.prepare(grant).await {
            Ok(release) => (self.carry_out(&release, held).await, Some(release)),
            Err(trouble) => (Acted::nothing(trouble), None),
        };
        // 5 report (the pods of what is unwell are asked for: client)
        let mut seen_verdicts = BTreeMap::new();
        let mut pods_due = None;
        if let Some(release) = &release {
            seen_verdicts = verdicts(self.seen(release), &acted);
            pods_due = self.memory.pods.look(&self.shared, &release.desired, &seen_verdicts).await;
            seen_verdicts = verdicts(self.seen(release), &acted);
            self.finish_jobs(&seen_verdicts);
        }
        let scrubber = release.map(|release| release.scrubber).unwrap_or_default();
        let told = observation(&acted, &scrubber, &seen_verdicts, self.memory.drifted);
        let now = self.shared.clock.elapsed();
        self.memory.tracker.observe(told, now);
        self.tell(&seen_verdicts, &acted);
        // 6 schedule
        let others = pods_due.into_iter().chain(self.memory.tracker.wake_in(now));
        self.memory.pauses.next(&acted, &seen_verdicts, &self.memory.fights, others, now)
    }

    /// Discovery, then step 1.
    async fn prepare(&mut self, grant: Grant) -> Result<Release, Trouble> {
        if !self.shared.cluster.kinds().known() {
            let refreshed = self.shared.cluster.refresh_kinds().await;
            refreshed.map_err(|fault| Trouble::unreachable(&fault))?;
        }
        let before = self.memory.release.take();
        let release = match before {
            Some(release) if release.grant == grant => release,
            // 1 validate
            before => {
                let release = validate(&self.shared, &self.name, grant, before).await?;
                self.shared.handovers.note(&self.name, &release.desired);
                release
            }
        };
        self.memory.release = Some(release.clone());
        Ok(release)
    }

    /// Steps 2 to 4.
    async fn carry_out(&mut self, release: &Release, held: &Held) -> Acted {
        let now = self.shared.clock.elapsed();
        let desired = &release.desired;
        // 2 observe (client)
        self.shared.mirror.judge_by(&self.name, &release.rules);
        if let Err(trouble) = self.recover().await {
            return Acted::nothing(trouble);
        }
        let inventory = &self.memory.inventory;
        let observed = observe(&self.shared, &self.name, &self.moved, desired, inventory).await;
        let observed = match observed {
            Ok(observed) => observed,
            Err(trouble) => return Acted::nothing(trouble),
        };
        let confirmed = self.memory.inventory.confirm(&observed.live);
        if confirmed > 0 {
            tracing::info!(app = %self.name, confirmed, "writes of before the restart confirmed");
        }
        // 3 decide
        let choices = match choices(&held.options, release) {
            Ok(choices) => choices,
            Err(trouble) => return Acted::nothing(trouble),
        };
        let wishes = Wishes {
            options: &held.options,
            choices: &choices,
            leaving: self.shared.handovers.leaving(&self.name),
            cluster: self.shared.place.both(&self.shared.cluster, &self.shared.state).await,
        };
        let inventory = &self.memory.inventory;
        let decided = decide(desired, &observed.live, inventory, wishes, &self.memory.fights, now);
        let plan = match decided {
            Ok(plan) => plan,
            Err(trouble) => return Acted::nothing(trouble),
        };
        // 4 act (client)
        let writer = match writer(&self.shared, &choices) {
            Ok(writer) => writer,
            Err(trouble) => return Acted::nothing(trouble),
        };
        let stage = Stage {
            shared: &self.shared,
            writer: &writer,
            app: &self.name,
            release,
            observed: &observed,
            held: &self.held,
            choices: &choices,
            now,
        };
        let mut ledger = App::ledger(&mut self.memory);
        let acted = act(stage, &plan, &mut ledger).await;
        let corrections = ledger.corrections;
        for correction in corrections {
            self.memory.drifted = self.memory.drifted.saturating_add(1);
            let manager = correction.manager.as_deref();
            self.memory.fights.corrected(&correction.key, manager, now);
        }
        for task in plan.tasks().filter(|task| matches!(task.action, Action::Drifted(_))) {
            if self.memory.reported.insert(task.key.clone()) {
                self.memory.drifted = self.memory.drifted.saturating_add(1);
                self.shared.metrics.drifted(&self.name, &task.key.kind);
            }
        }
        if acted.written > 0 {
            tracing::info!(app = %self.name, written = acted.written, done = acted.is_done(), "applied");
        }
        acted
    }

    /// Makes a lost inventory again, from objects with our label, their own id, and our field manager.
    async fn recover(&mut self) -> Result<(), Trouble> {
        if !self.memory.lost {
            return Ok(());
        }
        let observed = labelled(&self.shared, &self.name).await?;
        let version = |group: &str, kind: &str| {
            observed.kinds.any(group, kind).map(|r| r.version.clone()).unwrap_or_default()
        };
        let rebuilt = plan::Inventory::rebuild(self.name.clone(), &observed.live, &version);
        tracing::warn!(app = %self.name, objects = rebuilt.entries().len(), "inventory made again");
        self.memory.inventory = rebuilt;
        App::ledger(&mut self.memory).store(&self.shared).await?;
        self.memory.lost = false;
        Ok(())
    }

    fn seen<'a>(&'a self, release: &'a Release) -> Seen<'a> {
        Seen {
            shared: &self.shared,
            desired: &release.desired,
            scrubber: &release.scrubber,
            fights: &self.memory.fights,
            pods: &self.memory.pods,
        }
    }

    /// A Job that ran to its end may be cleaned up without being made again.
    fn finish_jobs(&mut self, verdicts: &BTreeMap<ObjectKey, Verdict>) {
        for (key, verdict) in verdicts {
            if key.group == "batch" && key.kind == "Job" && *verdict == Verdict::healthy() {
                self.memory.inventory.finish(key);
            }
        }
    }
}

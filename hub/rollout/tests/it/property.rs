//! Random fleets, faults, commits and verbs: the invariants hold after every event, and when faults stop and
//! people answer, every rollout ends.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use model::{ClusterName, Selector, WaveName};
use rollout::{
    Amount, App, Bug, Cause, Event, FailureWhy, Kind, MemberChange, Members, Offline, OnFailure,
    OnNewRelease, Outcome, Retry, StartMode, Strategy, Verb, WaveChange, WaveSettings, WaveSpec,
};

use rollout::sim::{Behaviour, Commitment, Faults, Rng, World, actor, commit_id, digest, uid};

const SECOND: Duration = Duration::from_secs(1);
/// Stories told by `cargo test`; each has a few hundred events.
const RUNS: u64 = 300;
/// More stories on demand: `TIDEGATE_STORIES=5000 cargo test -p rollout`.
fn runs() -> u64 {
    option_env!("TIDEGATE_STORIES").map_or(RUNS, |n| n.parse().unwrap())
}

/// Steps of chaos in one story.
const STEPS: u64 = 250;

#[test]
fn invariants_hold_in_random_stories_and_every_rollout_ends() {
    let mut census: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..runs() {
        let log = tell(seed, None).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        for event in &log {
            *census.entry(kind(event)).or_default() += 1;
        }
    }
    // Stories in which something never happens say nothing about it.
    let rare = KINDS.iter().filter(|kind| census.get(*kind).copied().unwrap_or_default() < 5);
    assert_eq!(rare.collect::<Vec<_>>(), Vec::<&&str>::new(), "of {census:#?}");
    let events: usize = census.values().sum();
    assert!(events > 30_000, "only {events} events: the stories have become dull");
}

/// What must happen in the stories, by [`kind`].
const KINDS: &[&str] = &[
    "head",
    "start",
    "supersede",
    "rollback",
    "begun",
    "granted",
    "granted dark",
    "broken before",
    "acked",
    "fenced",
    "recalled",
    "restored",
    "dark",
    "departed",
    "verifying",
    "updated",
    "agent failed",
    "deadline",
    "dark after grant",
    "degraded",
    "regressed",
    "deferred",
    "requeued",
    "unchanged",
    "opened",
    "wave skipped",
    "proving",
    "reopened",
    "passed",
    "vacuous",
    "paused",
    "halted",
    "rollback failed",
    "timeout",
    "resumed",
    "retried",
    "skipped",
    "completed",
    "rolled back",
    "aborted",
    "nothing to return to",
];

fn kind(event: &Event) -> &'static str {
    match event {
        Event::HeadMoved { .. } => "head",
        Event::Started(start) if start.kind != Kind::Forward => "rollback",
        Event::Started(start) if start.supersedes.is_some() => "supersede",
        Event::Started(_) => "start",
        Event::Begun { .. } => "begun",
        Event::Granted { dark: true, .. } => "granted dark",
        Event::Granted { broken_before: true, .. } => "broken before",
        Event::Granted { .. } => "granted",
        Event::Acked { .. } => "acked",
        Event::Fenced { .. } => "fenced",
        Event::Recalled { .. } => "recalled",
        Event::Restored { .. } => "restored",
        Event::Dark { .. } => "dark",
        Event::Departed { .. } => "departed",
        Event::Untargeted { .. } => "untargeted",
        Event::CaughtUp { .. } => "caught up",
        Event::Lane { .. } => "lane",
        Event::Judged { .. } => "judged",
        Event::Joined { .. } => "joined",
        Event::Acted { .. } => "acted",
        Event::Answered { .. } => "answered",
        Event::Member { change, .. } => match change {
            MemberChange::Verifying => "verifying",
            MemberChange::Updated => "updated",
            MemberChange::Failed { why, .. } => match why {
                FailureWhy::AgentFailed(_) => "agent failed",
                FailureWhy::ProgressDeadline => "deadline",
                FailureWhy::DarkAfterGrant => "dark after grant",
                FailureWhy::Degraded => "degraded",
                FailureWhy::Regressed => "regressed",
                FailureWhy::NothingToReturnTo => "irreversible",
            },
            MemberChange::Deferred { .. } => "deferred",
            MemberChange::Requeued => "requeued",
            MemberChange::Unchanged => "unchanged",
        },
        Event::Wave { change, .. } => match change {
            WaveChange::Gated => "gated",
            WaveChange::Opened { .. } => "opened",
            WaveChange::Skipped => "wave skipped",
            WaveChange::Proving => "proving",
            WaveChange::Reopened => "reopened",
            WaveChange::Passed { vacuous: true } => "vacuous",
            WaveChange::Passed { vacuous: false } => "passed",
        },
        Event::Paused { .. } => "paused",
        Event::Halted { causes, .. } => match causes.last() {
            Some(Cause::RollbackFailed { .. }) => "rollback failed",
            Some(Cause::WaveTimeout { .. }) => "timeout",
            Some(Cause::NothingToRollBackTo) => "nothing to return to",
            Some(Cause::RollbackUnsafe { .. }) => "unsafe",
            Some(Cause::AnalysisFailed { .. }) => "measured bad",
            Some(Cause::Rejected { .. }) => "rejected",
            Some(Cause::FailureBudget { .. }) | None => "halted",
        },
        Event::Resumed { .. } => "resumed",
        Event::Retried { .. } => "retried",
        Event::Skipped { .. } => "skipped",
        Event::Ended { outcome, .. } => match outcome {
            Outcome::Completed { .. } => "completed",
            Outcome::RolledBack { .. } => "rolled back",
            Outcome::Superseded { .. } => "superseded",
            Outcome::Aborted => "aborted",
        },
    }
}

/// One story: its log, or what went wrong.
pub(crate) fn tell(seed: u64, bug: Option<Bug>) -> Result<Vec<Event>, String> {
    let mut story = Story::new(seed, bug);
    story.world.compare = bug.is_none() && seed.is_multiple_of(4);
    for _ in 0..STEPS {
        story.chaos();
        story.world.step(SECOND * u32::try_from(2 + story.rng.below(20)).unwrap());
        story.verdict()?;
    }
    story.peace()?;
    story.verdict()?;
    let world = story.world;
    let found = rollout::check::log(&world.log);
    if let Some(first) = found.first() {
        return Err(first.clone());
    }
    round_trip(&world)?;
    Ok(world.log)
}

/// I13: the log read back, and the snapshot read back, are what memory is.
fn round_trip(world: &World) -> Result<(), String> {
    let text = serde_json::to_string(&world.log).unwrap();
    let log: Vec<Event> = serde_json::from_str(&text).unwrap();
    let mut memory = world.app().clone();
    memory.seed(None);
    if App::fold(memory.name.clone(), &log) != memory {
        return Err("I13: the log read back folds to something else".to_owned());
    }
    let snapshot: App = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
    if snapshot == memory {
        Ok(())
    } else {
        Err("I13: a snapshot reads back differently".to_owned())
    }
}

struct Story {
    rng: Rng,
    world: World,
    releases: u64,
    clusters: u64,
}

impl Story {
    fn new(seed: u64, bug: Option<Bug>) -> Story {
        let mut rng = Rng::new(seed ^ 0x7469_6465);
        let mut world = World::new(seed);
        world.bug = bug;
        world.faults = Faults {
            loss: *rng.pick(&[0, 5, 25]),
            duplicate: *rng.pick(&[0, 20]),
            delay_secs: *rng.pick(&[0, 3, 25]),
            crash: *rng.pick(&[0, 0, 2, 10]),
        };
        let mut story = Story { rng, world, releases: 0, clusters: 0 };
        for _ in 0..2 + story.rng.below(7) {
            story.join();
        }
        story.commit();
        story
    }

    fn verdict(&mut self) -> Result<(), String> {
        match self.world.violations.first() {
            None => Ok(()),
            Some(first) => {
                let tail = self.world.log.iter().rev().take(12).rev();
                let tail: Vec<_> = tail.map(|e| format!("  {}", short(e))).collect();
                Err(format!("{first}\nafter\n{}", tail.join("\n")))
            }
        }
    }

    fn join(&mut self) {
        self.clusters += 1;
        // The first is a canary, so that a strategy with a canary selector can be planned.
        let canary = self.clusters == 1 || self.rng.chance(25);
        let ring = if canary { "canary" } else { "prod" };
        let name = format!("k{}", self.clusters);
        let labels = [("app", "yes"), ("ring", ring)];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.world.join(self.clusters, ClusterName::parse(&name).unwrap(), labels);
        let cluster = self.world.clusters.get_mut(&uid(self.clusters)).unwrap();
        cluster.link = !self.rng.chance(10);
    }

    fn commit(&mut self) {
        let head = self.world.head.clone();
        // Sometimes HEAD moves and the content does not, or goes back to what it was.
        let content = match (self.rng.below(10), &head) {
            (0, Some(head)) => head.content.clone(),
            (1, _) if self.releases > 0 => format!("r{}", 1 + self.rng.below(self.releases)),
            _ => {
                self.releases += 1;
                format!("r{}", self.releases)
            }
        };
        let mut own = BTreeMap::new();
        for n in 1..=self.clusters {
            if self.rng.chance(15) {
                own.insert(uid(n), (*self.rng.pick(&["x", "y"])).to_owned());
            }
        }
        let number = 1 + u64::try_from(self.world.log.len()).unwrap() * 100 + self.releases;
        self.misbehave(&content);
        self.world.commit(Commitment {
            author: "alice".to_owned(),
            targets: World::targets(),
            commit: commit_id(number),
            subject: content.clone(),
            strategy: strategy(&mut self.rng),
            content,
            own,
            hard_to_undo: Vec::new(),
        });
    }

    fn misbehave(&mut self, content: &str) {
        let after = |rng: &mut Rng| SECOND * u32::try_from(rng.below(90)).unwrap();
        let everywhere = self.rng.chance(30);
        let kind = self.rng.below(8);
        for n in 1..=self.clusters + 3 {
            if !everywhere && self.rng.chance(60) {
                continue;
            }
            let behaviour = match kind {
                0 => Behaviour::Stuck,
                1 => Behaviour::Terminal(after(&mut self.rng)),
                2 => Behaviour::Regresses {
                    healthy: after(&mut self.rng),
                    lasts: 4 * after(&mut self.rng),
                },
                3 => Behaviour::CutsNetwork,
                _ => Behaviour::Good(after(&mut self.rng)),
            };
            self.world.contents.entry(digest(content)).or_default().on.insert(uid(n), behaviour);
        }
    }

    /// One thing happens.
    fn chaos(&mut self) {
        let n = 1 + self.rng.below(self.clusters);
        let time = self.world.time;
        let cluster = self.world.clusters.get_mut(&uid(n)).unwrap();
        match self.rng.below(100) {
            0..8 => cluster.link = false,
            8..22 => cluster.link = true,
            22..26 => cluster.agent.restart(time),
            26 => cluster.agent.wipe(time),
            27 => cluster.up = !cluster.up,
            28..30 => self.world.relabel(&uid(n), "ring", "canary"),
            30 if self.clusters < 12 => self.join(),
            31 if n > 1 && self.rng.chance(30) => self.world.delete(&uid(n)),
            32..37 => self.commit(),
            37..45 => self.verb(),
            45 => {
                self.world.hub.wall_jump += SignedDuration::from_mins(10);
            }
            46 => self.world.hub.up = false,
            47..52 if !self.world.hub.up => {
                self.world.hub.up = true;
                self.world.crash();
            }
            _ => {}
        }
    }

    fn verb(&mut self) {
        if !self.world.hub.up {
            return;
        }
        let n = uid(1 + self.rng.below(self.clusters));
        let verb = match self.rng.below(14) {
            0 => Verb::Start,
            1..4 => Verb::Pause,
            4..7 => Verb::Resume { accept: self.rng.chance(50) },
            7 => Verb::Abort,
            8..10 => Verb::Rollback,
            10 => Verb::Retry { cluster: None },
            11 => Verb::Retry { cluster: Some(n) },
            _ => Verb::Skip { cluster: n },
        };
        // A refusal is an answer, too; it must have changed nothing.
        let before = self.world.log.len();
        if let Err(refusal) = self.world.command(&verb, &actor("ann", "because")) {
            assert!(!refusal.fix.is_empty() && !refusal.why.is_empty(), "{refusal:?}");
            assert_eq!(self.world.log.len(), before);
        }
    }

    /// Faults stop and a person answers: within bounded time nothing is going on any more and every agent
    /// holds what the hub says.
    fn peace(&mut self) -> Result<(), String> {
        let world = &mut self.world;
        world.faults = Faults::default();
        if !world.hub.up {
            world.hub.up = true;
            world.crash();
        }
        for cluster in world.clusters.values_mut() {
            cluster.link = true;
            cluster.up = true;
        }
        let mut resumes = 0;
        for round in 0..3000 {
            // Somebody repairs the networks that bad releases cut.
            if round == 150 {
                for all in world.contents.values_mut() {
                    let cut = |b: &&mut Behaviour| **b == Behaviour::CutsNetwork;
                    all.on.values_mut().filter(cut).for_each(|b| *b = Behaviour::Good(SECOND));
                }
            }
            for uid in world.clusters.keys().cloned().collect::<Vec<_>>() {
                let cut = world.behaviour(&uid) == Behaviour::CutsNetwork;
                world.clusters.get_mut(&uid).unwrap().link = !cut;
            }
            world.step(SECOND * 20);
            let Some(active) = &world.app().active else { break };
            let ann = actor("ann", "go on");
            let verb = match &active.state {
                rollout::RolloutState::Planned => Verb::Start,
                rollout::RolloutState::Paused { .. } => Verb::Resume { accept: false },
                rollout::RolloutState::Halted { .. } if resumes < 4 => {
                    Verb::Resume { accept: true }
                }
                rollout::RolloutState::Halted { .. } => Verb::Abort,
                rollout::RolloutState::Progressing | rollout::RolloutState::Ended { .. } => {
                    continue;
                }
            };
            resumes += 1;
            if world.command(&verb, &ann).is_err() {
                world.command(&Verb::Abort, &ann).map_err(|r| r.to_string())?;
            }
        }
        world.run(SECOND * 300, SECOND * 20);
        let stuck = world.app().active.as_ref().map(|r| format!("{} {:?}", r.id, r.state));
        if let Some(stuck) = stuck {
            let why = rollout::explain(world.app(), world.now(), world.obs());
            let why: Vec<_> = why.iter().map(|b| b.status.message().to_owned()).collect();
            return Err(format!("L1: rollout {stuck} never ends: {why:?}"));
        }
        for (uid, cluster) in world.clusters.iter().filter(|(_, c)| !c.deleted) {
            let told = rollout::serve(world.app(), uid);
            let converged = match told {
                model::Directive::Grant(grant) => cluster.agent.epoch == grant.epoch,
                model::Directive::Hold => true,
                model::Directive::Fence(_) => false,
            };
            if !converged && cluster.link {
                return Err(format!(
                    "L3: {uid} holds {} and is told {told:?}",
                    cluster.agent.epoch
                ));
            }
        }
        Ok(())
    }
}

fn short(event: &Event) -> String {
    let mut text = format!("{event:?}");
    text.truncate(300);
    text
}

fn strategy(rng: &mut Rng) -> Strategy {
    let settings = |rng: &mut Rng| WaveSettings {
        max_in_flight: *rng.pick(&[Amount::Count(1), Amount::Count(2), Amount::Percent(50)]),
        max_failures: *rng.pick(&[Amount::Count(0), Amount::Count(1), Amount::Percent(40)]),
        min_healthy: SECOND * 20,
        progress_deadline: SECOND * 240,
        offline: Offline { grace: SECOND * 120, stale_after: SECOND * 60 },
        evidence_min: *rng.pick(&[Amount::Count(1), Amount::Percent(50)]),
        timeout: SECOND * 2400,
        retry: Retry { limit: u32::try_from(rng.below(2)).unwrap(), backoff: SECOND * 30 },
        soak: SECOND * *rng.pick(&[0, 60]),
    };
    let mut wave = |name: &str, members: Members| WaveSpec {
        allow_empty: true,
        ..WaveSpec::new(WaveName::parse(name).unwrap(), members, settings(rng))
    };
    let canaries = Selector::parse("labels.ring == 'canary'").unwrap();
    let mut waves = vec![
        wave("canary", Members::Select(canaries)),
        wave(
            "early",
            Members::Take { select: None, count: Amount::Percent(30), min: 1, largest: 0 },
        ),
        wave("rest", Members::Rest),
    ];
    if rng.chance(30) {
        waves.remove(1);
    }
    Strategy {
        on_new_release: *rng.pick(&[
            OnNewRelease::Auto,
            OnNewRelease::Auto,
            OnNewRelease::Supersede,
            OnNewRelease::Queue,
        ]),
        on_failure: *rng.pick(&[OnFailure::Halt, OnFailure::Rollback]),
        start: *rng.pick(&[StartMode::Auto, StartMode::Auto, StartMode::Auto, StartMode::Manual]),
        probe: u32::try_from(*rng.pick(&[1, 1, 1, 2, 0])).unwrap(),
        waves,
        rollback: WaveSettings {
            min_healthy: SECOND * 20,
            progress_deadline: SECOND * 240,
            offline: Offline { grace: SECOND * 120, stale_after: SECOND * 60 },
            timeout: SECOND * 2400,
            retry: Retry { limit: 0, backoff: SECOND },
            ..WaveSettings::rollback()
        },
        ..Strategy::default()
    }
}

//! Plays a scenario: event by event, in virtual time, with the same brain as the hub.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each act touches the one or two things it names"
)]

pub mod print;
mod verdict;
mod tally;

use std::time::Duration;

use model::{ClusterUid, Commit, Digest, Reason, Status};

use super::{
    agent::Behaviour,
    file::{Act, Habit, Order, Scenario, Share},
    rng::Rng,
    words,
    world::{Commitment, Content, Outside, Pace, World, actor, commit_id, digest},
};
use crate::{Event, Refusal, Verb};

pub use tally::{Ending, Tally, WaveCount};
pub use verdict::Broken;

/// Quiet for so long, the reason is told.
const SILENCE: Duration = Duration::from_secs(30);

/// Most broken rules that are told.
const VIOLATIONS_MAX: usize = 3;

/// One line of a transcript.
#[derive(Debug, Clone)]
pub struct Line {
    /// When, since the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
    /// In words.
    pub text: String,
    /// The wave it is about, or the one at work, as it is then.
    pub wave: Option<WaveCount>,
}

/// What a line is about.
#[derive(Debug, Clone)]
pub enum What {
    /// The file made something happen.
    Act,
    /// A verb of a person was refused.
    Refused(Box<Refusal>),
    /// The hub decided.
    Event(Box<Event>),
    /// Nothing happens, and why.
    Why(Vec<Status>),
    /// An invariant does not hold: a bug of Tidegate.
    Violation,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The transcript.
    pub lines: Vec<Line>,
    /// What of `expect` did not hold.
    pub broken: Vec<Broken>,
    /// Figures.
    pub tally: Tally,
}

/// Plays it with that seed.
pub fn play(scenario: &Scenario, seed: u64) -> Outcome {
    let mut player = Player::new(scenario, seed);
    player.run();
    let tally = tally::tally(&player.world);
    Outcome { lines: player.lines, broken: player.broken, tally }
}

struct Player<'a> {
    scenario: &'a Scenario,
    world: World,
    /// Chance of the story itself: who is slow, where a release fails.
    rng: Rng,
    lines: Vec<Line>,
    broken: Vec<Broken>,
    commits: u64,
    /// Contents that were at HEAD, and their newest commits.
    named: Vec<(String, Commit)>,
    /// What a person saw who looked then; kept only when somebody in the story says when they looked.
    stamps: Vec<(Duration, Digest)>,
    /// Events that were told.
    told: usize,
    /// Last time something happened, and the reason told since.
    busy: Duration,
    reason: Vec<(Option<Reason>, Option<String>)>,
    /// Code of the last refusal.
    refused: Option<Reason>,
    violations: usize,
}

impl<'a> Player<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Player<'a> {
        let mut world = World::new(seed);
        world.begin = scenario.begin.unwrap_or(world.begin);
        world.faults = scenario.faults;
        world.pace = Pace { heartbeat: scenario.heartbeat, answer: scenario.answer };
        let mut player = Player {
            scenario,
            world,
            rng: Rng::new(seed ^ 0x0073_696d),
            lines: Vec::new(),
            broken: Vec::new(),
            commits: 0,
            named: Vec::new(),
            stamps: Vec::new(),
            told: 0,
            busy: Duration::ZERO,
            reason: Vec::new(),
            refused: None,
            violations: 0,
        };
        for member in &scenario.clusters {
            player.enter(member);
        }
        player.habits();
        // Whoever watches what the strategies name is there, and says nothing yet.
        let waves = scenario.apps.values().flat_map(|app| &app.strategy.waves);
        for name in waves.flat_map(|wave| &wave.before.blockers) {
            player.world.outside(&Outside::Blocker(name.clone(), false));
        }
        player
    }

    fn enter(&mut self, member: &super::file::Member) {
        let uid = &member.uid;
        self.world.enter(uid.clone(), member.name.clone(), member.labels.clone());
        if let Some(cluster) = self.world.clusters.get_mut(uid) {
            cluster.facts = member.facts.clone();
            let jitter = u64::from(self.scenario.jitter);
            let more = u32::try_from(self.rng.below(jitter + 1)).unwrap_or_default();
            cluster.slow = member.slow + member.slow * more / 100;
        }
    }

    fn habits(&mut self) {
        for (name, habits) in &self.scenario.releases {
            for habit in habits {
                self.habit(name, habit);
            }
        }
    }

    fn habit(&mut self, name: &str, habit: &Habit) {
        let content = self.world.contents.entry(digest(name)).or_default();
        match &habit.on {
            Share::All => *content = Content::everywhere(habit.does),
            Share::Named(all) => {
                content.on.extend(all.iter().map(|uid| (uid.clone(), habit.does)));
            }
            Share::Percent(percent) => {
                for uid in self.world.clusters.keys() {
                    if self.rng.chance(u64::from(*percent)) {
                        content.on.insert(uid.clone(), habit.does);
                    }
                }
            }
        }
    }

    fn run(&mut self) {
        let looks = |(_, act): &(Duration, Act)| matches!(act, Act::Person(o) if o.saw.is_some());
        let looks = self.scenario.timeline.iter().any(looks);
        let mut acts = self.scenario.timeline.iter().peekable();
        let mut claims = self.scenario.claims.iter().peekable();
        loop {
            let now = self.world.time;
            while let Some((_, act)) = acts.next_if(|(at, _)| *at <= now) {
                self.act(act);
            }
            self.world.instant();
            self.tell_events();
            if looks {
                self.stamps.push((now, crate::stamp(self.world.app())));
            }
            self.tell_reason();
            while let Some((_, line, claim)) = claims.next_if(|(at, ..)| *at <= now) {
                self.check(*line, claim);
            }
            if now >= self.scenario.until {
                break;
            }
            let next_act = acts.peek().map(|(at, _)| *at);
            let next_claim = claims.peek().map(|(at, ..)| *at);
            let next = [next_act, next_claim, Some(self.scenario.until)];
            let next = next.into_iter().flatten().min().unwrap_or(self.scenario.until);
            self.world.time = self.world.next_instant().min(next);
        }
    }

    fn say(&mut self, at: Duration, what: What, text: String, wave: Option<WaveCount>) {
        self.lines.push(Line { at, what, text, wave });
    }

    fn told_act(&mut self, text: String) {
        self.busy = self.world.time;
        self.reason.clear();
        self.say(self.world.time, What::Act, text, None);
    }

    /// What happened in the log since the last line.
    fn tell_events(&mut self) {
        for number in self.told..self.world.log.len() {
            let (event, at) = (self.world.log[number].clone(), self.world.times[number]);
            let text = words::line(&self.world, &event);
            let wave = tally::wave_of(self.world.app(), &event);
            // A measurement, and dark time that is written down, change nothing about the reason.
            if !matches!(event, Event::Answered { .. } | Event::Dark { .. }) {
                self.busy = self.world.time;
                self.reason.clear();
            }
            self.say(at, What::Event(Box::new(event)), text, wave);
        }
        self.told = self.world.log.len();
        // One broken rule is seen again and again; the first few tell it.
        let violations = self.world.violations.iter().take(VIOLATIONS_MAX).skip(self.violations);
        let violations: Vec<String> = violations.cloned().collect();
        self.violations += violations.len();
        for text in violations {
            self.say(self.world.time, What::Violation, text, None);
        }
    }

    /// Nothing happens: why, when it is another reason than was told.
    fn tell_reason(&mut self) {
        if !self.world.hub.up || self.world.time < self.busy + SILENCE {
            return;
        }
        let (now, hub) = (self.world.now(), &self.world.hub);
        let blockers = crate::explain(&hub.app, now, &hub.obs);
        let key: Vec<_> = blockers
            .iter()
            .map(|b| (b.status.reason(), b.wave.as_ref().map(ToString::to_string)))
            .collect();
        if key == self.reason {
            return;
        }
        self.reason = key;
        let statuses: Vec<Status> = blockers.into_iter().map(|b| b.status).collect();
        let lines: Vec<_> = statuses.iter().map(words::status).collect();
        if !lines.is_empty() {
            self.say(self.world.time, What::Why(statuses), lines.join("\n"), None);
        }
    }

    fn names(&self, of: &[ClusterUid]) -> String {
        words::names(&self.world, of)
    }

    fn act(&mut self, act: &Act) {
        let text = match act {
            Act::Person(order) => return self.person(order),
            Act::Commit { content, own, app, author, hard_to_undo } => {
                let Some(spec) = self.scenario.apps.get(app) else { return };
                self.commits += 1;
                self.named.push((content.clone(), commit_id(self.commits)));
                self.world.commit(Commitment {
                    commit: commit_id(self.commits),
                    subject: content.clone(),
                    author: author.clone(),
                    targets: spec.targets.clone(),
                    strategy: spec.strategy.clone(),
                    content: content.clone(),
                    own: own.clone(),
                    hard_to_undo: hard_to_undo.clone(),
                });
                format!("{author} commits {content}")
            }
            Act::Outside { words, by, what } => {
                self.world.outside(what);
                format!("{by}: {words}")
            }
            Act::Content(name, habit) => {
                self.habit(name, habit);
                format!("{name} behaves otherwise from now on: {:?}", habit.does)
            }
            Act::Join(member) => {
                self.enter(member);
                format!("{} joins", member.name)
            }
            Act::Crash => {
                self.world.crash();
                "the hub dies and starts again".to_owned()
            }
            Act::Hub { up } => {
                self.world.hub.up = *up;
                if *up {
                    self.world.crash();
                }
                format!("the hub {}", if *up { "starts" } else { "stops" })
            }
            Act::Jump(by) => {
                self.world.jump(*by);
                format!("the hub's wall clock jumps by {by:#}")
            }
            Act::FailOver => {
                self.world.fail_over();
                "another hub takes over; the old one lives on".to_owned()
            }
            Act::StaleEnds => {
                self.world.stale = None;
                let refused = self.world.refused;
                format!("the old hub ends; refused decisions: {refused}")
            }
            Act::Link { .. }
            | Act::Held { .. }
            | Act::Broken { .. }
            | Act::Restart(_)
            | Act::Wipe(_)
            | Act::Delete(_)
            | Act::Relabel(..) => self.touch(act),
        };
        self.told_act(text);
    }

    /// Something happens to clusters.
    fn touch(&mut self, act: &Act) -> String {
        let (of, what) = match act {
            Act::Link { of, up: true } => (of, "can reach the hub again".to_owned()),
            Act::Link { of, up: false } => (of, "cannot reach the hub".to_owned()),
            Act::Held { of, held: true } => (of, "messages to it wait in the network".to_owned()),
            Act::Held { of, held: false } => (of, "messages to it arrive".to_owned()),
            Act::Broken { of, broken: true } => (of, "breaks".to_owned()),
            Act::Broken { of, broken: false } => (of, "is repaired".to_owned()),
            Act::Restart(of) => (of, "agent starts again".to_owned()),
            Act::Wipe(of) => (of, "agent is installed anew and knows nothing".to_owned()),
            Act::Delete(of) => (of, "is deleted by a person".to_owned()),
            Act::Relabel(of, labels) => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                (of, format!("is labelled {}", labels.join(" ")))
            }
            _ => return String::new(),
        };
        let time = self.world.time;
        for uid in of {
            let Some(cluster) = self.world.clusters.get_mut(uid) else { continue };
            match act {
                Act::Link { up, .. } => cluster.link = *up,
                Act::Broken { broken, .. } => cluster.broken = *broken,
                Act::Restart(_) => cluster.agent.restart(time),
                Act::Wipe(_) => cluster.agent.wipe(time),
                Act::Delete(_) => self.world.delete(uid),
                Act::Held { held: true, .. } => drop(self.world.held.insert(uid.clone())),
                Act::Held { held: false, .. } => drop(self.world.held.remove(uid)),
                Act::Relabel(_, labels) => {
                    for (key, value) in labels {
                        self.world.relabel(uid, key, value);
                    }
                }
                _ => {}
            }
        }
        format!("{}: {what}", self.names(of))
    }

    fn person(&mut self, order: &Order) {
        // What was heard until now is decided first: a person sees a state, not the middle of one.
        self.world.instant();
        self.tell_events();
        self.told_act(format!("{}: {}", order.by, order.words));
        let mut by = actor(&order.by, &order.reason);
        by.role = order.role;
        by.groups = order.groups.iter().cloned().collect();
        let seen = order.saw.map(|at| {
            let before = self.stamps.iter().rev().find(|(when, _)| *when <= at);
            before.map_or_else(|| crate::stamp(self.world.app()), |(_, stamp)| *stamp)
        });
        let verb = self.translate(&order.verb);
        match self.world.command_on(&verb, &by, seen.as_ref()) {
            Ok(()) => self.refused = None,
            Err(refusal) => {
                self.refused = Some(refusal.reason);
                let text = format!("refused: {} {refusal}; {}", refusal.reason.code(), refusal.fix);
                self.say(self.world.time, What::Refused(Box::new(refusal)), text, None);
            }
        }
    }

    /// A release is called by its content in a scenario, and by its commit elsewhere.
    fn translate(&self, verb: &Verb) -> Verb {
        let commit = |name: &Option<String>| {
            let name = name.as_ref()?;
            let known = self.named.iter().rev().find(|(content, _)| content == name);
            Some(known.map_or_else(|| name.clone(), |(_, commit)| commit.to_string()))
        };
        match verb {
            Verb::Condemn { release } => Verb::Condemn { release: commit(release) },
            Verb::Absolve { release } => Verb::Absolve { release: commit(release) },
            other => other.clone(),
        }
    }

    fn runs(&self, uid: &ClusterUid) -> Option<Digest> {
        self.world.clusters.get(uid).and_then(|c| c.agent.digest)
    }
}

impl Content {
    /// What it does on a cluster where nothing else is said.
    pub fn everywhere(behaviour: Behaviour) -> Content {
        Content { everywhere: Some(behaviour), ..Content::default() }
    }
}

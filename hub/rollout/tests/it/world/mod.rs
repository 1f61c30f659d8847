//! A whole small world around the real brain: hub shell, network, agents, people. Deterministic by seed.
//!
//! The hub shell is the honest minimum: append, then apply, then serve. A crash loses everything but the log.

mod agent;
mod checks;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use model::{
    AppName, ClusterName, ClusterUid, Commit, Digest, Directive, LeaseEpoch, Report, Selector,
};
use rollout::{
    Actor, App, Bug, Candidate, ClusterObs, Event, Expect, Now, Obs, OnUntarget, Refusal, Strategy,
    Targets, Verb,
};

pub(crate) use agent::{Agent, Behaviour};

use crate::rng::Rng;

/// Most events that one wake may decide: a loop of decisions is a bug, not patience.
const BURST_MAX: usize = 500;

/// One cluster of the world.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: ClusterName,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) deleted: bool,
    pub(crate) agent: Agent,
    pub(crate) link: bool,
    /// The agent process runs.
    pub(crate) up: bool,
}

/// What this hub process heard of a cluster.
#[derive(Debug, Clone, Default)]
struct Heard {
    at: Option<Duration>,
    report: Option<Report>,
}

#[derive(Debug, Clone)]
enum Body {
    Say(LeaseEpoch, Directive),
    Report(Box<Report>),
}

#[derive(Debug, Clone)]
struct Message {
    due: Duration,
    cluster: ClusterUid,
    body: Body,
}

/// How unreliable the world is, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) duplicate: u64,
    pub(crate) delay_secs: u64,
    pub(crate) crash: u64,
}

/// Everything.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    /// True time.
    pub(crate) time: Duration,
    pub(crate) wall_jump: Duration,
    pub(crate) clusters: BTreeMap<ClusterUid, Cluster>,
    net: Vec<Message>,
    pub(crate) app: App,
    pub(crate) log: Vec<Event>,
    /// For each event: when, and the commit, for the transcript.
    pub(crate) times: Vec<Duration>,
    hub_started: Duration,
    term: LeaseEpoch,
    heard: BTreeMap<ClusterUid, Heard>,
    pub(crate) commit: Option<Commitment>,
    pub(crate) behaviours: BTreeMap<Digest, BTreeMap<ClusterUid, Behaviour>>,
    pub(crate) bug: Option<Bug>,
    /// Crash after the append with this number, once.
    pub(crate) crash_at: Option<usize>,
    pub(crate) violations: Vec<String>,
    pub(crate) hub_up: bool,
    select: Selector,
    /// Clusters to which messages are on their way but do not arrive yet.
    pub(crate) held: BTreeSet<ClusterUid>,
}

/// What is at HEAD.
#[derive(Debug, Clone)]
pub(crate) struct Commitment {
    pub(crate) commit: Commit,
    pub(crate) subject: String,
    pub(crate) strategy: Strategy,
    /// Content per cluster; `None` for clusters that join later takes `content`.
    pub(crate) content: String,
    /// Clusters that keep other content than the rest.
    pub(crate) own: BTreeMap<ClusterUid, String>,
    pub(crate) expect: Expect,
}

pub(crate) fn uid(n: u64) -> ClusterUid {
    ClusterUid::parse(&format!("00000000-0000-4000-8000-{n:012x}")).unwrap()
}

pub(crate) fn digest(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

pub(crate) fn commit_id(n: u64) -> Commit {
    Commit::parse(&format!("{n:x}0").repeat(40)[..40]).unwrap()
}

pub(crate) fn actor(name: &str, reason: &str) -> Actor {
    Actor { name: name.to_owned(), reason: reason.to_owned() }
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let app = AppName::parse("web").unwrap();
        World {
            rng: Rng::new(seed),
            faults: Faults::default(),
            time: Duration::ZERO,
            wall_jump: Duration::ZERO,
            clusters: BTreeMap::new(),
            net: Vec::new(),
            app: App::new(app),
            log: Vec::new(),
            times: Vec::new(),
            hub_started: Duration::ZERO,
            term: LeaseEpoch(1),
            heard: BTreeMap::new(),
            commit: None,
            behaviours: BTreeMap::new(),
            bug: None,
            crash_at: None,
            violations: Vec::new(),
            hub_up: true,
            select: Selector::parse("labels.app == 'yes'").unwrap(),
            held: BTreeSet::new(),
        }
    }

    pub(crate) fn join(&mut self, n: u64, name: &str, labels: &[(&str, &str)]) -> ClusterUid {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let cluster = Cluster {
            name: ClusterName::parse(name).unwrap(),
            labels,
            deleted: false,
            agent: Agent::new(self.time),
            link: true,
            up: true,
        };
        self.clusters.insert(uid(n), cluster);
        uid(n)
    }

    pub(crate) fn find(&self, name: &str) -> ClusterUid {
        let found = self.clusters.iter().rev().find(|(_, c)| c.name.as_str() == name);
        found.unwrap_or_else(|| panic!("no cluster `{name}`")).0.clone()
    }

    pub(crate) fn now(&self) -> Now {
        let epoch = Timestamp::from_second(1_700_000_000).unwrap();
        Now {
            wall: epoch + self.time + self.wall_jump,
            mono: self.time.saturating_sub(self.hub_started),
            term: self.term,
        }
    }

    fn candidate(&self) -> Option<Candidate> {
        let head = self.commit.as_ref()?;
        // What the selector says, without the price of asking it for every wake.
        let wanted = |c: &Cluster| c.labels.get("app").is_some_and(|v| v == "yes");
        let selected = self.clusters.iter().filter(|(_, c)| !c.deleted && wanted(c));
        let content = |uid: &ClusterUid| digest(head.own.get(uid).unwrap_or(&head.content));
        Some(Candidate {
            commit: head.commit.clone(),
            reference: "main".to_owned(),
            author: Some("alice".to_owned()),
            subject: head.subject.clone(),
            targets: Targets {
                select: self.select.clone(),
                exclude: None,
                expect: head.expect,
                on_untarget: OnUntarget::Retain,
            },
            strategy: head.strategy.clone(),
            variants: selected.map(|(uid, _)| (uid.clone(), content(uid))).collect(),
            trace: None,
        })
    }

    pub(crate) fn obs(&self) -> Obs {
        let clusters = self.clusters.iter().map(|(uid, cluster)| {
            let heard = self.heard.get(uid).cloned().unwrap_or_default();
            let obs = ClusterObs {
                name: cluster.name.clone(),
                labels: cluster.labels.clone(),
                facts: serde_json::Value::Null,
                connected: cluster.link && cluster.up,
                last_heard: heard.at,
                report: heard.report,
                deleted: cluster.deleted,
            };
            (uid.clone(), obs)
        });
        Obs { candidate: self.candidate(), clusters: clusters.collect() }
    }

    pub(crate) fn behaviour(&self, uid: &ClusterUid) -> Behaviour {
        let good = Behaviour::Good(Duration::from_secs(20));
        let digest = self.clusters[uid].agent.digest;
        let known = digest.and_then(|d| self.behaviours.get(&d)?.get(uid).copied());
        known.unwrap_or(good)
    }

    /// The hub process dies and another one starts: only the log is left.
    pub(crate) fn crash(&mut self) {
        let folded = App::fold(self.app.name.clone(), &self.log);
        let mut honest = self.app.clone();
        honest.seed(None);
        if folded != honest {
            self.violations.push("I13: the fold of the log differs from memory".to_owned());
        }
        self.app = folded;
        self.app.seed(self.bug);
        self.hub_started = self.time;
        self.term = LeaseEpoch(self.term.0 + 1);
        self.heard.clear();
    }

    fn append(&mut self, event: Event, obs: &Obs) {
        let mut after = self.app.clone();
        after.apply(&event);
        self.violations.extend(rollout::check::violations(
            &self.app,
            &event,
            &after,
            self.now(),
            obs,
        ));
        self.check_truth(&event);
        self.log.push(event);
        self.times.push(self.time);
        self.app = after;
        if self.crash_at == Some(self.log.len()) || self.rng.chance(self.faults.crash) {
            self.crash_at = None;
            self.crash();
        }
    }

    /// Decides until there is nothing to decide, then tells every cluster.
    pub(crate) fn wake(&mut self) {
        if !self.hub_up {
            return;
        }
        self.app.seed(self.bug);
        let mut obs = self.obs();
        for burst in 0.. {
            let Some(event) = rollout::decide(&self.app, self.now(), &obs) else { break };
            assert!(burst < BURST_MAX, "decides for ever: {event:?}");
            let term = self.term;
            self.append(event, &obs);
            if self.term != term {
                obs = self.obs();
            }
        }
        self.check_quiet(&obs);
        self.tell();
    }

    fn tell(&mut self) {
        let uids: Vec<_> = self.clusters.keys().cloned().collect();
        for uid in uids {
            if !self.clusters[&uid].deleted {
                let directive = rollout::serve(&self.app, &uid);
                self.send(&uid, &Body::Say(self.term, directive));
            }
        }
    }

    fn send(&mut self, cluster: &ClusterUid, body: &Body) {
        if !self.clusters[cluster].link || self.rng.chance(self.faults.loss) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.faults.duplicate));
        for _ in 0..copies {
            let due = self.time + Duration::from_secs(self.rng.below(self.faults.delay_secs + 1));
            self.net.push(Message { due, cluster: cluster.clone(), body: body.clone() });
        }
    }

    /// A verb by a person.
    pub(crate) fn command(&mut self, verb: &Verb, by: &Actor) -> Result<(), Refusal> {
        let obs = self.obs();
        let event = rollout::command(&self.app, verb, by, self.now(), &obs)?;
        self.append(event, &obs);
        self.wake();
        Ok(())
    }

    fn deliver(&mut self) {
        let (time, held) = (self.time, &self.held);
        let arrives = |m: &Message| {
            m.due <= time && !(held.contains(&m.cluster) && matches!(m.body, Body::Say(..)))
        };
        let due: Vec<_> = self.net.iter().filter(|m| arrives(m)).cloned().collect();
        self.net.retain(|m| !arrives(m));
        for message in due {
            let time = self.time;
            let cluster = self.clusters.get_mut(&message.cluster).unwrap();
            match message.body {
                Body::Say(term, directive) if cluster.up => {
                    let before = cluster.agent.epoch;
                    cluster.agent.hear(term, directive, time);
                    self.check_accepted(&message.cluster, before);
                }
                Body::Report(report) if self.hub_up && !cluster.deleted => {
                    let heard = self.heard.entry(message.cluster).or_default();
                    let newest = heard.report.as_ref().map(|r| (r.boot, r.seq));
                    if newest < Some((report.boot, report.seq)) {
                        heard.at = Some(time.saturating_sub(self.hub_started));
                        heard.report = Some(*report);
                    }
                }
                Body::Say(..) | Body::Report(_) => {}
            }
        }
    }

    fn reports(&mut self) {
        let uids: Vec<_> = self.clusters.keys().cloned().collect();
        for uid in uids {
            let behaviour = self.behaviour(&uid);
            let time = self.time;
            let cluster = self.clusters.get_mut(&uid).unwrap();
            if !cluster.up || cluster.deleted {
                continue;
            }
            if behaviour == Behaviour::CutsNetwork {
                cluster.link = false;
            }
            let report = cluster.agent.report(behaviour, time);
            self.send(&uid, &Body::Report(Box::new(report)));
        }
    }

    /// Lets time pass: agents report, messages arrive, the hub decides.
    pub(crate) fn step(&mut self, by: Duration) {
        self.time += by;
        self.deliver();
        self.reports();
        self.deliver();
        self.wake();
        self.deliver();
    }

    /// Many small steps.
    pub(crate) fn run(&mut self, time: Duration, step: Duration) {
        let end = self.time + time;
        while self.time < end {
            self.step(step.min(end.saturating_sub(self.time)));
        }
    }
}

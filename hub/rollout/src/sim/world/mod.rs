//! The world: clusters with agents, a network that may lose, repeat and delay, one log, and the hub
//! process that holds its lease. Deterministic by seed.
//!
//! The hub shell is the honest minimum: append, then apply, then serve. A crash loses everything but the
//! log. After a fail-over the old process may live on, deaf or not, with the lease that it lost.

mod pace;
mod outside;
mod checks;
mod network;
mod hub;
mod parts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use model::{
    AppName, ClusterName, ClusterUid, Commit, Digest, Epoch, Facts, Labels, LeaseEpoch, Selector,
};

#[cfg(feature = "mutations")]
use crate::Bug;
use crate::{
    Actor, Answer, App, Candidate, Event, Expect, Now, Obs, OnUntarget, Proven, Refusal, Scan,
    Targets, Verb,
};

pub use hub::Hub;
pub use outside::Outside;
pub use parts::{Cluster, Commitment, Content, Faults, Pace};

use network::{Body, Message, behaviour};

use super::{
    agent::{Agent, Behaviour},
    rng::Rng,
};

/// Most events that one wake may decide: a loop of decisions is a bug, not patience.
const BURST_MAX: usize = 2_000;

/// True time zero unless a story says otherwise: a Tuesday evening.
const BEGIN: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// Everything.
#[derive(Debug)]
pub struct World {
    /// Where chance comes from.
    pub rng: Rng,
    /// How unreliable it is.
    pub faults: Faults,
    /// What true time zero is on a wall clock.
    pub begin: Timestamp,
    /// True time.
    pub time: Duration,
    /// How often agents speak.
    pub pace: Pace,
    /// When the hub wants to look again.
    wake_at: Option<Duration>,
    /// All clusters, ever.
    pub clusters: BTreeMap<ClusterUid, Cluster>,
    net: Vec<Message>,
    /// The process with the lease.
    pub hub: Hub,
    /// The one before it that does not know that it lost the lease.
    pub stale: Option<Hub>,
    /// Appends that were refused because the lease was lost.
    pub refused: usize,
    /// What was appended.
    pub log: Vec<Event>,
    /// For each event of the log: when.
    pub times: Vec<Duration>,
    granted: BTreeSet<(ClusterUid, Epoch, Digest)>,
    /// What is at HEAD; change it with [`World::commit`].
    pub head: Option<Commitment>,
    /// Every commit that was ever at HEAD.
    commits: BTreeMap<Commit, Commitment>,
    /// What each content does.
    pub contents: BTreeMap<Digest, Content>,
    /// A guard that is switched off.
    #[cfg(feature = "mutations")]
    pub bug: Option<Bug>,
    /// Crash after the append with this number, once.
    pub crash_at: Option<usize>,
    /// Each decision of a burst is compared with that of a fresh look.
    pub compare: bool,
    /// What measurements say; nothing when the one who measures is silent.
    pub measures: Option<Answer>,
    /// Invariants that did not hold.
    pub violations: Vec<String>,
    /// Clusters to which messages are on their way but do not arrive yet.
    pub held: BTreeSet<ClusterUid>,
    /// Labels, clusters or HEAD changed since the candidate was made.
    stale_candidate: bool,
}

/// The uid of cluster number `n`.
pub fn uid(n: u64) -> ClusterUid {
    let text = format!("00000000-0000-4000-8000-{:012x}", n & 0xffff_ffff_ffff);
    ClusterUid::parse(&text).expect("a lower-case hyphenated UUID")
}

/// The digest of a content by its name.
pub fn digest(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

/// The id of commit number `n`.
pub fn commit_id(n: u64) -> Commit {
    let text = format!("{n:x}0").repeat(40);
    Commit::parse(&text[..40]).expect("forty hexadecimal digits")
}

/// A person with a reason.
pub fn actor(name: &str, reason: &str) -> Actor {
    Actor { name: name.to_owned(), reason: reason.to_owned(), ..Actor::default() }
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> World {
        World {
            rng: Rng::new(seed),
            faults: Faults::default(),
            begin: BEGIN,
            time: Duration::ZERO,
            pace: Pace { heartbeat: Duration::from_secs(10), answer: Duration::from_secs(1) },
            wake_at: None,
            clusters: BTreeMap::new(),
            net: Vec::new(),
            hub: Hub::new(AppName::parse("web").expect("a literal that is a name")),
            stale: None,
            refused: 0,
            log: Vec::new(),
            times: Vec::new(),
            granted: BTreeSet::new(),
            head: None,
            commits: BTreeMap::new(),
            contents: BTreeMap::new(),
            #[cfg(feature = "mutations")]
            bug: None,
            crash_at: None,
            compare: false,
            measures: Some(Answer::Pass),
            violations: Vec::new(),
            held: BTreeSet::new(),
            stale_candidate: false,
        }
    }

    /// Clusters labelled `app=yes`, without brakes.
    pub fn targets() -> Targets {
        Targets {
            select: Selector::parse("labels.app == 'yes'").expect("a literal that is a selector"),
            exclude: None,
            expect: Expect::default(),
            on_untarget: OnUntarget::Retain,
        }
    }

    /// What the hub with the lease remembers.
    pub fn app(&self) -> &App {
        &self.hub.app
    }

    /// What the hub with the lease observed.
    pub fn obs(&self) -> &Obs {
        &self.hub.obs
    }

    /// The time as the hub with the lease sees it.
    pub fn now(&self) -> Now {
        self.hub.now(self.begin, self.time)
    }

    /// Cluster number `n` joins.
    pub fn join(&mut self, n: u64, name: ClusterName, labels: Labels) -> ClusterUid {
        self.enter(uid(n), name, labels);
        uid(n)
    }

    /// A cluster joins.
    pub fn enter(&mut self, uid: ClusterUid, name: ClusterName, labels: Labels) {
        let cluster = Cluster {
            name,
            labels,
            facts: Facts::Null,
            deleted: false,
            agent: Agent::new(self.time),
            link: true,
            up: true,
            slow: 100,
            broken: false,
        };
        self.clusters.insert(uid, cluster);
        self.stale_candidate = true;
    }

    /// The newest cluster of that name.
    pub fn find(&self, name: &str) -> Option<ClusterUid> {
        let found = self.clusters.iter().rev().find(|(_, c)| c.name.as_str() == name);
        found.map(|(uid, _)| uid.clone())
    }

    /// Labels of a cluster are changed.
    pub fn relabel(&mut self, uid: &ClusterUid, key: &str, value: &str) {
        if let Some(cluster) = self.clusters.get_mut(uid) {
            cluster.labels.insert(key.to_owned(), value.to_owned());
            self.stale_candidate = true;
        }
    }

    /// A cluster is deleted by a person.
    pub fn delete(&mut self, uid: &ClusterUid) {
        if let Some(cluster) = self.clusters.get_mut(uid) {
            cluster.deleted = true;
            self.stale_candidate = true;
        }
    }

    /// HEAD moves.
    pub fn commit(&mut self, head: Commitment) {
        self.commits.insert(head.commit.clone(), head.clone());
        self.head = Some(head);
        self.stale_candidate = true;
    }

    fn candidate(&self) -> Option<Candidate> {
        let head = self.head.as_ref()?;
        let selects = |c: &Cluster| head.targets.selects(&c.labels, &c.facts).unwrap_or(false);
        let selected = self.clusters.iter().filter(|(_, c)| !c.deleted && selects(c));
        let content = |uid: &ClusterUid| digest(head.own.get(uid).unwrap_or(&head.content));
        Some(Candidate {
            commit: head.commit.clone(),
            reference: "main".to_owned(),
            author: Some(head.author.clone()),
            subject: head.subject.clone(),
            targets: head.targets.clone(),
            strategy: head.strategy.clone(),
            variants: selected.map(|(uid, _)| (uid.clone(), content(uid))).collect(),
            trace: None,
            hard_to_undo: head.hard_to_undo.clone(),
        })
    }

    /// The proven release, rendered for those that HEAD selects now.
    fn proven(&self) -> Option<Proven> {
        let stable = self.hub.app.stable.as_ref()?;
        let was = self.commits.get(stable.commit())?;
        let candidate = self.hub.obs.candidate.as_ref()?;
        let content = |uid: &ClusterUid| digest(was.own.get(uid).unwrap_or(&was.content));
        let variants = candidate.variants.keys().map(|uid| (uid.clone(), content(uid))).collect();
        Some(Proven { commit: stable.commit().clone(), variants })
    }

    /// Every hub process takes in what is seen without being told.
    pub(super) fn look(&mut self) {
        if self.hub.steps_until.is_some_and(|until| until <= self.time) {
            self.hub.steps_until = None;
            self.hub.stepped = false;
        }
        for hub in std::iter::once(&mut self.hub).chain(&mut self.stale) {
            for (uid, cluster) in &self.clusters {
                hub.look_at(uid, cluster);
            }
        }
        if self.stale_candidate {
            self.stale_candidate = false;
            self.hub.obs.candidate = self.candidate().map(Arc::new);
            self.hub.obs.proven = None;
            if let Some(stale) = &mut self.stale {
                stale.obs.candidate.clone_from(&self.hub.obs.candidate);
            }
        }
    }

    /// Renders the proven release anew when it is another one.
    fn look_back(&mut self) {
        let stable = self.hub.app.stable.as_ref().map(crate::Release::commit);
        if self.hub.obs.proven.as_ref().map(|p| &p.commit) != stable {
            self.hub.obs.proven = self.proven();
        }
    }

    /// What the content that a cluster holds does there.
    pub fn behaviour(&self, uid: &ClusterUid) -> Behaviour {
        let Some(cluster) = self.clusters.get(uid) else { return Behaviour::Stuck };
        behaviour(&self.contents, uid, cluster)
    }

    /// The hub process dies and another one starts: only the log is left.
    pub fn crash(&mut self) {
        let folded = App::fold(self.hub.app.name.clone(), &self.log);
        #[cfg(feature = "mutations")]
        self.hub.app.seed(None);
        if folded != self.hub.app {
            self.violations.push("I13: the fold of the log differs from memory".to_owned());
        }
        let term = LeaseEpoch(self.hub.term.0 + 1);
        self.hub.restart(folded, term, self.time);
        self.seed();
    }

    /// Another process takes the lease over; the old one lives on and does not know.
    pub fn fail_over(&mut self) {
        self.stale = Some(self.hub.clone());
        self.crash();
    }

    fn seed(&mut self) {
        #[cfg(feature = "mutations")]
        for hub in std::iter::once(&mut self.hub).chain(&mut self.stale) {
            hub.app.seed(self.bug);
            hub.before.seed(self.bug);
        }
    }

    /// The one way into the log: checked, applied, then perhaps the hub dies.
    fn append(&mut self, event: Event) {
        let now = self.now();
        self.hub.app.apply(&event);
        let Hub { before, app, obs, .. } = &self.hub;
        self.violations.extend(crate::check::violations(before, &event, app, now, obs));
        self.check_truth(&event);
        self.hub.before.apply(&event);
        if let Event::Granted { cluster, grant, .. }
        | Event::CaughtUp { cluster, grant, .. }
        | Event::Restored { cluster, grant, .. } = &event
        {
            self.granted.insert((cluster.clone(), grant.epoch, grant.digest));
        }
        self.log.push(event);
        self.times.push(self.time);
        if self.crash_at == Some(self.log.len()) || self.rng.chance(self.faults.crash) {
            self.crash_at = None;
            self.crash();
        }
    }

    /// Decides until there is nothing to decide, then tells every cluster.
    pub fn wake(&mut self) {
        self.look();
        self.wake_stale();
        if !self.hub.up {
            return;
        }
        self.seed();
        loop {
            if !self.decide_all() {
                return;
            }
            if !self.measure() {
                break;
            }
        }
        self.check_quiet();
        let (term, hub) = (self.hub.term, &self.hub.app);
        let directives = self.clusters.iter().filter(|(_, c)| !c.deleted);
        let directives: Vec<_> =
            directives.map(|(uid, _)| (uid.clone(), crate::serve(hub, uid))).collect();
        for (uid, directive) in directives {
            self.send(uid, Body::Say(term, directive));
        }
    }

    /// One decision after the other until there is none; false when there is no end to it.
    fn decide_all(&mut self) -> bool {
        let mut scan = Scan::default();
        for burst in 0.. {
            self.look_back();
            let now = self.now();
            let next = scan.next(&self.hub.app, now, &self.hub.obs);
            if self.compare && next != crate::decide(&self.hub.app, now, &self.hub.obs) {
                self.violations.push(format!("a scan says what a fresh look does not: {next:?}"));
            }
            let Some(event) = next else { break };
            let term = self.hub.term;
            if burst == BURST_MAX {
                self.violations.push(format!("L1: decides for ever: {event:?}"));
                return false;
            }
            self.append(event);
            if self.hub.term != term {
                scan = Scan::default();
            }
        }
        true
    }

    /// The process that lost its lease decides, too: its append is refused, but it tells what it believes.
    fn wake_stale(&mut self) {
        let Some(stale) = self.stale.as_ref().filter(|hub| hub.up) else { return };
        let now = stale.now(self.begin, self.time);
        let wants = crate::decide(&stale.app, now, &stale.obs).is_some();
        let directives = self.clusters.iter().filter(|(_, c)| !c.deleted);
        let directives: Vec<_> =
            directives.map(|(uid, _)| (uid.clone(), crate::serve(&stale.app, uid))).collect();
        let term = stale.term;
        self.refused += usize::from(wants);
        for (uid, directive) in directives {
            self.send(uid, Body::Say(term, directive));
        }
    }

    /// A verb by a person who does not say what they looked at.
    pub fn command(&mut self, verb: &Verb, by: &Actor) -> Result<(), Refusal> {
        self.command_on(verb, by, None)
    }

    /// A verb by a person who looked at the state with that stamp.
    pub fn command_on(
        &mut self,
        verb: &Verb,
        by: &Actor,
        seen: Option<&Digest>,
    ) -> Result<(), Refusal> {
        self.look();
        let event = crate::command(&self.hub.app, verb, by, seen, self.now(), &self.hub.obs)?;
        self.append(event);
        self.wake();
        Ok(())
    }

    /// Lets time pass: agents report, messages arrive, the hub decides.
    pub fn step(&mut self, by: Duration) {
        self.time += by;
        self.look();
        self.deliver();
        self.reports(|_, _| true);
        self.deliver();
        self.wake();
        self.deliver();
    }

    /// Many small steps.
    pub fn run(&mut self, time: Duration, step: Duration) {
        let end = self.time + time;
        while self.time < end {
            self.step(step.min(end.saturating_sub(self.time)));
        }
    }
}

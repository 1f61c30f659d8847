//! What agents said, in memory only: sessions, when each was last heard, its newest report per App.
//!
//! Soft state by design: agents send all of it again when they connect, so none of it is stored and a
//! restarted hub knows nothing until it is told. Silence is therefore never taken for success.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use model::{AppName, ClusterUid, Digest, Epoch, Facts, Reason, Report};
use tokio::sync::watch;

use crate::clock::Clock;

/// Number of one session of one cluster; rising within a hub process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What an agent says of itself when it connects.
#[derive(Debug, Clone, Default)]
pub struct HelloInfo {
    /// Its version.
    pub agent_version: String,
    /// Its durable count of starts.
    pub boot: u64,
    /// What it knows of its cluster.
    pub facts: Option<Facts>,
}

/// A session as the gRPC shell holds it.
#[derive(Debug)]
pub struct Attached {
    /// Which.
    pub session: SessionId,
    /// Changes whenever what is served to the cluster may have changed, or the session was displaced.
    pub wake: watch::Receiver<u64>,
}

/// The newest thing an agent refused to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The App it was about.
    pub app: AppName,
    /// The epoch it was about.
    pub epoch: Epoch,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// One report with the trace it belongs to.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What the agent saw.
    pub report: Report,
    /// When it arrived, on the hub's monotonic clock.
    pub at: Duration,
    /// W3C traceparent of the agent's span.
    pub trace: Option<String>,
}

/// Everything known of one cluster's agent.
#[derive(Debug, Clone, Default)]
pub struct AgentView {
    /// Whether it has a session now.
    pub connected: bool,
    /// Whether it has told in this session all that it holds. Until then nothing is decided about it:
    /// what it holds may be newer than what is known.
    pub synced: bool,
    /// When it was last heard from in a session in which it had told all, while it has not in this one.
    heard_before: Option<Duration>,
    /// When it was last heard from, on the hub's monotonic clock.
    pub last_heard: Option<Duration>,
    /// The same by wall clock, for people.
    pub last_seen: Option<Timestamp>,
    /// Its version.
    pub agent_version: Option<String>,
    /// What it knows of its cluster.
    pub facts: Option<Facts>,
    /// Newest report per App.
    pub reports: BTreeMap<AppName, Heard>,
    /// Newest refusal per App.
    pub refusals: BTreeMap<AppName, Refusal>,
}

impl AgentView {
    /// When it was last heard from, counting only sessions in which it told all that it holds.
    pub fn heard_whole(&self) -> Option<Duration> {
        if self.synced { self.last_heard } else { self.heard_before }
    }
}

#[derive(Debug)]
struct Agent {
    session: Option<SessionId>,
    wake: watch::Sender<u64>,
    view: AgentView,
}

/// Soft state of all agents. Cheap to share; one short lock.
#[derive(Debug)]
pub struct Fleet {
    clock: Clock,
    agents: Mutex<Agents>,
    /// Counts everything that could change a decision; the driver waits on it.
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Agents {
    by_uid: BTreeMap<ClusterUid, Agent>,
    sessions: u64,
}

impl Fleet {
    /// An empty fleet.
    pub fn new(clock: Clock) -> Fleet {
        Fleet { clock, agents: Mutex::default(), moved: watch::Sender::new(0) }
    }

    /// Changes whenever something was heard that could change a decision.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// A new session of a cluster; an older one of the same cluster is displaced.
    pub fn connect(&self, uid: &ClusterUid, hello: HelloInfo) -> Attached {
        let mut agents = self.lock();
        agents.sessions += 1;
        let session = SessionId(agents.sessions);
        let agent = agents.by_uid.entry(uid.clone()).or_insert_with(Agent::absent);
        agent.session = Some(session);
        agent.view.connected = true;
        agent.view.heard_before = agent.view.heard_whole();
        agent.view.synced = false;
        agent.view.agent_version = Some(hello.agent_version);
        if let Some(facts) = hello.facts {
            agent.view.facts = Some(facts);
        }
        agent.heard(&self.clock);
        agent.wake.send_modify(|n| *n += 1);
        let wake = agent.wake.subscribe();
        drop(agents);
        self.note();
        Attached { session, wake }
    }

    /// Whether `session` is still the cluster's newest.
    pub fn is_current(&self, uid: &ClusterUid, session: SessionId) -> bool {
        self.lock().by_uid.get(uid).is_some_and(|a| a.session == Some(session))
    }

    /// The session ended. Says nothing about the cluster's health.
    pub fn disconnect(&self, uid: &ClusterUid, session: SessionId) {
        let changed = self.with(uid, session, |agent, _| {
            agent.session = None;
            agent.view.connected = false;
        });
        if changed {
            self.note();
        }
    }

    /// The agent has reported all that it holds.
    pub fn synced(&self, uid: &ClusterUid, session: SessionId) {
        let changed = self.with(uid, session, |agent, clock| {
            agent.heard(clock);
            agent.view.synced = true;
        });
        if changed {
            self.note();
        }
    }

    /// A sign of life.
    pub fn heard(&self, uid: &ClusterUid, session: SessionId) {
        self.with(uid, session, Agent::heard);
    }

    /// A report. One that is not newer by (boot, seq) changes nothing but the time of hearing.
    pub fn report(
        &self,
        uid: &ClusterUid,
        session: SessionId,
        app: AppName,
        report: Report,
        trace: Option<String>,
    ) {
        let changed = self.with(uid, session, |agent, clock| {
            agent.heard(clock);
            let newer =
                agent.view.reports.get(&app).is_none_or(|old| {
                    (old.report.boot, old.report.seq) < (report.boot, report.seq)
                });
            if newer {
                let at = clock.since_start();
                agent.view.reports.insert(app, Heard { report, at, trace });
            }
        });
        if changed {
            self.note();
        }
    }

    /// New facts.
    pub fn facts(&self, uid: &ClusterUid, session: SessionId, facts: Facts) {
        let changed = self.with(uid, session, |agent, clock| {
            agent.heard(clock);
            agent.view.facts = Some(facts);
        });
        if changed {
            self.note();
        }
    }

    /// The agent did not follow a directive.
    pub fn refused(
        &self,
        uid: &ClusterUid,
        session: SessionId,
        app: AppName,
        epoch: Epoch,
        reason: Reason,
        message: String,
    ) {
        let changed = self.with(uid, session, |agent, clock| {
            agent.heard(clock);
            let refusal = Refusal { app: app.clone(), epoch, reason, message };
            agent.view.refusals.insert(app, refusal);
        });
        if changed {
            self.note();
        }
    }

    /// What is known of one cluster's agent.
    pub fn view(&self, uid: &ClusterUid) -> AgentView {
        self.lock().by_uid.get(uid).map(|a| a.view.clone()).unwrap_or_default()
    }

    /// The same without reports, refusals and facts, which are most of it.
    pub fn presence(&self, uid: &ClusterUid) -> AgentView {
        let agents = self.lock();
        let Some(Agent { view, .. }) = agents.by_uid.get(uid) else { return AgentView::default() };
        AgentView {
            connected: view.connected,
            synced: view.synced,
            heard_before: view.heard_before,
            last_heard: view.last_heard,
            last_seen: view.last_seen,
            agent_version: view.agent_version.clone(),
            ..AgentView::default()
        }
    }

    /// Calls `look` on every known agent under one lock; for building what the brain is told.
    pub fn each(&self, mut look: impl FnMut(&ClusterUid, &AgentView)) {
        for (uid, agent) in &self.lock().by_uid {
            look(uid, &agent.view);
        }
    }

    /// Number of live sessions.
    pub fn connected(&self) -> usize {
        self.lock().by_uid.values().filter(|a| a.view.connected).count()
    }

    /// Wakes the session of a cluster because what is served to it may have changed.
    pub fn wake(&self, uid: &ClusterUid) {
        if let Some(agent) = self.lock().by_uid.get(uid) {
            agent.wake.send_modify(|n| *n += 1);
        }
    }

    /// Forgets a cluster that was deleted; its session ends.
    pub fn forget(&self, uid: &ClusterUid) {
        if let Some(agent) = self.lock().by_uid.remove(uid) {
            agent.wake.send_modify(|n| *n += 1);
        }
        self.note();
    }

    fn with(
        &self,
        uid: &ClusterUid,
        session: SessionId,
        change: impl FnOnce(&mut Agent, &Clock),
    ) -> bool {
        let mut agents = self.lock();
        match agents.by_uid.get_mut(uid).filter(|a| a.session == Some(session)) {
            Some(agent) => {
                change(agent, &self.clock);
                true
            }
            None => false,
        }
    }

    fn note(&self) {
        self.moved.send_modify(|n| *n += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Agents> {
        // A panic while holding the lock leaves whole entries only; going on is safe.
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    fn absent() -> Agent {
        Agent { session: None, wake: watch::Sender::new(0), view: AgentView::default() }
    }

    fn heard(&mut self, clock: &Clock) {
        self.view.last_heard = Some(clock.since_start());
        self.view.last_seen = Some(clock.now());
    }
}

/// What a report says about the grant it is about, for the desk's short cut.
pub fn held(report: &Report) -> (Epoch, Option<Digest>, Epoch) {
    (report.epoch, report.digest, report.fence)
}

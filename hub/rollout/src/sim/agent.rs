//! An agent as the protocol wants it: durable epoch and fence, monotonic timers, no opinion.

use std::{collections::BTreeMap, time::Duration};

use model::{Digest, Directive, Epoch, LeaseEpoch, Phase, Reason, Report};

/// What content does to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Healthy after a while.
    Good(Duration),
    /// Never healthy.
    Stuck,
    /// A terminal error after a while.
    Terminal(Duration),
    /// Healthy, then not.
    Regresses {
        /// Healthy after this.
        healthy: Duration,
        /// And for so long.
        lasts: Duration,
    },
    /// Cuts the agent off from the hub.
    CutsNetwork,
    /// Unhealthy whatever runs there: the cluster itself is broken.
    Broken,
}

impl Behaviour {
    /// The same on a cluster that takes so many percent of the usual time.
    #[must_use]
    pub fn slowed(self, percent: u32) -> Behaviour {
        let slow = |time: Duration| time * percent / 100;
        match self {
            Behaviour::Good(after) => Behaviour::Good(slow(after)),
            Behaviour::Terminal(after) => Behaviour::Terminal(slow(after)),
            Behaviour::Regresses { healthy, lasts } => {
                Behaviour::Regresses { healthy: slow(healthy), lasts }
            }
            Behaviour::Stuck | Behaviour::CutsNetwork | Behaviour::Broken => self,
        }
    }

    /// Ages of a grant at which what is to be seen changes.
    pub(super) fn turns(self) -> [Option<Duration>; 2] {
        match self {
            Behaviour::Good(after) | Behaviour::Terminal(after) => [Some(after), None],
            Behaviour::Regresses { healthy, lasts } => [Some(healthy), Some(healthy + lasts)],
            Behaviour::Stuck | Behaviour::CutsNetwork | Behaviour::Broken => [None, None],
        }
    }
}

/// One agent. What a restart loses is marked.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Rises with each start of the agent.
    pub boot: u64,
    /// Number of the last report of this boot.
    pub seq: u64,
    /// Epoch of the grant that it holds.
    pub epoch: Epoch,
    /// Content of the grant that it holds.
    pub digest: Option<Digest>,
    /// It promised never to accept this epoch or an older one.
    pub fence: Epoch,
    /// Highest hub term heard.
    pub term: LeaseEpoch,
    /// When it heard something that it has not answered yet.
    pub heard: Option<Duration>,
    /// When it accepted what it runs, in true time.
    pub accepted: Duration,
    /// Lost by a restart: since when it measures.
    pub measures_since: Duration,
    /// The story's own record: longest proven health per epoch.
    pub best: BTreeMap<Epoch, Duration>,
}

impl Agent {
    /// An agent that was just installed.
    pub fn new(now: Duration) -> Agent {
        Agent {
            boot: 1,
            seq: 0,
            epoch: Epoch::NONE,
            digest: None,
            fence: Epoch::NONE,
            term: LeaseEpoch(0),
            heard: None,
            accepted: now,
            measures_since: now,
            best: BTreeMap::new(),
        }
    }

    /// The process starts again: its monotonic clock does, too.
    pub fn restart(&mut self, now: Duration) {
        self.boot += 1;
        self.seq = 0;
        self.measures_since = now;
    }

    /// A reinstalled agent: everything durable is gone, but the cluster runs on.
    pub fn wipe(&mut self, now: Duration) {
        self.restart(now);
        self.epoch = Epoch::NONE;
        self.digest = None;
        self.fence = Epoch::NONE;
    }

    /// A directive arrives, from the hub process of that term.
    pub fn hear(&mut self, term: LeaseEpoch, directive: Directive, now: Duration) {
        if term < self.term {
            return;
        }
        self.term = term;
        let (epoch, fence) = (self.epoch, self.fence);
        match directive {
            Directive::Hold => {}
            Directive::Grant(grant) => {
                if grant.epoch > self.epoch && grant.epoch > self.fence {
                    self.epoch = grant.epoch;
                    self.digest = Some(grant.digest);
                    self.accepted = now;
                    self.measures_since = now;
                }
            }
            Directive::Fence(epoch) => {
                if self.epoch < epoch {
                    self.fence = self.fence.max(epoch);
                }
            }
        }
        if (epoch, fence) != (self.epoch, self.fence) {
            self.heard = Some(now);
        }
    }

    /// Health, for how long healthy, for how long bad.
    fn health(&self, behaviour: Behaviour, now: Duration) -> (Phase, Duration, Duration) {
        let age = now.saturating_sub(self.accepted);
        let measured = now.saturating_sub(self.measures_since);
        let zero = Duration::ZERO;
        let degraded = || Phase::Degraded {
            reason: Reason::ProgressDeadline,
            message: "Deployment shop/web has 0 of 3 ready".to_owned(),
        };
        match behaviour {
            Behaviour::Good(after) if age >= after => {
                (Phase::Healthy, age.saturating_sub(after).min(measured), zero)
            }
            Behaviour::Good(_) | Behaviour::Stuck | Behaviour::CutsNetwork => {
                (Phase::Applying, zero, zero)
            }
            Behaviour::Terminal(after) if age >= after => {
                let message = "ImagePullBackOff".to_owned();
                let phase = Phase::Failed { reason: Reason::AgentFailed, message };
                (phase, zero, age.saturating_sub(after).min(measured))
            }
            Behaviour::Terminal(_) => (Phase::Applying, zero, zero),
            Behaviour::Regresses { healthy, .. } if age < healthy => (Phase::Applying, zero, zero),
            Behaviour::Regresses { healthy, lasts } if age < healthy + lasts => {
                (Phase::Healthy, age.saturating_sub(healthy).min(measured), zero)
            }
            Behaviour::Regresses { healthy, lasts } => {
                (degraded(), zero, age.saturating_sub(healthy + lasts).min(measured))
            }
            Behaviour::Broken => (degraded(), zero, measured),
        }
    }

    /// What it says now.
    pub fn report(&mut self, behaviour: Behaviour, now: Duration) -> Report {
        self.seq += 1;
        let idle = (Phase::Healthy, now.saturating_sub(self.measures_since), Duration::ZERO);
        let (phase, healthy_for, bad_for) = match self.digest {
            Some(_) => self.health(behaviour, now),
            None => idle,
        };
        let best = self.best.entry(self.epoch).or_default();
        *best = (*best).max(healthy_for);
        Report {
            boot: self.boot,
            seq: self.seq,
            epoch: self.epoch,
            digest: self.digest,
            fence: self.fence,
            phase,
            healthy_for,
            bad_for,
            applying_for: now.saturating_sub(self.measures_since),
            objects_total: 3,
            objects_healthy: 0,
            drifted: 0,
            unhealthy: Vec::new(),
        }
    }
}

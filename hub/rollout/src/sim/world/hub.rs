//! A hub process of the world: what it remembers, what it heard, and nothing else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::{AppName, ClusterUid, LeaseEpoch, Report};

use crate::{App, ClusterObs, Now, Obs};

use super::Cluster;

/// One hub process.
#[derive(Debug, Clone)]
pub struct Hub {
    /// What it remembers: the fold of the log.
    pub app: App,
    /// One event behind `app` while an append is checked, else the same.
    pub(super) before: App,
    /// What it observed. Clusters and the newest commit are kept up to date by the world; the rest is for
    /// whoever tells the story.
    pub obs: Obs,
    /// Which process it is.
    pub term: LeaseEpoch,
    /// The process runs.
    pub up: bool,
    /// How far its wall clock is off.
    pub wall_jump: SignedDuration,
    /// It noticed a moment ago that its wall clock jumped.
    pub stepped: bool,
    /// Until when it does not trust its wall clock.
    pub(super) steps_until: Option<Duration>,
    /// When the process started, in true time.
    pub(super) started: Duration,
}

impl Hub {
    pub(super) fn new(name: AppName) -> Hub {
        Hub {
            app: App::new(name.clone()),
            before: App::new(name),
            obs: Obs::default(),
            term: LeaseEpoch(1),
            up: true,
            wall_jump: SignedDuration::ZERO,
            stepped: false,
            steps_until: None,
            started: Duration::ZERO,
        }
    }

    /// The time as this process sees it; `begin` is true time zero.
    pub(super) fn now(&self, begin: Timestamp, time: Duration) -> Now {
        let wall = begin.saturating_add(time).and_then(|t| t.saturating_add(self.wall_jump));
        Now {
            wall: wall.unwrap_or(Timestamp::MAX),
            mono: time.saturating_sub(self.started),
            term: self.term,
            stepped: self.stepped,
        }
    }

    /// Takes in what is seen without being told: links and labels.
    pub(super) fn look_at(&mut self, uid: &ClusterUid, cluster: &Cluster) {
        let connected = cluster.link && cluster.up;
        let Some(seen) = self.obs.clusters.get_mut(uid) else {
            let seen = ClusterObs {
                name: cluster.name.clone(),
                labels: cluster.labels.clone(),
                facts: cluster.facts.clone(),
                connected,
                last_heard: None,
                report: None,
                deleted: cluster.deleted,
                cordon: None,
                pin: None,
                busy: 0,
            };
            self.obs.clusters.insert(uid.clone(), seen);
            return;
        };
        seen.connected = connected;
        seen.deleted = cluster.deleted;
        if seen.labels != cluster.labels {
            seen.labels.clone_from(&cluster.labels);
        }
        if seen.facts != cluster.facts {
            seen.facts.clone_from(&cluster.facts);
        }
    }

    /// A report arrives; older ones than the newest are dropped.
    pub(super) fn hear(&mut self, cluster: &ClusterUid, report: &Report, time: Duration) {
        let mono = time.saturating_sub(self.started);
        let Some(seen) = self.obs.clusters.get_mut(cluster).filter(|c| !c.deleted) else { return };
        let newest = seen.report.as_ref().map(|r| (r.boot, r.seq));
        if self.up && newest < Some((report.boot, report.seq)) {
            seen.last_heard = Some(mono);
            seen.report = Some(report.clone());
        }
    }

    /// Another process takes over from the log: everything heard is gone.
    pub(super) fn restart(&mut self, app: App, term: LeaseEpoch, time: Duration) {
        self.app = app;
        self.before = self.app.clone();
        self.term = term;
        self.started = time;
        for seen in self.obs.clusters.values_mut() {
            seen.last_heard = None;
            seen.report = None;
        }
    }
}

//! The network, which may lose, repeat, delay and reorder, and what is heard at its ends.

use std::{collections::BTreeMap, time::Duration};

use model::{ClusterUid, Digest, Directive, LeaseEpoch, Report};

use super::{Cluster, Content, World};
use crate::sim::agent::Behaviour;

#[derive(Debug)]
pub(super) enum Body {
    /// What a hub process tells.
    Say(LeaseEpoch, Directive),
    /// What an agent reports.
    Report(Box<Report>),
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) due: Duration,
    cluster: ClusterUid,
    body: Body,
}

impl World {
    pub(super) fn send(&mut self, cluster: ClusterUid, body: Body) {
        let link = self.clusters.get(&cluster).is_some_and(|c| c.link);
        if !link || self.rng.chance(self.faults.loss) {
            return;
        }
        if self.rng.chance(self.faults.duplicate) {
            let again = match &body {
                Body::Say(term, directive) => Body::Say(*term, *directive),
                Body::Report(report) => Body::Report(report.clone()),
            };
            let due = self.arrival();
            self.net.push(Message { due, cluster: cluster.clone(), body: again });
        }
        let due = self.arrival();
        self.net.push(Message { due, cluster, body });
    }

    fn arrival(&mut self) -> Duration {
        match self.faults.delay_secs {
            0 => self.time,
            longest => self.time + Duration::from_secs(self.rng.below(longest + 1)),
        }
    }

    /// What has arrived by now is heard.
    pub(super) fn deliver(&mut self) {
        let time = self.time;
        for message in std::mem::take(&mut self.net) {
            let held =
                matches!(message.body, Body::Say(..)) && self.held.contains(&message.cluster);
            if message.due > time || held {
                self.net.push(message);
                continue;
            }
            match message.body {
                Body::Say(term, directive) => {
                    let Some(cluster) = self.clusters.get_mut(&message.cluster) else { continue };
                    if cluster.up {
                        let before = cluster.agent.epoch;
                        cluster.agent.hear(term, directive, time);
                        self.check_accepted(&message.cluster, before);
                    }
                }
                Body::Report(report) => {
                    self.hub.hear(&message.cluster, &report, time);
                    if let Some(stale) = &mut self.stale {
                        stale.hear(&message.cluster, &report, time);
                    }
                }
            }
        }
    }

    /// Agents report.
    pub(super) fn reports(&mut self, wanted: impl Fn(&ClusterUid, &Cluster) -> bool) {
        let mut all = Vec::with_capacity(self.clusters.len());
        for (uid, cluster) in &mut self.clusters {
            if !cluster.up || cluster.deleted || !wanted(uid, cluster) {
                continue;
            }
            let behaviour = behaviour(&self.contents, uid, cluster);
            if behaviour == Behaviour::CutsNetwork {
                cluster.link = false;
            }
            #[cfg(feature = "mutations")]
            if self.bug == Some(crate::Bug::DriftToLatest)
                && cluster.agent.digest.is_some()
                && let Some(head) = &self.head
            {
                cluster.agent.digest = Some(super::digest(&head.content));
            }
            all.push((uid.clone(), cluster.agent.report(behaviour, self.time)));
        }
        for (uid, report) in all {
            self.check_held(&uid);
            self.send(uid, Body::Report(Box::new(report)));
        }
    }
}

/// What the content that a cluster holds does there.
pub(super) fn behaviour(
    contents: &BTreeMap<Digest, Content>,
    uid: &ClusterUid,
    cluster: &Cluster,
) -> Behaviour {
    if cluster.broken {
        return Behaviour::Broken;
    }
    let content = cluster.agent.digest.and_then(|d| contents.get(&d));
    let known = content.and_then(|c| c.on.get(uid).copied().or(c.everywhere));
    known.unwrap_or(Behaviour::Good(USUAL)).slowed(cluster.slow)
}

/// How long content takes to become healthy where nothing else is said.
const USUAL: Duration = Duration::from_secs(20);

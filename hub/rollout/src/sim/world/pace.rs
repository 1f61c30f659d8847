//! From instant to instant: nothing is simulated between two moments at which something can change.

use std::time::Duration;

use super::{World, network::behaviour};

/// Shortest way from one instant to the next: what is due in between happens at the later one.
const STEP_MIN: Duration = Duration::from_millis(1);

impl World {
    /// What is due now happens: messages arrive, agents with news report, the hub decides.
    pub fn instant(&mut self) {
        let (time, pace) = (self.time, self.pace);
        self.look();
        self.deliver();
        let beats = beat(time, pace.heartbeat) == time;
        let mut due = Vec::new();
        for (uid, cluster) in &self.clusters {
            let age = time.saturating_sub(cluster.agent.accepted);
            let turns = behaviour(&self.contents, uid, cluster).turns();
            let turned = cluster.agent.digest.is_some() && turns.contains(&Some(age));
            let answers = cluster.agent.heard.is_some_and(|at| at + pace.answer <= time);
            if beats || turned || answers {
                due.push(uid.clone());
            }
        }
        for uid in &due {
            if let Some(cluster) = self.clusters.get_mut(uid) {
                cluster.agent.heard = None;
            }
        }
        self.reports(|uid, _| due.binary_search(uid).is_ok());
        self.deliver();
        self.wake();
        self.deliver();
        let wake = crate::next_wakeup(&self.hub.app, self.now(), &self.hub.obs);
        // A hub that is down waits for nobody.
        self.wake_at = wake.filter(|_| self.hub.up).map(|after| time + after);
    }

    /// The next moment at which something can change by itself.
    pub fn next_instant(&self) -> Duration {
        let (time, pace) = (self.time, self.pace);
        let mut next = beat(time, pace.heartbeat) + pace.heartbeat;
        let mut sooner = |at: Duration| {
            if at > time {
                next = next.min(at);
            }
        };
        self.wake_at.into_iter().for_each(&mut sooner);
        self.outside_at().into_iter().for_each(&mut sooner);
        self.net.iter().for_each(|message| sooner(message.due));
        for (uid, cluster) in &self.clusters {
            let agent = &cluster.agent;
            agent.heard.into_iter().for_each(|at| sooner(at + pace.answer));
            if agent.digest.is_some() {
                let turns = behaviour(&self.contents, uid, cluster).turns();
                turns.into_iter().flatten().for_each(|age| sooner(agent.accepted + age));
            }
        }
        next.max(time + STEP_MIN)
    }
}

/// The last beat at or before `time`.
fn beat(time: Duration, every: Duration) -> Duration {
    let (time, every) = (time.as_nanos(), every.as_nanos().max(1));
    Duration::from_nanos(u64::try_from(time - time % every).unwrap_or(u64::MAX))
}

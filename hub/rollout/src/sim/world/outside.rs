//! What a hub hears of the world besides its agents: measurements, marks that people set, clocks.

use std::time::Duration;

use jiff::SignedDuration;
use model::{AppName, ClusterUid};

use super::World;
use crate::{Answer, BlockerObs, DependencyObs, Mark, STEP, STEP_SETTLES};

/// Something outside changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Outside {
    /// A freeze of `fleet` or `app/web` begins or ends.
    Freeze(Mark, bool),
    /// A blocker is set or cleared.
    Blocker(String, bool),
    /// An App that this one depends on: where it is ready, and whether it is done everywhere.
    Dependency(AppName, DependencyObs),
    /// What every measurement says from now on; nothing when the one who measures is silent.
    Measures(Option<Answer>),
    /// A person keeps new releases away from clusters, or no longer.
    Cordon(Vec<ClusterUid>, Mark, bool),
    /// A person keeps clusters on what they run, or no longer.
    Pin(Vec<ClusterUid>, Mark, bool),
    /// So many other Apps are in flight on clusters.
    Busy(Vec<ClusterUid>, u32),
    /// So many grants may leave the hub; as many as it likes when absent.
    GrantsLeft(Option<u32>),
    /// Overrides and pardons need two people, or no longer.
    TwoPeople(bool),
}

impl World {
    /// Something outside changes, for every hub process.
    pub fn outside(&mut self, what: &Outside) {
        self.look();
        if let Outside::Measures(answer) = what {
            self.measures = *answer;
        }
        for hub in std::iter::once(&mut self.hub).chain(&mut self.stale) {
            let obs = &mut hub.obs;
            match what {
                Outside::Freeze(mark, on) => {
                    obs.freezes.retain(|m| m.scope != mark.scope);
                    obs.freezes.extend(on.then(|| mark.clone()));
                }
                Outside::Blocker(name, set) => {
                    let message = if *set { "set by a person" } else { "clear" }.to_owned();
                    obs.blockers.insert(name.clone(), BlockerObs { set: *set, message });
                }
                Outside::Dependency(app, is) => {
                    obs.dependencies.insert(app.clone(), is.clone());
                }
                Outside::Cordon(of, mark, on) => {
                    for uid in of {
                        if let Some(cluster) = obs.clusters.get_mut(uid) {
                            cluster.cordon = on.then(|| mark.clone());
                        }
                    }
                }
                Outside::Pin(of, mark, on) => {
                    for uid in of {
                        if let Some(cluster) = obs.clusters.get_mut(uid) {
                            cluster.pin = on.then(|| mark.clone());
                        }
                    }
                }
                Outside::Busy(of, others) => {
                    for uid in of {
                        if let Some(cluster) = obs.clusters.get_mut(uid) {
                            cluster.busy = *others;
                        }
                    }
                }
                Outside::GrantsLeft(left) => obs.grants_left = *left,
                Outside::TwoPeople(needed) => obs.two_people = *needed,
                Outside::Measures(_) => {}
            }
        }
    }

    /// The wall clock of the hub with the lease jumps.
    pub fn jump(&mut self, by: SignedDuration) {
        self.hub.wall_jump += by;
        if by.abs() > STEP {
            self.hub.steps_until = Some(self.time + STEP_SETTLES);
            self.hub.stepped = true;
        }
    }

    /// Asks what is due to be measured, and writes the answer down. True when there was one.
    pub(super) fn measure(&mut self) -> bool {
        let Some(answer) = self.measures else { return false };
        let now = self.now();
        let Some(asked) = crate::question(&self.hub.app, now, &self.hub.obs) else { return false };
        if asked.due > now.wall {
            return false;
        }
        let figure = match answer {
            Answer::Pass => "0.001",
            Answer::Fail => "0.4",
            Answer::Hold => "nobody answers",
        };
        let of = (asked.rollout, asked.wave);
        match crate::answer(&self.hub.app, of, answer, figure, now) {
            Some(event) => {
                self.append(event);
                true
            }
            None => false,
        }
    }

    /// When the next measurement is due, or the clock is trusted again.
    pub(super) fn outside_at(&self) -> Option<Duration> {
        let now = self.now();
        let asked = self.measures.and(crate::question(&self.hub.app, now, &self.hub.obs));
        let asked = asked.map(|q| {
            let left = now.wall.duration_until(q.due);
            self.time + Duration::try_from(left).unwrap_or_default()
        });
        [asked, self.hub.steps_until].into_iter().flatten().min()
    }
}

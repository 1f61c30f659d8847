//! The catch-up lane: clusters that are brought to the proven release outside any rollout.

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Grant};

use crate::{
    act::LaneChange,
    state::{App, Given, Holding, InLane},
};

impl App {
    pub(super) fn catch_up(
        &mut self,
        uid: &ClusterUid,
        name: &ClusterName,
        grant: Grant,
        at: Timestamp,
    ) {
        let Some(rollout) = self.stable_rollout else { return };
        self.targets.insert(uid.clone());
        self.untargeted.remove(uid);
        let holding =
            self.clusters.entry(uid.clone()).or_insert_with(|| Holding::new(name.clone()));
        holding.name = name.clone();
        holding.push(Given { grant, rollout });
        self.lane.insert(uid.clone(), InLane { grant, failed: None, since: at });
    }

    pub(super) fn change_lane(&mut self, uid: &ClusterUid, change: &LaneChange, at: Timestamp) {
        match change {
            LaneChange::Done => {
                if let Some(lane) = self.lane.remove(uid)
                    && let Some(holding) = self.clusters.get_mut(uid)
                {
                    holding.prove(lane.grant.digest);
                }
            }
            LaneChange::Failed { why, message } => {
                if let Some(lane) = self.lane.get_mut(uid) {
                    lane.failed = Some((*why, message.clone()));
                    lane.since = at;
                }
            }
        }
    }
}

//! What must hold of a whole log, read with no help from the fold.

use std::collections::{BTreeMap, BTreeSet};

use model::{ClusterUid, Epoch, RolloutId};

use crate::event::Event;

/// What is wrong with a log: epochs issued twice, rollouts that live on after their end, two at once.
pub fn log<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let mut found = Vec::new();
    let mut epochs: BTreeMap<&ClusterUid, Epoch> = BTreeMap::new();
    let mut active: Option<RolloutId> = None;
    let mut over: BTreeSet<RolloutId> = BTreeSet::new();
    let mut standing = false;
    for event in events {
        if let Some(id) = event.rollout()
            && over.contains(&id)
        {
            found.push(format!("I5: an event of rollout {id} after its end"));
        }
        match event {
            Event::Started(start) => {
                if active != start.supersedes {
                    found.push(format!("I6: rollout {} starts beside {active:?}", start.id));
                }
                over.extend(start.supersedes);
                active = Some(start.id);
                standing = start.held != crate::state::Held::No;
            }
            Event::Ended { rollout, .. } => {
                over.insert(*rollout);
                active = None;
            }
            Event::Paused { .. } | Event::Halted { .. } => standing = true,
            // A retry lifts a halt and no pause; which it was, only the fold knows.
            Event::Begun { .. } | Event::Resumed { .. } | Event::Retried { .. } => standing = false,
            Event::Granted { cluster, grant, .. }
            | Event::CaughtUp { cluster, grant, .. }
            | Event::Restored { cluster, grant, .. } => {
                let before = epochs.insert(cluster, grant.epoch).unwrap_or(Epoch::NONE);
                if grant.epoch <= before {
                    found.push(format!("I4: epoch {} of {cluster} after {before}", grant.epoch));
                }
                if standing && matches!(event, Event::Granted { .. }) {
                    found.push(format!("I17: {cluster} is granted while the rollout stands still"));
                }
            }
            Event::HeadMoved { .. }
            | Event::Acked { .. }
            | Event::Fenced { .. }
            | Event::Recalled { .. }
            | Event::Dark { .. }
            | Event::Departed { .. }
            | Event::Untargeted { .. }
            | Event::Lane { .. }
            | Event::Judged { .. }
            | Event::Joined { .. }
            | Event::Acted { .. }
            | Event::Answered { .. }
            | Event::Member { .. }
            | Event::Wave { .. }
            | Event::Skipped { .. } => {}
        }
    }
    found
}

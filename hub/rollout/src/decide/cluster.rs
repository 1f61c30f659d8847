//! Facts about clusters, true in every state of every rollout: who left, who accepted what, who promised what.

use model::{ClusterUid, Epoch, Grant};

use crate::{bug::Bug, event::Event, evidence::Look, state::Holding};

/// What the log does not say yet about what one cluster holds.
pub(crate) fn fact(look: Look<'_>, uid: &ClusterUid, holding: &Holding) -> Option<Event> {
    if holding.departed {
        return None;
    }
    if look.is_deleted(uid) {
        return Some(Event::Departed { cluster: uid.clone(), at: look.now.wall });
    }
    if holding.is_settled() { None } else { outcome(look, uid, holding) }
}

/// What a report says about a grant whose fate is open. Its age does not matter: an accepted grant stays
/// accepted, a promise stays a promise. Silence says nothing.
fn outcome(look: Look<'_>, uid: &ClusterUid, holding: &Holding) -> Option<Event> {
    let at = look.now.wall;
    if holding.recalled && look.app.has(Bug::NoFence) {
        let upto = holding.outstanding.last()?.grant.epoch;
        return Some(Event::Fenced { cluster: uid.clone(), upto, at });
    }
    let report = look.report(uid)?;
    if holding.recalled && look.app.has(Bug::RecallBelieved) {
        let upto = holding.outstanding.last()?.grant.epoch;
        return Some(Event::Fenced { cluster: uid.clone(), upto, at });
    }
    let held = |grant: Grant| grant.epoch == report.epoch && report.digest == Some(grant.digest);
    if let Some(given) = holding.outstanding.iter().find(|g| held(g.grant)) {
        return Some(Event::Acked { cluster: uid.clone(), grant: given.grant, at });
    }
    let refused = |epoch: Epoch| epoch > report.epoch && epoch <= report.fence;
    if holding.outstanding.iter().any(|g| refused(g.grant.epoch)) {
        return Some(Event::Fenced { cluster: uid.clone(), upto: report.fence, at });
    }
    None
}

/// A cluster whose agent lost its state and then promised a fence cannot accept again what it runs: it gets
/// the same content under a new epoch. Also condemned content: what stands stands until something better is
/// granted, and without a grant nothing repairs its drift.
pub(crate) fn restore(look: Look<'_>, uid: &ClusterUid, holding: &Holding) -> Option<Event> {
    let confirmed = holding.confirmed.filter(|_| holding.is_settled() && !holding.departed)?;
    let report = look.report(uid)?;
    let lost = report.epoch < confirmed.grant.epoch && report.fence >= confirmed.grant.epoch;
    let grant = Grant { epoch: look.next_epoch(uid), digest: confirmed.grant.digest };
    lost.then(|| Event::Restored { cluster: uid.clone(), grant, at: look.now.wall })
}

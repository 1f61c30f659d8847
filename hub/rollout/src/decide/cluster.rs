//! Facts about clusters, true in every state of every rollout: who left, who accepted what, who promised what.

use model::{ClusterUid, Epoch, Grant};

use crate::{
    bug::Bug,
    event::Event,
    evidence::Look,
    state::{Holding, MemberState},
};

/// The next fact that is not in the log yet.
pub(crate) fn facts(look: Look<'_>) -> Option<Event> {
    departure(look).or_else(|| {
        let unsettled = |(_, h): &(&ClusterUid, &Holding)| !h.is_settled();
        look.app.clusters.iter().filter(unsettled).find_map(|(uid, h)| outcome(look, uid, h))
    })
}

fn departure(look: Look<'_>) -> Option<Event> {
    let held = look.app.clusters.iter().filter(|(_, h)| !h.departed).map(|(uid, _)| uid);
    let members = look.app.active.iter().flat_map(|r| &r.members);
    let members = members.filter(|(_, m)| m.state != MemberState::Departed).map(|(uid, _)| uid);
    let cluster = held.chain(members).find(|uid| look.is_deleted(uid))?;
    Some(Event::Departed { cluster: cluster.clone(), at: look.now.wall })
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
pub(crate) fn restore(look: Look<'_>) -> Option<Event> {
    look.app.clusters.iter().filter(|(_, h)| h.is_settled() && !h.departed).find_map(|(uid, h)| {
        let confirmed = h.confirmed?;
        let report = look.report(uid)?;
        let lost = report.epoch < confirmed.grant.epoch && report.fence >= confirmed.grant.epoch;
        let grant = Grant { epoch: look.next_epoch(uid), digest: confirmed.grant.digest };
        lost.then(|| Event::Restored { cluster: uid.clone(), grant, at: look.now.wall })
    })
}

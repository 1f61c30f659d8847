//! What must hold of the state after every event.

use std::collections::BTreeSet;

use crate::{
    event::Event,
    state::{App, Counts, MemberState, Rollout, RolloutState},
};

pub(super) fn check(before: &App, event: &Event, after: &App, found: &mut Vec<String>) {
    if let Some(rollout) = &after.active {
        membership(rollout, found);
        in_flight(rollout, found);
        if let Some(earlier) = before.active.as_ref().filter(|r| r.id == rollout.id) {
            frozen(earlier, rollout, event, found);
        }
    }
    if after.stable_rollout != before.stable_rollout
        && let Some(rollout) = after.stable_rollout.and_then(|id| after.rollout(id))
        && rollout
            .members
            .values()
            .any(|m| !matches!(m.state, MemberState::Unchanged | MemberState::Departed))
        && !rollout.proved
    {
        found.push(format!("I7: rollout {} counts as proven, and nobody proved it", rollout.id));
    }
    let proven = after.stable.iter().flat_map(|s| s.variants.values());
    if proven.clone().any(|digest| after.condemned.contains_key(digest)) {
        found.push("I11: the proven release is condemned".to_owned());
    }
    for (uid, holding) in &after.clusters {
        let past = before.clusters.get(uid).map_or(0, |h| h.issued.0);
        if holding.issued.0 < past {
            found.push(format!("I4: epochs of {uid} went down"));
        }
        let confirmed = before.clusters.get(uid).and_then(|h| h.confirmed).map(|g| g.grant.epoch);
        let now_confirmed = holding.confirmed.map(|g| g.grant.epoch);
        if now_confirmed < confirmed && !matches!(event, Event::Departed { .. }) {
            found.push(format!("I4: the confirmed epoch of {uid} went down"));
        }
    }
    if after.last_id < before.last_id {
        found.push("I5: rollout numbers went down".to_owned());
    }
}

/// I23: every planned cluster is in exactly one wave and one state, and the counts sum up.
fn membership(rollout: &Rollout, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, wave) in rollout.waves.iter().enumerate() {
        let mut counts = Counts::default();
        for uid in &wave.order {
            if !seen.insert(uid) {
                found.push(format!("I23: {uid} is in two waves"));
            }
            match rollout.members.get(uid) {
                Some(member) if member.wave == index => counts.add(&member.state),
                _ => {
                    found.push(format!("I23: {uid} is in the order of a wave that is not its own"));
                }
            }
        }
        let sum = counts.queued
            + counts.updating
            + counts.verifying
            + counts.recalling
            + counts.updated
            + counts.failed
            + counts.deferred
            + counts.unchanged
            + counts.skipped
            + counts.departed;
        if sum as usize != wave.order.len() || counts != rollout.counts(index) {
            found.push(format!("I23: the counts of {} do not sum up", wave.spec.name));
        }
    }
    if seen.len() != rollout.members.len() {
        found.push("I23: a member is in no wave".to_owned());
    }
}

/// Exposed by this rollout and not settled.
fn authorised(state: &MemberState) -> bool {
    matches!(
        state,
        MemberState::Updating { .. }
            | MemberState::Verifying
            | MemberState::Recalling { inherited: false }
    )
}

/// I2 and I25: what the hub authorised to be in flight is within the limits at every prefix of the log.
fn in_flight(rollout: &Rollout, found: &mut Vec<String>) {
    for (index, wave) in rollout.waves.iter().enumerate() {
        let flying =
            rollout.members.values().filter(|m| m.wave == index && authorised(&m.state)).count();
        let limit = wave.limits.map_or(0, |l| l.max_in_flight) as usize;
        if flying > limit {
            let name = &wave.spec.name;
            found.push(format!("I2: {flying} in flight in {name}, {limit} allowed"));
        }
    }
    let proved =
        rollout.proved || rollout.members.values().any(|m| m.state == MemberState::Updated);
    let probe = rollout.strategy.probe as usize;
    let flying = rollout.members.values().filter(|m| authorised(&m.state)).count();
    if !rollout.is_rollback() && !proved && probe > 0 && flying > probe {
        found.push(format!("I25: {flying} in flight before the first proof, probe is {probe}"));
    }
}

/// I19 and I20: nothing that was fixed changes.
fn frozen(before: &Rollout, after: &Rollout, event: &Event, found: &mut Vec<String>) {
    for (index, (old, new)) in before.waves.iter().zip(&after.waves).enumerate() {
        // Somebody who joins stands at the end of the line; nobody else moves.
        let joins = matches!(event, Event::Joined { wave, .. } if *wave == index);
        let same = if joins { new.order.starts_with(&old.order) } else { old.order == new.order };
        if !same || old.spec != new.spec {
            found.push(format!("I20: members of {} changed", old.spec.name));
        }
        if old.limits.is_some() && old.limits != new.limits {
            found.push(format!("I19: integers of {} changed after it opened", old.spec.name));
        }
    }
    let same = before.release == after.release && before.strategy == after.strategy;
    if !same || before.kind != after.kind || before.waves.len() != after.waves.len() {
        found.push("I5: an immutable part of a rollout changed".to_owned());
    }
    if matches!(after.state, RolloutState::Ended { .. }) {
        found.push("I5: an ended rollout is active".to_owned());
    }
}

//! The catch-up lane: clusters that joined, came back or were left out get the proven release, a few at a time,
//! outside any rollout. It never hands out anything else.

use std::collections::BTreeSet;

use model::{ClusterUid, Digest, Grant, Phase};

use super::member::complaint;
use crate::{
    act::LaneChange,
    bug::Bug,
    event::Event,
    evidence::{FLAP, Look},
    release::Variants,
    removal::tombstone,
    state::{FailureWhy, InLane, LaneRules, MemberState, Rollout, WaveState},
};

/// The next step of the lane; of these clusters only, if some are named.
pub(crate) fn lane(look: Look<'_>, only: Option<&BTreeSet<ClusterUid>>) -> Option<Event> {
    let rules = look.app.lane_rules.as_ref()?;
    let step = |uid: &ClusterUid, lane: &InLane| progress(look, rules, uid, lane);
    let ahead = match only {
        Some(some) => some.iter().find_map(|uid| step(uid, look.app.lane.get(uid)?)),
        None => look.app.lane.iter().find_map(|(uid, lane)| step(uid, lane)),
    };
    ahead.or_else(|| admit(look, rules, only))
}

/// The proven release for the clusters that are targets now, as far as it is known.
pub(crate) fn proven(look: Look<'_>) -> Option<&Variants> {
    let stable = look.app.stable.as_ref()?;
    if let Some(candidate) = &look.obs.candidate
        && (candidate.commit == *stable.commit()
            && stable.variants.agrees_with(&candidate.variants)
            || look.app.has(Bug::LaneUnproven))
    {
        return Some(&candidate.variants);
    }
    let rendered = look.obs.proven.as_ref().filter(|p| p.commit == *stable.commit());
    Some(rendered.map_or(&stable.variants, |p| &p.variants))
}

/// A cluster that lacks the proven release, and may have it now.
fn admit(look: Look<'_>, rules: &LaneRules, only: Option<&BTreeSet<ClusterUid>>) -> Option<Event> {
    if !is_on(look) || in_flight(look) >= rules.max_in_flight || look.obs.grants_left == Some(0) {
        return None;
    }
    let proven = proven(look)?;
    let enters = |(uid, digest): &(&ClusterUid, &Digest)| {
        is_behind(look, uid, digest) && may_enter(look, rules, uid, digest)
    };
    let (uid, digest) = match only {
        Some(some) => some.iter().filter_map(|uid| proven.get_key_value(uid)).find(enters),
        None => proven.iter().find(enters),
    }?;
    Some(Event::CaughtUp {
        cluster: uid.clone(),
        name: look.name(uid),
        grant: Grant { epoch: look.next_epoch(uid), digest: *digest },
        at: look.now.wall,
    })
}

/// Off while a rollback runs, while anything is frozen.
pub(crate) fn is_on(look: Look<'_>) -> bool {
    let frozen = !look.obs.freezes.is_empty() && !look.app.has(Bug::FreezeIgnored);
    !frozen && !look.app.active.as_ref().is_some_and(Rollout::is_rollback)
}

fn in_flight(look: Look<'_>) -> u32 {
    let flying = look.app.lane.values().filter(|lane| lane.failed.is_none()).count();
    u32::try_from(flying).unwrap_or(u32::MAX)
}

/// Whether what the cluster holds is older than the proven release, or nothing at all. What a newer rollout
/// gave it stands, whatever became of that one; but that it gave the App up counts as nothing at all.
pub(crate) fn is_behind(look: Look<'_>, uid: &ClusterUid, digest: &Digest) -> bool {
    let holding = look.app.holding(uid);
    let current = holding.and_then(|h| h.current());
    let older = current.is_none_or(|given| {
        Some(given.rollout) < look.app.stable_rollout || given.grant.digest == tombstone()
    });
    older
        && current.is_none_or(|given| given.grant.digest != *digest)
        && !holding.is_some_and(|h| h.departed)
}

fn may_enter(look: Look<'_>, rules: &LaneRules, uid: &ClusterUid, digest: &Digest) -> bool {
    let Some(cluster) = look.cluster(uid) else { return false };
    let settled = look.app.holding(uid).is_none_or(crate::state::Holding::is_settled);
    let selected = look.obs.candidate.as_ref().is_some_and(|c| c.variants.contains_key(uid));
    let kept = cluster.cordon.is_some()
        || cluster.pin.is_some()
        || look.app.untargeted.contains_key(uid) && !selected
        || look.app.skipped.get(uid) == Some(digest)
        || look.app.condemned.contains_key(digest);
    let free = settled && !kept && !is_busy_in_rollout(look, uid) && !super::grant::busy(look, uid);
    free && look.is_fresh(uid, rules.settings.offline.stale_after) && !look.is_ahead(uid)
}

/// Whether the active rollout has not finished with it. One that was never granted anything and whose turn
/// has not come may have the proven release meanwhile.
fn is_busy_in_rollout(look: Look<'_>, uid: &ClusterUid) -> bool {
    let Some(rollout) = &look.app.active else { return false };
    let Some(member) = rollout.members.get(uid) else { return false };
    match member.state {
        MemberState::Queued => {
            let waits =
                matches!(rollout.waves[member.wave].state, WaveState::Locked | WaveState::Gated);
            !waits || look.app.holding(uid).is_some_and(|h| h.newest().is_some())
        }
        MemberState::Updating { .. } | MemberState::Verifying | MemberState::Recalling { .. } => {
            true
        }
        MemberState::Updated
        | MemberState::Failed { .. }
        | MemberState::Deferred { .. }
        | MemberState::Unchanged
        | MemberState::Skipped
        | MemberState::Departed => false,
    }
}

/// What the agent says of it, by the same rules as in a rollout.
fn progress(look: Look<'_>, rules: &LaneRules, uid: &ClusterUid, lane: &InLane) -> Option<Event> {
    let offline = rules.settings.offline;
    let event = |change| Event::Lane { cluster: uid.clone(), change, at: look.now.wall };
    let fail = |why, message| event(LaneChange::Failed { why, message });
    let given = look.app.holding(uid)?.newest()?.grant;
    if given != lane.grant {
        return None;
    }
    let flying = lane.failed.is_none();
    if flying && look.is_dark(uid, offline.stale_after) {
        let spent = look.dark_time(uid, offline.stale_after) > offline.grace;
        return spent.then(|| fail(FailureWhy::DarkAfterGrant, String::new()));
    }
    let report = look.report(uid).filter(|_| look.is_fresh(uid, offline.stale_after))?;
    if report.epoch != given.epoch || report.digest != Some(given.digest) {
        return None;
    }
    match &report.phase {
        Phase::Healthy if report.healthy_for >= rules.settings.min_healthy => {
            Some(event(LaneChange::Done))
        }
        Phase::Failed { reason, message } if flying => {
            Some(fail(FailureWhy::AgentFailed(*reason), message.clone()))
        }
        Phase::Healthy | Phase::Degraded { .. } | Phase::Applying | Phase::Failed { .. } => {
            let took = report.applying_for.saturating_sub(report.healthy_for);
            let overdue = took > rules.settings.progress_deadline
                || report.bad_for > rules.settings.progress_deadline.max(FLAP);
            (flying && overdue).then(|| fail(FailureWhy::ProgressDeadline, complaint(report)))
        }
    }
}

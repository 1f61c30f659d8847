//! When to look again: all timers are values in the state, so nothing is lost when the hub stops.

use std::time::Duration;

use model::ClusterUid;

use crate::{
    decide,
    evidence::Look,
    obs::{Now, Obs},
    state::{App, Member, MemberState, Rollout, WaveState},
    window::STEP_SETTLES,
};

/// Never asked to wake sooner: what is due is decided before anybody asks.
const SOONEST: Duration = Duration::from_millis(1);

/// Time from now after which [`crate::decide`] may say something although nothing new is observed until
/// then. Exact for silence and timeouts; a report is always a reason to ask at once.
pub fn next_wakeup(app: &App, now: Now, obs: &Obs) -> Option<Duration> {
    let look = Look { app, now, obs };
    let lane = lane(look);
    let Some(rollout) = app.active.as_ref() else { return lane.min().map(|d| d.max(SOONEST)) };
    let members = rollout.members.iter();
    let silent = members.filter_map(|(uid, member)| silence(look, rollout, uid, member));
    let retries = rollout.members.values().filter_map(|member| retry(look, rollout, member));
    let wave = timeout(look, rollout).into_iter().chain(gates(look, rollout));
    silent.chain(retries).chain(wave).chain(lane).min().map(|d| d.max(SOONEST))
}

/// When the silence of a cluster in the lane is longer than its grace.
fn lane(look: Look<'_>) -> impl Iterator<Item = Duration> {
    let rules = look.app.lane_rules.as_ref();
    look.app.lane.iter().filter(|(_, lane)| lane.failed.is_none()).filter_map(move |(uid, _)| {
        let offline = rules?.settings.offline;
        let until_dark = (offline.stale_after + SOONEST).saturating_sub(look.silence(uid));
        let left = offline.grace.saturating_sub(look.dark_time(uid, offline.stale_after));
        Some(if until_dark.is_zero() { left + SOONEST } else { until_dark })
    })
}

/// When a gate of the wave may open by itself: a window, the pace of a minute, a measurement that gives up.
fn gates(look: Look<'_>, rollout: &Rollout) -> Vec<Duration> {
    let Some(index) = rollout.current_wave().filter(|_| rollout.is_progressing()) else {
        return Vec::new();
    };
    let wave = &rollout.waves[index];
    let mut due = Vec::new();
    // All of these hold at their very first instant.
    let until = |at: jiff::Timestamp| {
        Duration::try_from(at.duration_since(look.now.wall)).unwrap_or_default()
    };
    let queued = rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Queued);
    if !wave.spec.before.windows.is_empty() {
        let zoned = queued.filter(|(_, m)| m.place.is_some()).map(|(_, m)| Some(m));
        let opens = zoned.chain([None]).filter_map(|m| decide::next_window(look, wave, m)).min();
        due.extend(opens.map(until));
        if look.now.stepped {
            due.push(STEP_SETTLES);
        }
    }
    if rollout.strategy.grants_per_minute.is_some() {
        due.extend(decide::paced(look, rollout).map(until));
    }
    let analysis = wave.spec.after.analysis.as_ref();
    let gives_up = analysis.and_then(|a| a.pass_after).zip(wave.measured.since);
    if let Some((after, since)) = gives_up {
        due.extend(since.checked_add(after).ok().filter(|t| *t > look.now.wall).map(until));
    }
    due
}

/// When the silence of a member next means something.
fn silence(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
) -> Option<Duration> {
    let wave = &rollout.waves[member.wave];
    let offline = wave.spec.settings.offline;
    let open = matches!(wave.state, WaveState::Open | WaveState::Proving);
    let counts_dark = match member.state {
        MemberState::Updating { .. } | MemberState::Verifying => true,
        MemberState::Recalling { inherited } => !inherited,
        MemberState::Updated => open,
        // A failed one that came back late holds up grants for as long as it is heard.
        MemberState::Queued | MemberState::Failed { .. } if open => false,
        MemberState::Queued
        | MemberState::Failed { .. }
        | MemberState::Deferred { .. }
        | MemberState::Unchanged
        | MemberState::Skipped
        | MemberState::Departed => return None,
    };
    // The comparison is "longer than": one millisecond after the edge it holds.
    let until_dark = (offline.stale_after + SOONEST).saturating_sub(look.silence(uid));
    if until_dark > SOONEST || !counts_dark {
        return (until_dark > Duration::ZERO).then_some(until_dark);
    }
    let left = offline.grace.saturating_sub(look.dark_time(uid, offline.stale_after));
    let step = offline.grace / decide::DARK_STEPS;
    let unrecorded = look.dark_unrecorded(uid, offline.stale_after);
    Some((left + SOONEST).min(step.saturating_sub(unrecorded)))
}

fn retry(look: Look<'_>, rollout: &Rollout, member: &Member) -> Option<Duration> {
    let retry = rollout.waves[member.wave].spec.settings.retry;
    if !rollout.is_progressing() || !member.retries(retry.limit) {
        return None;
    }
    let left = retry.backoff.saturating_sub(look.since(member.since));
    (!left.is_zero()).then_some(left)
}

fn timeout(look: Look<'_>, rollout: &Rollout) -> Option<Duration> {
    let wave = &rollout.waves[rollout.current_wave().filter(|_| rollout.is_progressing())?];
    Some((wave.spec.settings.timeout + SOONEST).saturating_sub(look.since(wave.opened?)))
}

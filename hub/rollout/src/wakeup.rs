//! When to look again: all timers are values in the state, so nothing is lost when the hub stops.

use std::time::Duration;

use model::ClusterUid;

use crate::{
    decide,
    evidence::Look,
    obs::{Now, Obs},
    state::{App, Member, MemberState, Rollout, WaveState},
};

/// Never asked to wake sooner: what is due is decided before anybody asks.
const SOONEST: Duration = Duration::from_millis(1);

/// Time from now after which [`crate::decide`] may say something although nothing new is observed until
/// then. Exact for silence and timeouts; a report is always a reason to ask at once.
pub fn next_wakeup(app: &App, now: Now, obs: &Obs) -> Option<Duration> {
    let look = Look { app, now, obs };
    let rollout = app.active.as_ref()?;
    let members = rollout.members.iter();
    let silent = members.filter_map(|(uid, member)| silence(look, rollout, uid, member));
    let retries = rollout.members.values().filter_map(|member| retry(look, rollout, member));
    silent.chain(retries).chain(timeout(look, rollout)).min().map(|d| d.max(SOONEST))
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
    let MemberState::Failed { why, .. } = &member.state else { return None };
    if !rollout.is_progressing() || !decide::retries(rollout, member, *why) {
        return None;
    }
    let backoff = rollout.waves[member.wave].spec.settings.retry.backoff;
    let waited = look.now.wall.duration_since(member.since);
    let left = backoff.saturating_sub(Duration::try_from(waited).unwrap_or_default());
    (!left.is_zero()).then_some(left)
}

fn timeout(look: Look<'_>, rollout: &Rollout) -> Option<Duration> {
    let wave = &rollout.waves[rollout.current_wave().filter(|_| rollout.is_progressing())?];
    let open_for =
        Duration::try_from(look.now.wall.duration_since(wave.opened?)).unwrap_or_default();
    Some((wave.spec.settings.timeout + SOONEST).saturating_sub(open_for))
}

//! How clusters, times and lists are said.

use std::time::Duration;

use jiff::Timestamp;
use model::ClusterUid;

use crate::{
    evidence::Look,
    state::{FailureWhy, Member, MemberState, Rollout},
};

/// Most clusters that one sentence names; the rest is a number.
const NAMED_MAX: usize = 5;

/// A duration as people write it: the two largest units, `1h12m`, `40s`.
pub(crate) fn time(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units =
        [("d", secs / 86_400), ("h", secs / 3600 % 24), ("m", secs / 60 % 60), ("s", secs % 60)];
    let first = units.iter().position(|(_, n)| *n > 0).unwrap_or(units.len() - 1);
    let two = units.iter().enumerate().skip(first).take(2);
    let shown = two.filter(|(i, (_, n))| *i == first || *n > 0);
    shown.map(|(_, (unit, n))| format!("{n}{unit}")).collect::<Vec<_>>().concat()
}

/// A moment as people read it: `2026-11-23 15:04 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `one cluster`, `3 clusters`.
pub(crate) fn clusters(n: usize) -> String {
    if n == 1 { "1 cluster".to_owned() } else { format!("{n} clusters") }
}

/// A few items and the number of the others.
pub(crate) fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(NAMED_MAX);
    let mut text = items.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}

/// A cluster's name, or its uid when it has none that is known.
pub(crate) fn name(look: Look<'_>, uid: &ClusterUid) -> String {
    let observed = look.obs.clusters.get(uid).map(|c| c.name.to_string());
    let held = || look.app.holding(uid).map(|h| h.name.to_string());
    observed.or_else(held).unwrap_or_else(|| uid.to_string())
}

/// `k3 updating 2m`, `k7 recalling (dark 3m)`.
pub(crate) fn flight(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
) -> String {
    let stale_after = rollout.waves[member.wave].spec.settings.offline.stale_after;
    let name = name(look, uid);
    if look.is_dark(uid, stale_after) && !look.is_deleted(uid) {
        return format!("{name} {} (dark {})", state(&member.state), time(look.silence(uid)));
    }
    let since = look.now.wall.duration_since(member.since);
    let since = Duration::try_from(since).unwrap_or_default();
    format!("{name} {} {}", state(&member.state), time(since))
}

/// The word for a member's state.
pub(crate) fn state(state: &MemberState) -> &'static str {
    match state {
        MemberState::Queued => "queued",
        MemberState::Updating { .. } => "updating",
        MemberState::Verifying => "verifying",
        MemberState::Recalling { .. } => "recalling",
        MemberState::Updated => "updated",
        MemberState::Failed { .. } => "failed",
        MemberState::Deferred { .. } => "deferred",
        MemberState::Unchanged => "unchanged",
        MemberState::Skipped => "skipped",
        MemberState::Departed => "departed",
    }
}

/// `k3 ProgressDeadline: Deployment shop/web is Degraded`.
pub(crate) fn failure(look: Look<'_>, uid: &ClusterUid, member: &Member) -> String {
    let MemberState::Failed { why, message } = &member.state else {
        return name(look, uid);
    };
    let why = match why {
        FailureWhy::AgentFailed(reason) => reason.name(),
        FailureWhy::ProgressDeadline
        | FailureWhy::DarkAfterGrant
        | FailureWhy::Degraded
        | FailureWhy::Regressed
        | FailureWhy::NothingToReturnTo => why.reason().name(),
    };
    let name = name(look, uid);
    if message.is_empty() { format!("{name} {why}") } else { format!("{name} {why}: {message}") }
}

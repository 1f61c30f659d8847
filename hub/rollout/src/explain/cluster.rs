//! Where one cluster is.

use std::time::Duration;

use model::{ClusterUid, Phase, Reason, Report, Status};

use super::words;
use crate::{
    decide::{free_slots, is_on, is_probing},
    evidence::Look,
    obs::Mark,
    spec::WaveSettings,
    state::{
        DeferredWhy, FailureWhy, Holding, InLane, Member, MemberState, Rollout, RolloutState,
        WaveState,
    },
};

/// Why the cluster is where it is.
pub(crate) fn status(look: Look<'_>, uid: &ClusterUid) -> Status {
    let name = words::name(look, uid);
    if look.is_deleted(uid) || look.cluster(uid).is_none() && look.app.holding(uid).is_none() {
        return Status::because(Reason::NotFound, format!("{name} is not registered"));
    }
    if look.is_ahead(uid) {
        let message = format!("{name} holds a newer grant than this hub ever gave");
        return Status::because(Reason::HubBehindAgents, message);
    }
    if look.is_forked(uid) {
        let message = format!("{name} holds other content under the epoch of its grant");
        return Status::because(Reason::EpochFork, message);
    }
    let active = look.app.active.as_ref();
    if let Some((rollout, member)) = active.and_then(|r| Some((r, r.members.get(uid)?)))
        && let Some(status) = member_status(look, rollout, uid, member)
    {
        return status.since(member.since);
    }
    if let Some(lane) = look.app.lane.get(uid) {
        return in_lane(look, uid, lane);
    }
    match look.app.holding(uid).filter(|h| h.newest().is_some()) {
        Some(_) if look.app.untargeted.contains_key(uid) => untargeted(look, uid),
        Some(holding) => held(look, uid, holding),
        None => not_granted(look, uid),
    }
}

/// What the active rollout says of it; `None` when its own health is all there is to say.
fn member_status(
    look: Look<'_>,
    rollout: &Rollout,
    uid: &ClusterUid,
    member: &Member,
) -> Option<Status> {
    let name = words::name(look, uid);
    let settings = rollout.waves[member.wave].spec.settings;
    let dark = look.is_dark(uid, settings.offline.stale_after);
    let silence = words::time(look.silence(uid));
    let status = match &member.state {
        MemberState::Queued => queued(look, rollout, uid, member),
        MemberState::Updating { .. } | MemberState::Verifying if dark => Status::because(
            Reason::Offline,
            format!(
                "{name} was last heard {silence} ago; it counts as failed after {} dark",
                words::time(settings.offline.grace)
            ),
        ),
        MemberState::Updating { acked: false } => {
            Status::because(Reason::NoReportYet, format!("{name} has not acknowledged its grant"))
        }
        MemberState::Updating { acked: true } => applying(look, uid, &settings),
        MemberState::Verifying => {
            let healthy = look.healthy_for(rollout, uid, member).unwrap_or_default();
            let message = format!(
                "{name} is healthy for {} of {}",
                words::time(healthy),
                words::time(settings.min_healthy)
            );
            Status::because(Reason::ClusterVerifying, message)
        }
        MemberState::Recalling { .. } => Status::because(
            Reason::RecallUnconfirmed,
            format!("{name} has not said yet whether it had started; heard {silence} ago"),
        ),
        MemberState::Failed { why: FailureWhy::AgentFailed(reason), message } => {
            Status::because(*reason, format!("{name}: {message}"))
        }
        MemberState::Failed { why, .. } => {
            Status::because(why.reason(), words::failure(look, uid, member))
        }
        MemberState::Deferred { why: DeferredWhy::Cordoned } => {
            let mark = look.cluster(uid).and_then(|c| c.cordon.as_ref());
            Status::because(Reason::Cordoned, kept(&name, "cordoned", mark))
        }
        MemberState::Deferred { why: DeferredWhy::Pinned } => {
            let mark = look.cluster(uid).and_then(|c| c.pin.as_ref());
            Status::because(Reason::Pinned, kept(&name, "pinned", mark))
        }
        MemberState::Deferred { why: DeferredWhy::DarkBefore } => {
            Status::because(Reason::DarkBefore, format!("{name} was last heard {silence} ago"))
        }
        MemberState::Skipped => {
            Status::because(Reason::ClusterSkipped, format!("{name} was taken out of this rollout"))
        }
        MemberState::Updated | MemberState::Unchanged | MemberState::Departed => return None,
    };
    Some(status)
}

fn kept(name: &str, how: &str, mark: Option<&Mark>) -> String {
    match mark {
        Some(mark) if mark.reason.is_empty() => format!("{name} was {how} by {}", mark.by),
        Some(mark) => format!("{name} was {how} by {}: {}", mark.by, mark.reason),
        None => format!("{name} was {how}, and is not any more; it gets its turn in the next lane"),
    }
}

fn queued(look: Look<'_>, rollout: &Rollout, uid: &ClusterUid, member: &Member) -> Status {
    let name = words::name(look, uid);
    let wave = &rollout.waves[member.wave];
    if wave.state != WaveState::Open || rollout.current_wave() != Some(member.wave) {
        let first = rollout.current_wave().map(|i| rollout.waves[i].spec.name.to_string());
        let message = format!(
            "{name} is in {}, which waits for {}",
            wave.spec.name,
            first.unwrap_or_default()
        );
        return Status::because(Reason::WaitingForEarlierWave, message);
    }
    if !rollout.is_progressing() {
        return standing(look, rollout, &name);
    }
    let queued = rollout.members_of(member.wave).filter(|(_, m)| m.state == MemberState::Queued);
    let place = queued.take_while(|(other, _)| *other != uid).count() + 1;
    if free_slots(look, rollout, member.wave) > 0 {
        return Status::because(Reason::NoReportYet, format!("{name} has not been heard yet"));
    }
    let message = format!("{name} is number {place} in line of {}", wave.spec.name);
    let reason = if is_probing(rollout) { Reason::ProbeRunning } else { Reason::WaitingForSlot };
    Status::because(reason, message)
}

/// A queued member of a rollout that a person or the rollout itself stopped.
fn standing(look: Look<'_>, rollout: &Rollout, name: &str) -> Status {
    let app = &look.app.name;
    match &rollout.state {
        RolloutState::Paused { by, .. } => {
            let message = format!("{name} waits: {} paused the rollout: {}", by.name, by.reason);
            Status::because(Reason::RolloutPaused, message)
                .fix("go on", format!("tidegate rollout resume {app} --reason TEXT"))
        }
        RolloutState::Halted { .. } => {
            let message =
                format!("{name} waits: the rollout is halted; `tidegate why app/{app}` says why");
            Status::because(Reason::WaitingForEarlierWave, message)
        }
        RolloutState::Planned | RolloutState::Progressing | RolloutState::Ended { .. } => {
            Status::because(
                Reason::RolloutNotStarted,
                format!("{name} waits; the rollout stands still"),
            )
        }
    }
}

fn applying(look: Look<'_>, uid: &ClusterUid, settings: &WaveSettings) -> Status {
    let name = words::name(look, uid);
    let Some(report) = look.report(uid) else {
        return Status::because(Reason::NoReportYet, format!("{name} has not reported yet"));
    };
    let mut message = format!(
        "{name} is applying for {} of {}: {} of {} objects healthy",
        words::time(report.applying_for),
        words::time(settings.progress_deadline),
        report.objects_healthy,
        report.objects_total,
    );
    if let Some(object) = report.unhealthy.first() {
        message = format!("{message}; {} is {}: {}", object.key, object.health, object.message);
    }
    Status::because(Reason::ClusterApplying, message)
}

/// On its way to the proven release, outside any rollout.
fn in_lane(look: Look<'_>, uid: &ClusterUid, lane: &InLane) -> Status {
    let name = words::name(look, uid);
    let stable = look.app.stable.as_ref().map_or("the proven release", |s| s.commit().short());
    let status = match &lane.failed {
        Some((why, message)) => {
            let why = why.reason().name();
            let said = if message.is_empty() { String::new() } else { format!(": {message}") };
            Status::because(Reason::CatchUpFailed, format!("{name} {why} on {stable}{said}"))
        }
        None => Status::because(Reason::CatchingUp, format!("{name} is being brought to {stable}")),
    };
    status.since(lane.since)
}

fn untargeted(look: Look<'_>, uid: &ClusterUid) -> Status {
    let name = words::name(look, uid);
    let Some(left) = look.app.untargeted.get(uid) else { return not_granted(look, uid) };
    let message =
        format!("{name} is no target since {}; it keeps what it runs", left.commit.short());
    Status::because(Reason::Untargeted, message).since(left.at)
}

/// Outside a rollout, or done in it: what the agent says of what it holds.
fn held(look: Look<'_>, uid: &ClusterUid, holding: &Holding) -> Status {
    let name = words::name(look, uid);
    let stale_after = WaveSettings::default().offline.stale_after;
    if look.is_dark(uid, stale_after) {
        let message = format!("{name} was last heard {} ago", words::time(look.silence(uid)));
        return Status::because(Reason::Offline, message);
    }
    if holding.recalled {
        let message = format!("{name} has not said yet whether it had started its last grant");
        return Status::because(Reason::RecallUnconfirmed, message);
    }
    let newest = holding.newest().map(|g| g.grant.epoch);
    match look.report(uid).filter(|r| Some(r.epoch) == newest) {
        None => {
            Status::because(Reason::NoReportYet, format!("{name} has not reported on its grant"))
        }
        Some(report) => health(&name, report),
    }
}

fn health(name: &str, report: &Report) -> Status {
    match &report.phase {
        Phase::Healthy => {
            let time = words::time(report.healthy_for);
            Status::ready(format!("{name}: {} objects healthy for {time}", report.objects_total))
        }
        Phase::Applying => {
            let time = words::time(report.applying_for.max(Duration::from_secs(1)));
            Status::because(Reason::ClusterApplying, format!("{name} is applying for {time}"))
        }
        Phase::Degraded { reason, message } | Phase::Failed { reason, message } => {
            Status::because(*reason, format!("{name}: {message}"))
        }
    }
}

fn not_granted(look: Look<'_>, uid: &ClusterUid) -> Status {
    let name = words::name(look, uid);
    let targeted = look.obs.candidate.as_ref().is_some_and(|c| c.variants.contains_key(uid));
    if !targeted {
        return Status::because(Reason::NotRolledOut, format!("the App does not target {name}"));
    }
    if look.app.stable.is_some() {
        return Status::because(Reason::BehindProven, behind(look, uid, &name));
    }
    let message = match &look.app.active {
        Some(active) => {
            format!("{name} gets its turn when rollout {} has proved itself", active.id)
        }
        None => format!("{name} has not been granted a release yet"),
    };
    Status::because(Reason::NotRolledOut, message)
}

/// What keeps a cluster out of the catch-up lane.
pub(crate) fn behind(look: Look<'_>, uid: &ClusterUid, name: &str) -> String {
    let cluster = look.cluster(uid);
    let stale_after =
        look.app.lane_rules.as_ref().map_or(WaveSettings::default().offline.stale_after, |r| {
            r.settings.offline.stale_after
        });
    if look.app.skipped.contains_key(uid) {
        format!("{name} was skipped by a person")
    } else if let Some(mark) = cluster.and_then(|c| c.pin.as_ref()) {
        kept(name, "pinned", Some(mark))
    } else if let Some(mark) = cluster.and_then(|c| c.cordon.as_ref()) {
        kept(name, "cordoned", Some(mark))
    } else if look.is_ahead(uid) {
        format!("{name} holds a newer grant than this hub ever gave")
    } else if !look.is_fresh(uid, stale_after) {
        format!("{name} was last heard {} ago", words::time(look.silence(uid)))
    } else if !is_on(look) {
        format!("{name} waits: the catch-up lane is closed while a freeze or a rollback lasts")
    } else {
        format!("{name} waits for its turn in the catch-up lane")
    }
}

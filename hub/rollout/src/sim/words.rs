//! A log as a person reads it.

#![expect(clippy::wildcard_enum_match_arm, reason = "each function is about the events it names")]

use std::time::Duration;

use crate::{
    Act, Answer, Cause, DeferredWhy, Event, FailureWhy, Judgement, Kind, LaneChange, MemberChange,
    MemberState, Outcome, Rollout, RolloutState, Stage, Start, Verdict, WaveChange, WaveState,
};
use model::{ClusterUid, Reason, Status};

use super::world::World;

/// Most clusters that one line names.
const NAMES_MAX: usize = 12;

/// The events from number `from` on, one line each.
pub fn lines(world: &World, from: usize) -> Vec<String> {
    world.log.iter().skip(from).map(|event| line(world, event)).collect()
}

/// One event in words.
pub fn line(world: &World, event: &Event) -> String {
    let name = |uid: &ClusterUid| named(world, uid);
    match event {
        Event::HeadMoved { head, skipped } => {
            let verdict = match &head.verdict {
                Verdict::Rollout(id) => format!("is rollout {id}"),
                Verdict::Unchanged => "changes nothing".to_owned(),
                Verdict::Queued => "waits".to_owned(),
                Verdict::Refused { reason, message } => {
                    format!("refused: {} {message}", reason.code())
                }
            };
            let skipped = skipped.as_ref().map_or("", |_| ", and the one that waited is skipped");
            format!("head {} {verdict}{skipped}", head.subject)
        }
        Event::Started(start) => started(world, start),
        Event::Begun { rollout, by, .. } => format!("{rollout} begun by {}", by.name),
        Event::Granted { cluster, grant, dark, broken_before, .. } => {
            let dark = if *dark { " (dark)" } else { "" };
            let broken = if *broken_before { " (broken before)" } else { "" };
            format!("{} granted {}{dark}{broken}", name(cluster), grant.epoch)
        }
        Event::Acked { cluster, grant, .. } => format!("{} holds {}", name(cluster), grant.epoch),
        Event::Fenced { cluster, upto, .. } => format!("{} refuses up to {upto}", name(cluster)),
        Event::Recalled { cluster, epoch, .. } => format!("{} recalled {epoch}", name(cluster)),
        Event::Restored { cluster, grant, .. } => {
            format!("{} restored as {}", name(cluster), grant.epoch)
        }
        Event::Dark { cluster, .. } => format!("{} is dark", name(cluster)),
        Event::Departed { cluster, .. } => format!("{} departed", name(cluster)),
        Event::Untargeted { .. }
        | Event::CaughtUp { .. }
        | Event::Lane { .. }
        | Event::Judged { .. }
        | Event::Joined { .. }
        | Event::Acted { .. }
        | Event::Answered { .. } => beside(world, event),
        Event::Member { cluster, change, .. } => format!("{} {}", name(cluster), member(change)),
        Event::Wave { rollout, wave, change, .. } => {
            let names = world.app().rollout(*rollout).map(|r| wave_name(r, *wave));
            format!("{} {}", names.unwrap_or_default(), wave_change(*change))
        }
        Event::Paused { rollout, by, .. } => format!("{rollout} paused by {}", by.name),
        Event::Halted { rollout, causes, .. } => {
            let causes: Vec<_> = causes.iter().map(cause).collect();
            format!("{rollout} halted: {}", causes.join(", "))
        }
        Event::Resumed { rollout, by, accept, .. } => {
            let accept = if *accept { ", failures accepted" } else { "" };
            format!("{rollout} resumed by {}{accept}", by.name)
        }
        Event::Retried { rollout, clusters, by, .. } => {
            format!("{rollout} retried by {}: {}", by.name, names(world, clusters))
        }
        Event::Skipped { cluster, by, .. } => format!("{} skipped by {}", name(cluster), by.name),
        Event::Ended { rollout, outcome, .. } => format!("{rollout} {}", ended(*outcome)),
    }
}

fn named(world: &World, uid: &ClusterUid) -> String {
    world.clusters.get(uid).map_or_else(|| uid.to_string(), |c| c.name.to_string())
}

/// Some clusters by name; of many only the first.
pub(super) fn names<'a>(
    world: &World,
    of: impl IntoIterator<Item = &'a ClusterUid, IntoIter: ExactSizeIterator>,
) -> String {
    let of = of.into_iter();
    let more = of.len().saturating_sub(NAMES_MAX);
    let mut text = of.take(NAMES_MAX).map(|uid| named(world, uid)).collect::<Vec<_>>().join(" ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Code and sentence.
pub(super) fn status(status: &Status) -> String {
    let code = status.reason().map_or("ready", Reason::code);
    format!("{code} {}", status.message())
}

/// `1h02m30s`, to the second unless it is shorter.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let small = match time.subsec_millis() {
        0 => String::new(),
        millis => format!(".{millis:03}"),
    };
    match (hours, minutes) {
        (0, 0) => format!("{rest}{small}s"),
        (0, _) => format!("{minutes}m{rest:02}{small}s"),
        (..) => format!("{hours}h{minutes:02}m{rest:02}{small}s"),
    }
}

/// The cluster that an event is about.
pub(super) fn cluster_of(event: &Event) -> Option<&ClusterUid> {
    match event {
        Event::Granted { cluster, .. }
        | Event::Acked { cluster, .. }
        | Event::Fenced { cluster, .. }
        | Event::Recalled { cluster, .. }
        | Event::Restored { cluster, .. }
        | Event::Dark { cluster, .. }
        | Event::Departed { cluster, .. }
        | Event::Member { cluster, .. }
        | Event::Skipped { cluster, .. } => Some(cluster),
        _ => None,
    }
}

/// A member's state in a word.
pub fn member_state(state: &MemberState) -> &'static str {
    match state {
        MemberState::Queued => "Queued",
        MemberState::Updating { .. } => "Updating",
        MemberState::Verifying => "Verifying",
        MemberState::Recalling { .. } => "Recalling",
        MemberState::Updated => "Updated",
        MemberState::Failed { .. } => "Failed",
        MemberState::Deferred { .. } => "Deferred",
        MemberState::Unchanged => "Unchanged",
        MemberState::Skipped => "Skipped",
        MemberState::Departed => "Departed",
    }
}

/// A wave's state in a word.
pub fn wave_state(state: WaveState) -> &'static str {
    match state {
        WaveState::Locked => "Locked",
        WaveState::Gated => "Gated",
        WaveState::Open => "Open",
        WaveState::Proving => "Proving",
        WaveState::Passed { .. } => "Passed",
        WaveState::Skipped => "Skipped",
    }
}

/// A rollout's state in a word.
pub fn rollout_state(state: &RolloutState) -> &'static str {
    match state {
        RolloutState::Planned => "Planned",
        RolloutState::Progressing => "Progressing",
        RolloutState::Paused { .. } => "Paused",
        RolloutState::Halted { .. } => "Halted",
        RolloutState::Ended { outcome, .. } => match outcome {
            Outcome::Completed { .. } => "Completed",
            Outcome::RolledBack { .. } => "RolledBack",
            Outcome::Superseded { .. } => "Superseded",
            Outcome::Aborted => "Aborted",
        },
    }
}

fn wave_name(rollout: &Rollout, wave: usize) -> String {
    rollout.waves.get(wave).map_or_else(String::new, |w| w.spec.name.to_string())
}

/// What happens beside the way of one cluster through its wave.
fn beside(world: &World, event: &Event) -> String {
    let name = |uid: &ClusterUid| named(world, uid);
    match event {
        Event::Untargeted { clusters, .. } => {
            let clusters: Vec<_> = clusters.iter().map(name).collect();
            format!("no target any more: {}", clusters.join(" "))
        }
        Event::CaughtUp { cluster, grant, .. } => {
            format!("{} granted {} to catch up", name(cluster), grant.epoch)
        }
        Event::Lane { cluster, change: LaneChange::Done, .. } => {
            format!("{} caught up", name(cluster))
        }
        Event::Lane { cluster, change: LaneChange::Failed { why, .. }, .. } => {
            format!("{} failed to catch up: {}", name(cluster), failure(*why))
        }
        Event::Judged { judgement, by, .. } => {
            let what = match judgement {
                Judgement::Condemn { .. } => "condemned",
                Judgement::Absolve { .. } => "absolved",
            };
            let digests = match judgement {
                Judgement::Condemn { digests } | Judgement::Absolve { digests, .. } => digests,
            };
            let digests: Vec<_> = digests.iter().map(model::Digest::short).collect();
            format!("{what} by {}: {}", by.name, digests.join(" "))
        }
        Event::Joined { rollout, cluster, wave, .. } => {
            let wave = world.app().rollout(*rollout).map(|r| wave_name(r, *wave));
            format!("{} joins {}", name(cluster), wave.unwrap_or_default())
        }
        Event::Acted { rollout, act, by, .. } => {
            acted(world.app().rollout(*rollout), act, &by.name)
        }
        Event::Answered { rollout, wave, answer, message, .. } => {
            let wave = world.app().rollout(*rollout).map(|r| wave_name(r, *wave));
            let answer = match answer {
                Answer::Pass => "good",
                Answer::Fail => "bad",
                Answer::Hold => "unknown",
            };
            format!("{} measured {answer}: {message}", wave.unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn started(world: &World, start: &Start) -> String {
    let waves = start.plan.waves.iter().map(|wave| {
        let members: Vec<_> = wave.members.iter().map(|uid| named(world, uid)).collect();
        format!("{}[{}]", wave.spec.name, members.join(" "))
    });
    let what = match &start.kind {
        Kind::Forward => start.release.subject.clone(),
        Kind::Removal { .. } => "removal".to_owned(),
        Kind::Rollback { of } => format!("rollback of {of}"),
    };
    let mut text = format!("{} starts: {what}: ", start.id);
    text += &waves.collect::<Vec<_>>().join(" ");
    if let Some(id) = start.supersedes {
        text += &format!(", supersedes {id}");
    }
    if !start.condemns.is_empty() {
        text += ", condemns it";
    }
    if start.skipped.is_some() {
        text += ", and the one that waited is skipped";
    }
    text
}

fn acted(rollout: Option<&Rollout>, act: &Act, by: &str) -> String {
    let wave = |index: &usize| rollout.map(|r| wave_name(r, *index)).unwrap_or_default();
    match act {
        Act::Approve { wave: index, stage: Stage::Before, .. } => {
            format!("{} approved by {by}", wave(index))
        }
        Act::Approve { wave: index, stage: Stage::After, .. } => {
            format!("{} approved to pass by {by}", wave(index))
        }
        Act::Revoke { wave: index, of } => format!("approval of {} by {of} revoked", wave(index)),
        Act::Override { wave: index, gate, needs_second } => {
            let second = if *needs_second { " (asks for a second person)" } else { "" };
            format!("gate {gate} of {} overridden by {by}{second}", wave(index))
        }
        Act::Expedite { divisor } => format!("expedited {divisor}-fold by {by}"),
        Act::Tolerate { wave: index, failures } => {
            format!("{} may have {failures} failures, says {by}", wave(index))
        }
    }
}

fn ended(outcome: Outcome) -> String {
    let (word, exceptions) = match outcome {
        Outcome::Completed { exceptions } => ("completed".to_owned(), exceptions),
        Outcome::RolledBack { exceptions } => ("rolled back".to_owned(), exceptions),
        Outcome::Superseded { by } => (format!("superseded by {by}"), 0),
        Outcome::Aborted => ("aborted".to_owned(), 0),
    };
    if exceptions == 0 { word } else { format!("{word}, {exceptions} exceptions") }
}

fn member(change: &MemberChange) -> String {
    match change {
        MemberChange::Verifying => "healthy".to_owned(),
        MemberChange::Updated => "updated".to_owned(),
        MemberChange::Failed { why, .. } => format!("failed: {}", failure(*why)),
        MemberChange::Deferred { why: DeferredWhy::DarkBefore } => "deferred".to_owned(),
        MemberChange::Deferred { why: DeferredWhy::Cordoned } => "deferred: cordoned".to_owned(),
        MemberChange::Deferred { why: DeferredWhy::Pinned } => "deferred: pinned".to_owned(),
        MemberChange::Requeued => "queued again".to_owned(),
        MemberChange::Unchanged => "unchanged".to_owned(),
    }
}

fn failure(why: FailureWhy) -> &'static str {
    match why {
        FailureWhy::AgentFailed(_) => "terminal error",
        FailureWhy::ProgressDeadline => "deadline",
        FailureWhy::DarkAfterGrant => "dark after the grant",
        FailureWhy::Degraded => "unhealthy while verifying",
        FailureWhy::Regressed => "regressed",
        FailureWhy::NothingToReturnTo => "nothing to return to",
    }
}

fn wave_change(change: WaveChange) -> String {
    match change {
        WaveChange::Gated => "waits at its gates".to_owned(),
        WaveChange::Opened { limits } => format!(
            "opens: size {}, in flight {}, failures {}, evidence {}",
            limits.size, limits.max_in_flight, limits.max_failures, limits.evidence_min
        ),
        WaveChange::Skipped => "skipped: empty".to_owned(),
        WaveChange::Proving => "proving".to_owned(),
        WaveChange::Reopened => "open again".to_owned(),
        WaveChange::Passed { vacuous: true } => "passed, nothing proved".to_owned(),
        WaveChange::Passed { vacuous: false } => "passed".to_owned(),
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::FailureBudget { wave, failed, allowed } => {
            format!("{failed} failed in {wave}, {allowed} allowed")
        }
        Cause::WaveTimeout { wave } => format!("{wave} took too long"),
        Cause::RollbackFailed { failed } => format!("{failed} failed to return"),
        Cause::RollbackUnsafe { changes } => format!("cannot be undone: {}", changes.join(", ")),
        Cause::AnalysisFailed { wave, message } => format!("{wave} was measured bad: {message}"),
        Cause::Rejected { wave, by } => format!("{} rejected {wave}", by.name),
        Cause::NothingToRollBackTo => "nothing to roll back to".to_owned(),
    }
}

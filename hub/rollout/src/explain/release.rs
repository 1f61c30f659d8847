//! What became of commits and of rollouts that ended.

use model::{ClusterUid, Reason, Status};

use super::{Blocker, words};
use crate::{
    decide::{is_behind, proven},
    evidence::Look,
    state::{InLane, Kind, Outcome, Rollout, Verdict},
};

/// What keeps the newest commit from being everywhere, besides the active rollout.
pub(crate) fn blockers(look: Look<'_>) -> Vec<Blocker> {
    let app = look.app;
    let Some(head) = &app.head else {
        let reason = Reason::NotRolledOut;
        let status = Status::because(reason, "no commit of this App has been seen yet");
        return app.active.is_none().then(|| Blocker::app(status)).into_iter().collect();
    };
    let commit = head.revision.commit.short();
    let status = match &head.verdict {
        Verdict::Unchanged => None,
        Verdict::Rollout(id) if app.active.as_ref().is_some_and(|r| r.id == *id) => None,
        Verdict::Rollout(id) => app.rollout(*id).and_then(|rollout| {
            let outcome = rollout.outcome()?;
            match outcome {
                Outcome::Completed { .. } => {
                    let proven = app.stable_rollout >= Some(*id) || rollout.kind != Kind::Forward;
                    (!proven).then(|| unproven(look, rollout))
                }
                Outcome::RolledBack { .. } | Outcome::Superseded { .. } | Outcome::Aborted => {
                    Some(ended(look, rollout, outcome))
                }
            }
        }),
        Verdict::Queued => Some(queued(look, commit)),
        Verdict::Refused { reason, message } => Some(Status::because(*reason, message.clone())),
    };
    let mut blockers: Vec<_> = status.map(|s| Blocker::app(s.since(head.at))).into_iter().collect();
    if app.active.is_none() {
        blockers.extend(behind(look));
    }
    blockers
}

fn queued(look: Look<'_>, commit: &str) -> Status {
    let command = format!("tidegate rollout start {} --now", look.app.name);
    match &look.app.active {
        Some(active) if active.is_rollback() => Status::because(
            Reason::ReleaseQueued,
            format!("{commit} waits until rollback {} has ended", active.id),
        ),
        Some(active) => Status::because(
            Reason::ReleaseQueued,
            format!("{commit} waits: {} gets to finish", active.release.revision.commit.short()),
        )
        .fix("supersede the active rollout", command),
        None => Status::because(Reason::ReleaseQueued, format!("{commit} starts next")),
    }
}

/// Clusters that lack the proven release, with what keeps each.
fn behind(look: Look<'_>) -> Vec<Blocker> {
    let (Some(proven), Some(stable)) = (proven(look), look.app.stable.as_ref()) else {
        return Vec::new();
    };
    let (failed, flying): (Vec<_>, Vec<_>) =
        look.app.lane.iter().partition(|(_, lane)| lane.failed.is_some());
    let uids = |lane: Vec<(&ClusterUid, &InLane)>| -> Vec<ClusterUid> {
        lane.into_iter().map(|(uid, _)| uid.clone()).collect()
    };
    let waiting = proven.iter().filter(|(uid, digest)| {
        !look.app.lane.contains_key(*uid)
            && look.cluster(uid).is_some()
            && is_behind(look, uid, digest)
    });
    let waiting: Vec<ClusterUid> = waiting.map(|(uid, _)| uid.clone()).collect();
    let commit = stable.commit().short();
    let mut blockers = Vec::new();
    let mut say = |reason: Reason, clusters: Vec<ClusterUid>, what: &str| {
        if clusters.is_empty() {
            return;
        }
        let names = words::list(clusters.iter().map(|uid| {
            let name = words::name(look, uid);
            let behind = reason == Reason::BehindProven;
            if behind { super::cluster::behind(look, uid, &name) } else { name }
        }));
        let message = format!("{} {what} {commit}: {names}", words::clusters(clusters.len()));
        let status = Status::because(reason, message);
        blockers.push(Blocker { status, wave: None, clusters });
    };
    say(Reason::CatchUpFailed, uids(failed), "not well on");
    say(Reason::CatchingUp, uids(flying), "on the way to");
    say(Reason::BehindProven, waiting, "behind");
    blockers
}

/// Every wave is over and no cluster proved the release: people took them all out of it.
fn unproven(look: Look<'_>, rollout: &Rollout) -> Status {
    let commit = rollout.release.revision.commit.short();
    let message = format!("{commit} ended, and no cluster proved it; nobody else gets it");
    let fix = format!("tidegate rollout start {}", look.app.name);
    Status::because(Reason::InsufficientEvidence, message).fix("roll it out again", fix)
}

/// How a rollout ended.
pub(crate) fn ended(look: Look<'_>, rollout: &Rollout, outcome: Outcome) -> Status {
    let commit = rollout.release.revision.commit.short();
    let status = match outcome {
        Outcome::Completed { exceptions: 0 } => Status::ready(format!("{commit} is everywhere")),
        Outcome::Completed { exceptions } => {
            let n = exceptions as usize;
            Status::ready(format!("{commit} is everywhere but on {}", words::clusters(n)))
        }
        Outcome::RolledBack { exceptions: 0 } => {
            let message = "every exposed cluster returned to its last good release";
            Status::because(Reason::RolloutRolledBack, message)
        }
        Outcome::RolledBack { exceptions } => Status::because(
            Reason::RolloutRolledBack,
            format!(
                "returned to the last good release, but for {}",
                words::clusters(exceptions as usize)
            ),
        ),
        Outcome::Superseded { by } => {
            Status::because(Reason::RolloutSuperseded, format!("rollout {by} took over"))
        }
        Outcome::Aborted => aborted(look, rollout, commit),
    };
    match rollout.ended {
        Some(at) => status.since(at),
        None => status,
    }
}

fn aborted(look: Look<'_>, rollout: &Rollout, commit: &str) -> Status {
    let by = match rollout.ended_by() {
        Some(by) if by.reason.is_empty() => format!(" by {}", by.name),
        Some(by) => format!(" by {}: {}", by.name, by.reason),
        None => String::new(),
    };
    let message = format!("{commit} was aborted{by}; clusters keep what they run");
    let app = &look.app.name;
    Status::because(Reason::RolloutAborted, message)
        .fix(
            "return the clusters it reached",
            format!("tidegate rollout rollback {app} --reason TEXT"),
        )
        .fix("start it again", format!("tidegate rollout start {app}"))
}

//! What holds up the active rollout.

use std::time::Duration;

use model::{ClusterUid, Next, Reason, Status};

use super::{Blocker, gate, words};
use crate::{
    decide::{self, all_settled, free_slots, has_evidence, is_probing},
    evidence::Look,
    state::{
        Actor, Cause, FailureWhy, Member, MemberState, Outcome, Rollout, RolloutState, WaveState,
    },
};

type Held<'a> = Vec<(&'a ClusterUid, &'a Member)>;

/// Everything that holds up the rollout, in causal order; never empty while it is not finished.
pub(crate) fn blockers(look: Look<'_>, rollout: &Rollout) -> Vec<Blocker> {
    let mut blockers = match &rollout.state {
        RolloutState::Planned => vec![Blocker::app(planned(look, rollout))],
        RolloutState::Paused { by, at } => vec![Blocker::app(paused(look, by).since(*at))],
        RolloutState::Halted { causes, at } => {
            causes.iter().map(|cause| halted(look, rollout, cause, *at)).collect()
        }
        RolloutState::Progressing => Vec::new(),
        RolloutState::Ended { .. } => return Vec::new(),
    };
    blockers.extend(recalls(look, rollout));
    if rollout.is_progressing() {
        if let Some(index) = rollout.current_wave() {
            blockers.extend(in_wave(look, rollout, index));
        }
        blockers.extend(later_waves(rollout));
    }
    if blockers.is_empty() {
        let message = format!("{} is going out", rollout.release.revision.commit.short());
        blockers.push(Blocker::app(Status::because(Reason::RolloutProgressing, message)));
    }
    blockers
}

fn planned(look: Look<'_>, rollout: &Rollout) -> Status {
    let app = &look.app.name;
    let message = format!("{} waits to be started", rollout.release.revision.commit.short());
    Status::because(Reason::RolloutNotStarted, message)
        .since(rollout.started)
        .fix("start it", format!("tidegate rollout start {app}"))
}

fn paused(look: Look<'_>, by: &Actor) -> Status {
    let why = if by.reason.is_empty() { String::new() } else { format!(": {}", by.reason) };
    Status::because(Reason::RolloutPaused, format!("paused by {}{why}", by.name))
        .fix("go on", format!("tidegate rollout resume {} --reason TEXT", look.app.name))
}

fn halted(look: Look<'_>, rollout: &Rollout, cause: &Cause, at: jiff::Timestamp) -> Blocker {
    let app = &look.app.name;
    let resume = format!("tidegate rollout resume {app} --accept --reason TEXT");
    let back = format!("tidegate rollout rollback {app} --reason TEXT");
    let (wave, status) = match cause {
        Cause::FailureBudget { wave, failed, allowed } => {
            let index = rollout.waves.iter().position(|w| w.spec.name == *wave).unwrap_or_default();
            let (_, names) = failures(look, rollout, index);
            let names = if names.is_empty() { "all of them are well now" } else { &names };
            let message =
                format!("budget of {wave} spent: {failed} failed, {allowed} allowed: {names}");
            let status = Status::because(Reason::FailureBudgetSpent, message);
            (Some(wave), status.fix("roll back", back).fix("accept the failures", resume))
        }
        Cause::WaveTimeout { wave } => {
            let message = format!("{wave} did not pass in time: {}", standing(look, rollout, wave));
            let status = Status::because(Reason::WaveTimeout, message);
            (Some(wave), status.fix("give it more time", resume).fix("roll back", back))
        }
        Cause::RollbackFailed { failed } => {
            let (_, names) = failures(look, rollout, 0);
            let n = words::clusters(*failed as usize);
            let message = format!("{n} not well after the return: {names}");
            let status = Status::because(Reason::RollbackFailed, message);
            let retry = format!("tidegate rollout retry {app}");
            (None, status.fix("try again", retry).fix("accept it", resume))
        }
        Cause::NothingToRollBackTo => {
            let message = "no older release is proven for the clusters it reached";
            (None, Status::because(Reason::NothingToRollBackTo, message))
        }
        Cause::RollbackUnsafe { changes } => {
            let changes = words::list(changes.iter().cloned());
            let message = format!("not rolled back by itself, for it brought {changes}");
            (
                None,
                Status::because(Reason::RollbackUnsafe, message)
                    .fix("roll back all the same", back),
            )
        }
        Cause::AnalysisFailed { wave, message } => {
            let message = format!("{wave} was measured and is bad: {message}");
            let status = Status::because(Reason::AnalysisFailed, message);
            (Some(wave), status.fix("roll back", back).fix("measure again", resume))
        }
        Cause::Rejected { wave, by } => {
            let why = if by.reason.is_empty() { String::new() } else { format!(": {}", by.reason) };
            let message = format!("{} rejected {wave}{why}", by.name);
            let status = Status::because(Reason::WaveRejected, message);
            (Some(wave), status.fix("roll back", back).fix("go on", resume))
        }
    };
    let named = wave.and_then(|name| rollout.waves.iter().position(|w| w.spec.name == *name));
    let index = named.or(matches!(cause, Cause::RollbackFailed { .. }).then_some(0));
    let clusters = index.map(|i| failures(look, rollout, i).0).unwrap_or_default();
    Blocker { status: status.since(at), wave: wave.cloned(), clusters }
}

fn failures(look: Look<'_>, rollout: &Rollout, index: usize) -> (Vec<ClusterUid>, String) {
    // A rollback does not wait for the dark: they find the way back when they return.
    let counts = |why| !rollout.is_rollback() || why != FailureWhy::DarkAfterGrant;
    let failed = |m: &Member| m.state.failure().is_some_and(counts);
    let failed: Held<'_> = rollout.members_of(index).filter(|(_, m)| failed(m)).collect();
    let names = words::list(failed.iter().map(|(uid, m)| words::failure(look, uid, m)));
    (failed.into_iter().map(|(uid, _)| uid.clone()).collect(), names)
}

/// What a wave that took too long lacks: the clusters that are not done, or else what it still has to prove.
fn standing(look: Look<'_>, rollout: &Rollout, wave: &model::WaveName) -> String {
    let index = rollout.waves.iter().position(|w| w.spec.name == *wave).unwrap_or_default();
    let mut open: Held<'_> = rollout.members_of(index).collect();
    open.retain(|(_, m)| !matches!(m.state, MemberState::Updated | MemberState::Unchanged));
    if open.is_empty() {
        let missing = proving(look, rollout, index);
        let missing: Vec<_> = missing.iter().map(|b| b.status.message().to_owned()).collect();
        return if missing.is_empty() {
            "nothing is missing now".to_owned()
        } else {
            missing.join("; ")
        };
    }
    words::list(open.iter().map(|(uid, m)| words::flight(look, rollout, uid, m)))
}

fn recalls(look: Look<'_>, rollout: &Rollout) -> Option<Blocker> {
    let recalling = |m: &Member| matches!(m.state, MemberState::Recalling { .. });
    let held: Held<'_> = rollout.members.iter().filter(|(_, m)| recalling(m)).collect();
    let (first, _) = held.first()?;
    let epoch = look.app.holding(first).and_then(|h| h.newest()).map_or(0, |g| g.grant.epoch.0);
    let names = words::list(held.iter().map(|(uid, m)| words::flight(look, rollout, uid, m)));
    let message = if held.len() == 1 {
        format!("grant {epoch} was recalled; waiting for it to be confirmed unexposed: {names}")
    } else {
        format!("{} grants were recalled; waiting for each to be confirmed: {names}", held.len())
    };
    Some(blocker(rollout, Reason::RecallUnconfirmed, message, &held))
}

fn blocker(rollout: &Rollout, reason: Reason, message: String, held: &Held<'_>) -> Blocker {
    let wave = held.first().and_then(|(_, m)| rollout.waves.get(m.wave));
    Blocker {
        status: Status::because(reason, message),
        wave: wave.map(|w| w.spec.name.clone()),
        clusters: held.iter().map(|(uid, _)| (*uid).clone()).collect(),
    }
}

fn in_wave(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Blocker> {
    match rollout.waves[index].state {
        WaveState::Open => open(look, rollout, index),
        WaveState::Proving => proving(look, rollout, index),
        WaveState::Locked | WaveState::Gated => {
            let shut = decide::before(look, rollout, index);
            shut.iter().map(|closed| gate::closed(look, rollout, index, closed)).collect()
        }
        WaveState::Passed { .. } | WaveState::Skipped => Vec::new(),
    }
}

fn open(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Blocker> {
    let name = &rollout.waves[index].spec.name;
    let of = |what: fn(&MemberState) -> bool| -> Held<'_> {
        rollout.members_of(index).filter(|(_, m)| what(&m.state)).collect()
    };
    let flying = |held: &Held<'_>| {
        words::list(held.iter().map(|(uid, m)| words::flight(look, rollout, uid, m)))
    };
    let mut blockers = Vec::new();
    let flight = of(MemberState::takes_slot);
    let mut queued = of(|s| *s == MemberState::Queued);
    let shut = shut(look, rollout, index, &queued);
    if !shut.is_empty() {
        blockers.extend(shut);
        queued.clear();
    }
    if !queued.is_empty() && free_slots(look, rollout, index) == 0 {
        let (reason, message) = if is_probing(rollout) {
            let probe = rollout.strategy.probe;
            let all: Held<'_> =
                rollout.members.iter().filter(|(_, m)| m.state.takes_slot()).collect();
            let one = if probe == 1 { "one".to_owned() } else { probe.to_string() };
            (Reason::ProbeRunning, format!("first exposure is a probe of {one}: {}", flying(&all)))
        } else {
            let limit = rollout.waves[index].limits.map_or(0, |l| l.max_in_flight);
            let waiting = words::clusters(queued.len());
            let message = format!(
                "{waiting} of {name} waiting: {} of {limit} in flight ({})",
                flight.len(),
                flying(&flight)
            );
            (Reason::WaitingForSlot, message)
        };
        blockers.push(blocker(rollout, reason, message, &queued));
        queued.clear();
    }
    let updating = of(|s| matches!(s, MemberState::Updating { .. }));
    if !updating.is_empty() {
        blockers.push(blocker(rollout, Reason::ClusterApplying, flying(&updating), &updating));
    }
    let verifying = of(|s| *s == MemberState::Verifying);
    if !verifying.is_empty() {
        let min = words::time(rollout.waves[index].spec.settings.min_healthy);
        let message = format!("{}; each must stay healthy for {min}", flying(&verifying));
        blockers.push(blocker(rollout, Reason::ClusterVerifying, message, &verifying));
    }
    if rollout.is_progressing() {
        blockers.extend(queued.iter().map(|held| unready(look, rollout, *held)));
    } else if !queued.is_empty() {
        let waiting = words::clusters(queued.len());
        let message = format!("{waiting} of {name} waiting: the rollout stands still");
        let paused = matches!(rollout.state, RolloutState::Paused { .. });
        let reason = if paused { Reason::RolloutPaused } else { Reason::RolloutNotStarted };
        blockers.push(blocker(rollout, reason, message, &queued));
    }
    blockers.extend(attempts(look, rollout, index));
    if all_settled(rollout, index) && !has_evidence(rollout, index) {
        blockers.push(insufficient(look, rollout, index));
    }
    if blockers.is_empty() {
        let status = Status::because(Reason::WaveProgressing, format!("{name} is open"));
        blockers.push(Blocker { wave: Some(name.clone()), ..Blocker::app(status) });
    }
    blockers
}

/// What keeps every member that waits from its grant: a closed gate, or the pace.
fn shut(look: Look<'_>, rollout: &Rollout, index: usize, queued: &Held<'_>) -> Vec<Blocker> {
    if queued.is_empty() {
        return Vec::new();
    }
    let closed = decide::continuous(look, rollout, index);
    if closed.is_empty() && decide::pace_left(look, rollout) == 0 {
        let (n, name) = (words::clusters(queued.len()), &rollout.waves[index].spec.name);
        let message = format!("{n} of {name} wait for the pace");
        return vec![blocker(rollout, Reason::WaitingForPace, message, queued)];
    }
    let waiting = || queued.iter().map(|(uid, _)| (*uid).clone()).collect();
    let say = |gate| Blocker { clusters: waiting(), ..gate::closed(look, rollout, index, gate) };
    closed.iter().map(say).collect()
}

/// A queued member that a free slot does not help.
fn unready(look: Look<'_>, rollout: &Rollout, held: (&ClusterUid, &Member)) -> Blocker {
    let (uid, _) = held;
    let name = words::name(look, uid);
    let member = held.1;
    if let Some(closed) = decide::for_member(look, rollout, uid, member) {
        let gate = gate::closed(look, rollout, member.wave, &closed);
        return Blocker { clusters: vec![uid.clone()], ..gate };
    }
    let (reason, message) = if look.is_ahead(uid) {
        (Reason::HubBehindAgents, format!("{name} holds a newer grant than this hub ever gave"))
    } else if decide::busy(look, uid) {
        let n = look.cluster(uid).map_or(0, |c| c.busy);
        (Reason::ClusterBusy, format!("{name} waits: {n} other Apps are in flight on it"))
    } else if let Some(apart) = decide::kept_apart(look, rollout, member) {
        gate::apart(&name, &apart)
    } else if look.app.holding(uid).is_some_and(|h| !h.is_settled()) {
        let message = format!("{name} has not acknowledged the grant before this one");
        (Reason::ClusterApplying, message)
    } else {
        (Reason::NoReportYet, format!("{name} has not been heard since the hub started"))
    };
    blocker(rollout, reason, message, &vec![held])
}

/// Failed members that try again by themselves.
fn attempts(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Blocker> {
    let backoff = rollout.waves[index].spec.settings.retry.backoff;
    let pending = rollout.members_of(index).filter_map(|(uid, m)| {
        let limit = rollout.waves[index].spec.settings.retry.limit;
        let why = m.state.failure().filter(|_| m.retries(limit))?;
        Some((uid, m, why))
    });
    let say = |(uid, m, why): (&ClusterUid, &Member, crate::state::FailureWhy)| {
        let what = format!("{} tries again", words::name(look, uid));
        let at = m.since.checked_add(backoff).ok();
        let mut blocker =
            blocker(rollout, why.reason(), words::failure(look, uid, m), &vec![(uid, m)]);
        blocker.status = blocker.status.next(Next { what, at, provided: None });
        blocker
    };
    pending.map(say).collect()
}

fn insufficient(look: Look<'_>, rollout: &Rollout, index: usize) -> Blocker {
    let min = rollout.waves[index].limits.map_or(1, |l| l.evidence_min) as usize;
    let has = rollout.count(index, |s| *s == MemberState::Updated);
    let mut rest: Held<'_> = rollout.members_of(index).collect();
    rest.retain(|(_, m)| m.state != MemberState::Updated);
    let names = words::list(rest.iter().map(|(uid, m)| {
        let failed = m.state.is_failed();
        if failed { words::failure(look, uid, m) } else { words::flight(look, rollout, uid, m) }
    }));
    let name = &rollout.waves[index].spec.name;
    let message = format!("{name} needs {} updated, has {has}: {names}", words::clusters(min));
    let mut blocker = blocker(rollout, Reason::InsufficientEvidence, message, &rest);
    let timeout = rollout.waves[index].spec.settings.timeout;
    let at = rollout.waves[index].opened.and_then(|t| t.checked_add(timeout).ok());
    let next = Next { what: "the rollout halts".to_owned(), at, provided: None };
    blocker.status = blocker.status.next(next);
    blocker
}

fn proving(look: Look<'_>, rollout: &Rollout, index: usize) -> Vec<Blocker> {
    let wave = &rollout.waves[index];
    let soak = decide::soak(rollout, index);
    let mut stale: Held<'_> = Vec::new();
    let mut soaking: Vec<(Duration, &ClusterUid, &Member)> = Vec::new();
    for (uid, member) in rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Updated)
    {
        match look.healthy_for(rollout, uid, member) {
            None => stale.push((uid, member)),
            Some(healthy) if healthy < soak => soaking.push((healthy, uid, member)),
            Some(_) => {}
        }
    }
    let mut blockers = Vec::new();
    if !stale.is_empty() {
        let names = words::list(stale.iter().map(|(uid, _)| {
            format!("{} (heard {} ago)", words::name(look, uid), words::time(look.silence(uid)))
        }));
        let message = format!("{} needs a fresh healthy report of {names}", wave.spec.name);
        blockers.push(blocker(rollout, Reason::EvidenceStale, message, &stale));
    }
    soaking.sort_by_key(|(healthy, uid, _)| (*healthy, *uid));
    if let Some((least, slowest, _)) = soaking.first().copied() {
        let message = format!(
            "soak of {}: {} of {}; slowest {}",
            wave.spec.name,
            words::time(least),
            words::time(soak),
            words::name(look, slowest)
        );
        let held = soaking.iter().map(|(_, uid, m)| (*uid, *m)).collect();
        let mut blocker = blocker(rollout, Reason::WaitingForSoak, message, &held);
        blocker.status = blocker.status.next(Next {
            what: format!("{} passes", wave.spec.name),
            at: look.now.wall.checked_add(soak.saturating_sub(least)).ok(),
            provided: Some("all stay healthy".to_owned()),
        });
        let (app, name) = (&look.app.name, &wave.spec.name);
        let promote = format!("tidegate rollout promote {app} --wave {name} --reason TEXT");
        blocker.status = blocker.status.fix("skip the rest of the soak (admin)", promote);
        blockers.push(blocker);
    }
    let shut = decide::after(look, rollout, index);
    blockers.extend(shut.iter().map(|closed| gate::closed(look, rollout, index, closed)));
    blockers
}

fn later_waves(rollout: &Rollout) -> Option<Blocker> {
    let current = rollout.current_wave()?;
    let later: Vec<_> = (current + 1..rollout.waves.len())
        .filter(|i| {
            rollout.waves[*i].state == WaveState::Locked && !rollout.waves[*i].order.is_empty()
        })
        .collect();
    let first = &rollout.waves[*later.first()?];
    let names = later.iter().map(|i| rollout.waves[*i].spec.name.to_string());
    let message = format!(
        "{} waits for {}",
        names.collect::<Vec<_>>().join(", "),
        rollout.waves[current].spec.name
    );
    let status = Status::because(Reason::WaitingForEarlierWave, message);
    Some(Blocker { status, wave: Some(first.spec.name.clone()), clusters: Vec::new() })
}

/// Where one wave is.
pub(crate) fn wave_status(look: Look<'_>, rollout: &Rollout, index: usize) -> Status {
    let wave = &rollout.waves[index];
    let name = &wave.spec.name;
    if rollout.is_over_budget(index) {
        let message =
            format!("{} of {name} failed", words::clusters(rollout.failed(index) as usize));
        return Status::because(Reason::FailureBudgetSpent, message);
    }
    let over = |outcome: Outcome| {
        let (reason, how) = match outcome {
            Outcome::Superseded { .. } => (Reason::RolloutSuperseded, "superseded"),
            Outcome::Aborted => (Reason::RolloutAborted, "aborted"),
            Outcome::Completed { .. } | Outcome::RolledBack { .. } => {
                (Reason::RolloutRolledBack, "over")
            }
        };
        Status::because(reason, format!("{name} did not pass: the rollout was {how}"))
    };
    match (wave.state, rollout.outcome()) {
        (
            WaveState::Locked | WaveState::Gated | WaveState::Open | WaveState::Proving,
            Some(outcome),
        ) => over(outcome),
        (WaveState::Locked | WaveState::Gated, None) => {
            let turn = rollout.current_wave() == Some(index);
            let own = if turn { in_wave(look, rollout, index) } else { Vec::new() };
            own.into_iter().next().map_or_else(
                || Status::because(Reason::WaitingForEarlierWave, format!("{name} has not opened")),
                |b| b.status,
            )
        }
        (WaveState::Open | WaveState::Proving, None) => {
            let own = in_wave(look, rollout, index).into_iter().next().map(|b| b.status);
            own.unwrap_or_else(|| {
                Status::because(Reason::WaveProgressing, format!("{name} is open"))
            })
        }
        (WaveState::Passed { vacuous: true }, _) => {
            Status::ready(format!("{name} had nothing to change, so it proved nothing"))
        }
        (WaveState::Passed { vacuous: false }, _) => Status::ready(format!("{name} passed")),
        (WaveState::Skipped, _) => {
            Status::because(Reason::WaveSkipped, format!("{name} has no members"))
        }
    }
}

//! Waves: open one after the other, prove, pass; and the brakes that stop them.

use std::time::Duration;

use crate::{
    decide::member,
    event::{Event, WaveChange},
    evidence::Look,
    retreat,
    spec::OnFailure,
    state::{Cause, FailureWhy, Limits, MemberState, Outcome, Rollout, RolloutState, WaveState},
};

/// More failures than a wave allows, also in one that passed long ago: nothing else comes before this.
pub(crate) fn brake(look: Look<'_>) -> Option<Event> {
    let rollout = look.app.active.as_ref().filter(|r| r.is_progressing() && !r.is_rollback())?;
    let over = (0..rollout.waves.len()).filter(|index| rollout.is_over_budget(*index));
    let mut causes: Vec<_> = over.map(|index| budget_cause(rollout, index)).collect();
    if causes.is_empty() {
        return None;
    }
    if rollout.strategy.on_failure == OnFailure::Rollback {
        match retreat::rollback(look.app, rollout, None, look.now) {
            Ok(start) => return Some(Event::Started(Box::new(start))),
            Err(retreat::NothingToRollBackTo) => causes.push(Cause::NothingToRollBackTo),
        }
    }
    Some(Event::Halted { rollout: rollout.id, causes, at: look.now.wall })
}

fn budget_cause(rollout: &Rollout, index: usize) -> Cause {
    let wave = &rollout.waves[index];
    Cause::FailureBudget {
        wave: wave.spec.name.clone(),
        failed: rollout.failed(index),
        allowed: wave.failures_allowed().unwrap_or_default(),
    }
}

/// The next change of a wave, or the end of the rollout.
pub(crate) fn change(look: Look<'_>) -> Option<Event> {
    let rollout = look.app.active.as_ref().filter(|r| r.is_progressing())?;
    let Some(index) = rollout.current_wave() else {
        return Some(ended(look, rollout));
    };
    match rollout.waves[index].state {
        WaveState::Locked => Some(open(look, rollout, index)),
        WaveState::Open => close(look, rollout, index).or_else(|| timeout(look, rollout, index)),
        WaveState::Proving => prove(look, rollout, index).or_else(|| timeout(look, rollout, index)),
        WaveState::Passed { .. } | WaveState::Skipped => None,
    }
}

fn ended(look: Look<'_>, rollout: &Rollout) -> Event {
    let exceptions = rollout.members.values().filter(|m| is_exception(&m.state)).count();
    let exceptions = u32::try_from(exceptions).unwrap_or(u32::MAX);
    let outcome = if rollout.is_rollback() {
        Outcome::RolledBack { exceptions }
    } else {
        Outcome::Completed { exceptions }
    };
    Event::Ended { rollout: rollout.id, outcome, by: None, at: look.now.wall }
}

fn is_exception(state: &MemberState) -> bool {
    match state {
        MemberState::Failed { .. } | MemberState::Skipped | MemberState::Deferred { .. } => true,
        MemberState::Queued
        | MemberState::Updating { .. }
        | MemberState::Verifying
        | MemberState::Recalling { .. }
        | MemberState::Updated
        | MemberState::Unchanged
        | MemberState::Departed => false,
    }
}

/// Opens a wave and turns its shares into integers, once.
fn open(look: Look<'_>, rollout: &Rollout, index: usize) -> Event {
    let wave = &rollout.waves[index];
    let size = rollout.count(index, |s| *s != MemberState::Departed);
    // The plan refused a wave that is empty and may not be; one that lost its members since must not
    // let the release pass unproven.
    if wave.order.is_empty() || size == 0 && wave.spec.allow_empty {
        return event(look, rollout, index, WaveChange::Skipped);
    }
    let changing =
        rollout.count(index, |s| !matches!(s, MemberState::Departed | MemberState::Unchanged));
    let settings = &wave.spec.settings;
    let limits = Limits {
        size,
        max_in_flight: settings.max_in_flight.at_least_one(size),
        max_failures: settings.max_failures.tolerance(size),
        evidence_min: settings.evidence_min.at_least_one(size).min(changing).max(1),
    };
    event(look, rollout, index, WaveChange::Opened { limits })
}

/// Every member settled, and something proved.
fn close(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Event> {
    if !all_settled(rollout, index) {
        return None;
    }
    if rollout.is_rollback() {
        return Some(close_rollback(look, rollout, index));
    }
    let enough = has_evidence(rollout, index) || is_vacuous(rollout, index);
    enough.then(|| event(look, rollout, index, WaveChange::Proving))
}

/// A rollback has nothing to prove; but what could be reached and is not well needs a person.
fn close_rollback(look: Look<'_>, rollout: &Rollout, index: usize) -> Event {
    let other = |why: FailureWhy| why != FailureWhy::DarkAfterGrant;
    let broken = rollout.count(index, |state| state.failure().is_some_and(other));
    if broken > 0 && !rollout.failures_accepted {
        let causes = vec![Cause::RollbackFailed { failed: broken }];
        return Event::Halted { rollout: rollout.id, causes, at: look.now.wall };
    }
    event(look, rollout, index, WaveChange::Passed { vacuous: false })
}

fn prove(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Event> {
    let vacuous = is_vacuous(rollout, index);
    if !all_settled(rollout, index) || !has_evidence(rollout, index) && !vacuous {
        return Some(event(look, rollout, index, WaveChange::Reopened));
    }
    let soak = rollout.waves[index].spec.settings.soak;
    let mut updated = rollout.members_of(index).filter(|(_, m)| m.state == MemberState::Updated);
    let proven =
        updated.all(|(uid, m)| look.healthy_for(rollout, uid, m).is_some_and(|d| d >= soak));
    proven.then(|| event(look, rollout, index, WaveChange::Passed { vacuous }))
}

fn timeout(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Event> {
    let wave = &rollout.waves[index];
    let open_for = look.now.wall.duration_since(wave.opened?);
    let open_for = Duration::try_from(open_for).unwrap_or_default();
    (open_for > wave.spec.settings.timeout).then(|| Event::Halted {
        rollout: rollout.id,
        causes: vec![Cause::WaveTimeout { wave: wave.spec.name.clone() }],
        at: look.now.wall,
    })
}

/// Whether the wave waits for nothing more of any member.
pub(crate) fn all_settled(rollout: &Rollout, index: usize) -> bool {
    rollout.members_of(index).all(|(_, member)| {
        let again = |why| member::retries(rollout, member, why);
        member.state.is_settled() && !member.state.failure().is_some_and(again)
    })
}

/// Whether as many members are updated as the wave needs.
pub(crate) fn has_evidence(rollout: &Rollout, index: usize) -> bool {
    let min = rollout.waves[index].limits.map_or(1, |l| l.evidence_min);
    rollout.count(index, |s| *s == MemberState::Updated) >= min
}

/// Whether there was nothing to prove: no live member's content changed. A wave of which nothing is left,
/// or of which everything is dark, is not vacuous: it is unproven.
fn is_vacuous(rollout: &Rollout, index: usize) -> bool {
    let calm = |s: &MemberState| matches!(s, MemberState::Unchanged | MemberState::Skipped);
    let absent =
        |s: &MemberState| matches!(s, MemberState::Departed | MemberState::Deferred { .. });
    let mut members = rollout.members_of(index);
    rollout.count(index, calm) > 0 && members.all(|(_, m)| calm(&m.state) || absent(&m.state))
}

fn event(look: Look<'_>, rollout: &Rollout, wave: usize, change: WaveChange) -> Event {
    debug_assert_eq!(rollout.state, RolloutState::Progressing, "a wave moved without leave");
    Event::Wave { rollout: rollout.id, wave, change, at: look.now.wall }
}

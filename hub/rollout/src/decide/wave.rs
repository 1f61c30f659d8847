//! Waves: open one after the other, prove, pass; and the brakes that stop them.

use std::time::Duration;

use model::ClusterUid;

use crate::{
    bug::Bug,
    decide::gates,
    event::{Event, WaveChange},
    evidence::Look,
    gate::Gate,
    retreat,
    spec::OnFailure,
    state::{
        Cause, FailureWhy, Limits, MemberState, Outcome, Rollout, RolloutState, Wave, WaveState,
    },
};

/// What stops a rollout at once: more failures than a wave allows, also in one that passed long ago, and a
/// measurement that is bad too often in a row. Nothing else comes before this.
pub(crate) fn brake(look: Look<'_>) -> Option<Event> {
    let rollout = look.app.active.as_ref().filter(|r| r.is_progressing() && !r.is_rollback())?;
    let over = (0..rollout.waves.len()).filter(|index| rollout.is_over_budget(*index));
    let mut causes: Vec<_> = over.map(|index| budget_cause(rollout, index)).collect();
    if look.app.has(Bug::SkipBudget) {
        causes.clear();
    }
    causes.extend(rollout.waves.iter().filter(|w| is_measured(w)).map(|wave| {
        let message = wave.measured.message.clone();
        Cause::AnalysisFailed { wave: wave.spec.name.clone(), message }
    }));
    if causes.is_empty() {
        return None;
    }
    if rollout.strategy.on_failure == OnFailure::Rollback && rollout.is_forward() {
        let changes = rollout.release.hard_to_undo.clone();
        if !changes.is_empty() && !rollout.strategy.rollback_policy.ignore_unsafe {
            causes.push(Cause::RollbackUnsafe { changes });
        } else {
            match retreat::rollback(look.app, rollout, None, look.now) {
                Ok(start) => return Some(Event::Started(Box::new(start))),
                Err(retreat::NothingToRollBackTo) => causes.push(Cause::NothingToRollBackTo),
            }
        }
    }
    Some(Event::Halted { rollout: rollout.id, causes, at: look.now.wall })
}

/// Measured, and badly. Not in one that passed: its measurement is over.
fn is_measured(wave: &Wave) -> bool {
    matches!(wave.state, WaveState::Open | WaveState::Proving) && gates::measured_badly(wave)
}

fn budget_cause(rollout: &Rollout, index: usize) -> Cause {
    let wave = &rollout.waves[index];
    Cause::FailureBudget {
        wave: wave.spec.name.clone(),
        failed: rollout.failed(index),
        allowed: wave.failures_allowed().unwrap_or_default(),
    }
}

/// The next change of a wave, or the end of the rollout. `from` is the member up to which everybody was seen
/// to have soaked; it moves on.
pub(crate) fn change(look: Look<'_>, from: &mut usize) -> Option<Event> {
    let rollout = look.app.active.as_ref().filter(|r| r.is_progressing())?;
    let Some(index) = rollout.current_wave() else {
        return Some(ended(look, rollout));
    };
    match rollout.waves[index].state {
        WaveState::Locked | WaveState::Gated => open(look, rollout, index),
        WaveState::Open => close(look, rollout, index).or_else(|| timeout(look, rollout, index)),
        WaveState::Proving => {
            prove(look, rollout, index, from).or_else(|| timeout(look, rollout, index))
        }
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

/// Opens a wave, if every gate before it is open at this very instant, and turns its shares into integers,
/// once.
fn open(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Event> {
    let wave = &rollout.waves[index];
    let counts = wave.tally.counts;
    let size = counts.total - counts.departed;
    // The plan refused a wave that is empty and may not be; one that lost its members since must not
    // let the release pass unproven.
    if wave.order.is_empty() || size == 0 && wave.spec.allow_empty {
        return Some(event(look, rollout, index, WaveChange::Skipped));
    }
    if !gates::before(look, rollout, index).is_empty() {
        let shut = wave.state == WaveState::Locked;
        return shut.then(|| event(look, rollout, index, WaveChange::Gated));
    }
    let changing = size - counts.unchanged;
    let settings = &wave.spec.settings;
    let limits = Limits {
        size,
        max_in_flight: settings.max_in_flight.at_least_one(size),
        max_failures: settings.max_failures.tolerance(size),
        evidence_min: settings.evidence_min.at_least_one(size).min(changing).max(1),
    };
    Some(event(look, rollout, index, WaveChange::Opened { limits }))
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

fn prove(look: Look<'_>, rollout: &Rollout, index: usize, from: &mut usize) -> Option<Event> {
    let vacuous = is_vacuous(rollout, index);
    let enough = has_evidence(rollout, index) || look.app.has(Bug::EvidenceZero);
    if !all_settled(rollout, index) || !enough && !vacuous {
        return Some(event(look, rollout, index, WaveChange::Reopened));
    }
    // The one that had not soaked when last looked at goes first: as long as it has not, nobody else needs
    // to be looked at. When it has, everybody is looked at once more, for what was fresh may be stale.
    let order = &rollout.waves[index].order;
    let soaked = |uid: &ClusterUid| has_soaked(look, rollout, index, uid);
    *from = (*from..order.len()).find(|at| !soaked(&order[*at])).unwrap_or(order.len());
    if *from < order.len() {
        return None;
    }
    *from = order.iter().position(|uid| !soaked(uid)).unwrap_or(order.len());
    if *from < order.len() || !gates::after(look, rollout, index).is_empty() {
        return None;
    }
    Some(event(look, rollout, index, WaveChange::Passed { vacuous }))
}

/// Whether a member that is updated was healthy for as long as the wave asks, by its own agent's clock.
fn has_soaked(look: Look<'_>, rollout: &Rollout, index: usize, uid: &ClusterUid) -> bool {
    let Some(member) = rollout.members.get(uid) else { return true };
    let wave = &rollout.waves[index];
    if member.state != MemberState::Updated {
        return true;
    }
    let soak = soak(rollout, index);
    if look.app.has(Bug::SoakByWallClock) {
        return wave.opened.is_some_and(|opened| look.since(opened) >= soak);
    }
    look.healthy_for(rollout, uid, member).is_some_and(|healthy| healthy >= soak)
}

/// For how long every updated member must have been healthy.
pub(crate) fn soak(rollout: &Rollout, index: usize) -> Duration {
    let wave = &rollout.waves[index];
    if wave.overrides(&Gate::Soak) {
        return Duration::ZERO;
    }
    wave.spec.settings.soak / rollout.expedited.unwrap_or(1).max(1)
}

fn timeout(look: Look<'_>, rollout: &Rollout, index: usize) -> Option<Event> {
    let wave = &rollout.waves[index];
    (look.since(wave.opened?) > wave.spec.settings.timeout).then(|| Event::Halted {
        rollout: rollout.id,
        causes: vec![Cause::WaveTimeout { wave: wave.spec.name.clone() }],
        at: look.now.wall,
    })
}

/// Whether the wave waits for nothing more of any member.
pub(crate) fn all_settled(rollout: &Rollout, index: usize) -> bool {
    rollout.waves[index].tally.is_settled()
}

/// Whether as many members are updated as the wave needs.
pub(crate) fn has_evidence(rollout: &Rollout, index: usize) -> bool {
    let wave = &rollout.waves[index];
    wave.tally.counts.updated >= wave.limits.map_or(1, |l| l.evidence_min)
}

/// Whether there was nothing to prove: no live member's content changed. A wave of which nothing is left,
/// or of which everything is dark, is not vacuous: it is unproven.
fn is_vacuous(rollout: &Rollout, index: usize) -> bool {
    let counts = rollout.waves[index].tally.counts;
    let calm = counts.unchanged + counts.skipped;
    calm > 0 && calm + counts.departed + counts.deferred == counts.total
}

fn event(look: Look<'_>, rollout: &Rollout, wave: usize, change: WaveChange) -> Event {
    debug_assert_eq!(rollout.state, RolloutState::Progressing, "a wave moved without leave");
    Event::Wave { rollout: rollout.id, wave, change, at: look.now.wall }
}

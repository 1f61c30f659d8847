//! What became of a commit, for one App, in a line: told by decided state alone.

use model::{Commit, Reason};
use rollout::{Cause, Kind, MemberState, Outcome, Rollout, RolloutState};
use serde::{Deserialize, Serialize};

use crate::engine::AppNow;

/// Longest line, in characters: GitHub takes 140.
const TEXT_CHARS_MAX: usize = 140;

/// How a commit fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    /// Under way.
    Pending,
    /// Everywhere.
    Success,
    /// It failed, or cannot go out.
    Failure,
    /// It did not come to an end: another one took over, or a person ended it.
    Ended,
}

/// One status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) fate: Fate,
    pub(super) text: String,
}

/// A status and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) commit: Commit,
    pub(super) told: Told,
    /// It concerns what goes on now: worth a status of its own. Of what is over only a status that was begun is ended.
    pub(super) fresh: bool,
}

/// The statuses of one App: one for each commit that went out, and for the newest one that cannot.
pub(super) fn words(app: &AppNow) -> Vec<Word> {
    let rollouts: Vec<&Rollout> = app.state.active.iter().chain(&app.state.past).collect();
    let mut words: Vec<Word> = Vec::new();
    for (index, rollout) in rollouts.iter().enumerate().filter(|(_, r)| r.kind == Kind::Forward) {
        let commit = &rollout.release.revision.commit;
        if words.iter().any(|word| word.commit == *commit) {
            continue;
        }
        let undone = rollouts.iter().find(|r| r.kind == (Kind::Rollback { of: rollout.id }));
        let told = undone.map_or_else(|| of_rollout(rollout), |back| of_rollback(back));
        words.push(Word {
            commit: commit.clone(),
            told,
            fresh: index == 0 || undone.is_some() && index == 1,
        });
    }
    if let (Some(fault), Some(at)) = (&app.offer.fault, &app.offer.fault_at)
        && fault.reason() != Some(Reason::AppRemoved)
        && let Some(commit) = at.rsplit(':').next().and_then(|text| Commit::parse(text).ok())
        && words.iter().all(|word| word.commit != commit)
    {
        let text = format!("cannot go out: {}", fault.message());
        words.push(Word { commit, told: told(Fate::Failure, &text), fresh: true });
    }
    words
}

fn told(fate: Fate, text: &str) -> Told {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() > TEXT_CHARS_MAX {
        line = line.chars().take(TEXT_CHARS_MAX - 1).collect();
        line.push('…');
    }
    Told { fate, text: line }
}

fn of_rollout(rollout: &Rollout) -> Told {
    let waves = rollout.waves.len();
    let sum =
        |is: fn(&MemberState) -> bool| (0..waves).map(|wave| rollout.count(wave, is)).sum::<u32>();
    let ready = sum(|state| matches!(state, MemberState::Updated | MemberState::Unchanged));
    let total = sum(|state| *state != MemberState::Departed);
    let failed = sum(MemberState::is_failed);
    let wave = rollout.current_wave().map_or(waves, |index| index + 1);
    let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    let where_to = format!("wave {wave}/{waves}, {ready}/{total} ready{failed}");
    match &rollout.state {
        RolloutState::Planned => told(Fate::Pending, "waits to be started"),
        RolloutState::Progressing => told(Fate::Pending, &where_to),
        RolloutState::Paused { by, .. } => {
            told(Fate::Pending, &format!("paused by {}: {where_to}", by.name))
        }
        RolloutState::Halted { causes, .. } => {
            let why = causes.first().map_or("halted", cause);
            told(Fate::Failure, &format!("{why}; {where_to}"))
        }
        RolloutState::Ended { outcome, .. } => match outcome {
            Outcome::Completed { .. } => {
                told(Fate::Success, &format!("{ready}/{total} ready{failed}"))
            }
            Outcome::RolledBack { .. } => told(Fate::Failure, "rolled back"),
            Outcome::Superseded { .. } => {
                told(Fate::Ended, &format!("another commit took over: {where_to}"))
            }
            Outcome::Aborted => told(Fate::Ended, &format!("aborted: {where_to}")),
        },
    }
}

/// What is said of a commit that is being taken back.
fn of_rollback(back: &Rollout) -> Told {
    if back.outcome().is_some() {
        return told(Fate::Failure, "rolled back");
    }
    let Told { text, .. } = of_rollout(back);
    told(Fate::Failure, &format!("rolling back: {text}"))
}

fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::FailureBudget { .. } => "halted: more failures than allowed",
        Cause::AnalysisFailed { .. } => "halted: a measurement is bad",
        Cause::RollbackUnsafe { .. } => "halted: it cannot simply be undone",
        Cause::Rejected { .. } => "halted: rejected",
        Cause::WaveTimeout { .. } => "halted: a wave took too long",
        Cause::RollbackFailed { .. } => "halted: the way back failed",
        Cause::NothingToRollBackTo => "halted: nothing older is proven",
    }
}

//! Measurements: what the shell is to ask now. Its answers come back as [`crate::Verb::Measured`].

use jiff::Timestamp;
use model::{ClusterName, RolloutId, WaveName};

use crate::{
    act::Answer,
    event::Event,
    evidence::Look,
    gate::{Analysis, Gate},
    obs::{Now, Obs},
    state::{App, MemberState, WaveState},
};

/// One question that is due, or when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Of which rollout.
    pub rollout: RolloutId,
    /// Index of the wave.
    pub wave: usize,
    /// Its name.
    pub name: WaveName,
    /// What is asked, and what is expected.
    pub analysis: Analysis,
    /// Clusters that run the release.
    pub updated: Vec<ClusterName>,
    /// Members of this and later waves that do not yet.
    pub others: Vec<ClusterName>,
    /// Ask not before.
    pub due: Timestamp,
}

/// The measurement that the active rollout waits for, if any. Asked from when the wave is proving until it
/// passes; also while it is paused, for evidence keeps accruing.
pub fn question(app: &App, now: Now, obs: &Obs) -> Option<Question> {
    let look = Look { app, now, obs };
    let rollout = app.active.as_ref()?;
    let index = rollout.current_wave()?;
    let wave = &rollout.waves[index];
    let analysis = wave.spec.after.analysis.as_ref()?;
    if wave.state != WaveState::Proving || wave.overrides(&Gate::Analysis) {
        return None;
    }
    let (updated, others): (Vec<_>, Vec<_>) = rollout
        .members
        .iter()
        .filter(|(_, m)| m.state != MemberState::Departed)
        .partition(|(_, m)| m.state == MemberState::Updated);
    let names = |some: Vec<(&model::ClusterUid, _)>| {
        some.into_iter().map(|(uid, _)| look.name(uid)).collect::<Vec<_>>()
    };
    let again = wave.measured.at.and_then(|at| at.checked_add(analysis.every).ok());
    Some(Question {
        rollout: rollout.id,
        wave: index,
        name: wave.spec.name.clone(),
        analysis: analysis.clone(),
        updated: names(updated),
        others: names(others),
        due: again.unwrap_or(now.wall),
    })
}

/// What an answer becomes; nothing, when nobody waits for it any more.
pub fn answer(
    app: &App,
    (rollout, wave): (RolloutId, usize),
    answer: Answer,
    message: &str,
    now: Now,
) -> Option<Event> {
    let active = app.active.as_ref().filter(|r| r.id == rollout)?;
    let asked = active.waves.get(wave).filter(|w| w.state == WaveState::Proving)?;
    asked.spec.after.analysis.as_ref()?;
    let message = message.to_owned();
    Some(Event::Answered { rollout, wave, answer, message, at: now.wall })
}

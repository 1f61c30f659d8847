//! Remembering: the next state from a state and an event, total and without choices.
//!
//! An event that does not fit the state changes nothing: the log is the truth, and a fold must never panic.

mod rollout;
mod member;
mod person;
mod lane;
mod cluster;

use model::AppName;

use crate::{
    event::Event,
    state::{App, RolloutState},
};

impl App {
    /// The fold of a log.
    pub fn fold<'a>(name: AppName, log: impl IntoIterator<Item = &'a Event>) -> App {
        let mut app = App::new(name);
        log.into_iter().for_each(|event| app.apply(event));
        app
    }

    /// Remembers one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::HeadMoved { head, .. } => self.head = Some(head.clone()),
            Event::Started(start) => self.begin(start),
            Event::Untargeted { clusters, commit, at } => self.untarget(clusters, commit, *at),
            Event::CaughtUp { cluster, name, grant, at } => {
                self.catch_up(cluster, name, *grant, *at);
            }
            Event::Lane { cluster, change, at } => self.change_lane(cluster, change, *at),
            Event::Judged { judgement, by, at } => self.judge(judgement, by, *at),
            Event::Acked { .. }
            | Event::Fenced { .. }
            | Event::Recalled { .. }
            | Event::Restored { .. }
            | Event::Dark { .. }
            | Event::Departed { .. } => self.apply_to_cluster(event),
            Event::Begun { .. }
            | Event::Granted { .. }
            | Event::Joined { .. }
            | Event::Acted { .. }
            | Event::Answered { .. }
            | Event::Member { .. }
            | Event::Wave { .. }
            | Event::Paused { .. }
            | Event::Halted { .. }
            | Event::Resumed { .. }
            | Event::Retried { .. }
            | Event::Skipped { .. }
            | Event::Ended { .. } => {
                if event.rollout() == self.active.as_ref().map(|r| r.id) {
                    self.apply_to_rollout(event);
                }
            }
        }
    }

    fn apply_to_rollout(&mut self, event: &Event) {
        match event {
            Event::Begun { .. } => self.set_state(RolloutState::Progressing),
            Event::Paused { by, at, .. } => {
                self.set_state(RolloutState::Paused { by: by.clone(), at: *at });
                self.recall_unacknowledged(*at);
            }
            Event::Halted { causes, at, .. } => {
                self.set_state(RolloutState::Halted { causes: causes.clone(), at: *at });
                self.recall_unacknowledged(*at);
            }
            Event::Resumed { accept, at, .. } => self.resume(*accept, *at),
            Event::Retried { clusters, at, .. } => self.retry(clusters, *at),
            Event::Skipped { cluster, at, .. } => self.skip(cluster, *at),
            Event::Granted { cluster, name, grant, broken_before, dark, at, .. } => {
                self.give(cluster, name, *grant);
                self.member_granted(cluster, *grant, *broken_before, *dark, *at);
            }
            Event::Joined { cluster, wave, target, place, at, .. } => {
                self.join(cluster, *wave, *target, place.clone(), *at);
            }
            Event::Acted { act, by, at, .. } => self.act(act, by, *at),
            Event::Answered { wave, answer, message, at, .. } => {
                self.measure(*wave, *answer, message, *at);
            }
            Event::Member { cluster, change, at, .. } => self.change_member(cluster, change, *at),
            Event::Wave { wave, change, at, .. } => self.change_wave(*wave, *change, *at),
            Event::Ended { outcome, by, at, .. } => self.end(*outcome, by.clone(), *at),
            Event::HeadMoved { .. }
            | Event::Started(_)
            | Event::Acked { .. }
            | Event::Fenced { .. }
            | Event::Recalled { .. }
            | Event::Restored { .. }
            | Event::Dark { .. }
            | Event::Untargeted { .. }
            | Event::CaughtUp { .. }
            | Event::Lane { .. }
            | Event::Judged { .. }
            | Event::Departed { .. } => {}
        }
    }

    fn set_state(&mut self, state: RolloutState) {
        if let Some(rollout) = &mut self.active {
            rollout.state = state;
        }
    }
}

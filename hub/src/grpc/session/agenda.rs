//! What one session still has to say: level-triggered and without a queue. For each App only the newest
//! directive waits, and only when it differs from what the agent was told or has shown to hold.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{AppName, Digest, Directive, Epoch};
use proto::convert::{Held, held_digest};

use crate::engine::Served;

/// Apps that one agent may speak of: more than any cluster should carry, small enough to hold.
const APPS_MAX: usize = 2_000;

/// A directive that the agent refused is said again after this time, unless it changed: often enough for a
/// cause that passed, seldom enough for one that stays.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What the hub told about one App: what makes two directives different for an agent.
type Said = (Directive, String);

/// The state of one conversation.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// From the newest report of each App.
    shown: Held,
    /// Last said in this session, or shown to be known already.
    said: BTreeMap<AppName, Said>,
    /// To be said, newest only.
    todo: BTreeMap<AppName, Served>,
    /// When each refused directive was refused.
    refused: BTreeMap<AppName, Duration>,
}

/// The agent speaks of more than [`APPS_MAX`] Apps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyApps;

/// The digest that an agent has when it holds all that is granted to it and has promised no fence.
pub(super) fn served_digest(served: &[Served]) -> Digest {
    let mut held = Held::new();
    for Served { app, directive, .. } in served {
        if let Directive::Grant(grant) = directive {
            held.insert(app.clone(), (grant.epoch, Some(grant.digest), Epoch::NONE));
        }
    }
    held_digest(&held)
}

impl Agenda {
    /// The digests were equal: the agent holds exactly what is served.
    pub(super) fn agree(&mut self, served: Vec<Served>) {
        self.said = served.into_iter().map(|s| (s.app.clone(), (s.directive, s.drift))).collect();
    }

    /// A report: what the agent holds of one App now.
    pub(super) fn shows(
        &mut self,
        app: &AppName,
        held: (Epoch, Option<Digest>, Epoch),
    ) -> Result<(), TooManyApps> {
        if self.shown.len() >= APPS_MAX && !self.shown.contains_key(app) {
            return Err(TooManyApps);
        }
        self.shown.insert(app.clone(), held);
        Ok(())
    }

    /// What is served now; replaces all that waits.
    pub(super) fn set(&mut self, served: Vec<Served>) {
        self.todo.clear();
        let mut served: BTreeMap<_, _> =
            served.into_iter().map(|served| (served.app.clone(), served)).collect();
        // What is served no more is held, not forgotten: an agent never loses a grant by silence.
        for (app, (directive, _)) in &self.said {
            if *directive != Directive::Hold && !served.contains_key(app) {
                served.insert(app.clone(), hold(app.clone()));
            }
        }
        for (app, served) in served {
            let wanted = (served.directive, served.drift.clone());
            match self.said.get(&app) {
                Some(said) if *said == wanted => {}
                None if self.is_shown(&app, served.directive) => {
                    self.said.insert(app, wanted);
                }
                Some(_) | None => {
                    self.todo.insert(app, served);
                }
            }
        }
    }

    /// Whether something waits.
    pub(super) fn has_more(&self) -> bool {
        !self.todo.is_empty()
    }

    /// The next thing to say; it counts as said.
    pub(super) fn next(&mut self) -> Option<Served> {
        let (app, served) = self.todo.pop_first()?;
        self.refused.remove(&app);
        self.said.insert(app, (served.directive, served.drift.clone()));
        Some(served)
    }

    /// The agent did not follow what it was told about `app`.
    pub(super) fn refused(&mut self, app: &AppName, now: Duration) {
        if self.said.contains_key(app) {
            self.refused.insert(app.clone(), now);
        }
    }

    /// Takes back what was refused long enough ago, so that the next [`Agenda::set`] says it again. `true`
    /// when there was any.
    pub(super) fn again(&mut self, now: Duration) -> bool {
        let due = |at: &Duration| now.saturating_sub(*at) >= SAY_AGAIN;
        let apps: Vec<_> =
            self.refused.iter().filter(|(_, at)| due(at)).map(|r| r.0.clone()).collect();
        for app in &apps {
            self.refused.remove(app);
            self.said.remove(app);
        }
        !apps.is_empty()
    }

    /// Whether the agent has shown that it needs not be told.
    fn is_shown(&self, app: &AppName, directive: Directive) -> bool {
        let none = (Epoch::NONE, None, Epoch::NONE);
        let (epoch, digest, fence) = self.shown.get(app).copied().unwrap_or(none);
        match directive {
            Directive::Grant(grant) => epoch == grant.epoch && digest == Some(grant.digest),
            // An agent that holds a later grant cannot take an earlier one any more.
            Directive::Fence(e) => fence >= e || epoch >= e,
            Directive::Hold => true,
        }
    }
}

fn hold(app: AppName) -> Served {
    Served {
        app,
        directive: Directive::Hold,
        revision: String::new(),
        drift: String::new(),
        trace: None,
    }
}

#[cfg(test)]
mod tests {
    use model::Grant;

    use super::*;

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn served(name: &str, directive: Directive) -> Served {
        Served { drift: "correct".to_owned(), directive, ..hold(app(name)) }
    }

    fn grant(epoch: u64) -> Directive {
        let digest = Digest::of(&epoch.to_be_bytes());
        Directive::Grant(Grant { epoch: Epoch(epoch), digest })
    }

    fn holds(epoch: u64, fence: u64) -> (Epoch, Option<Digest>, Epoch) {
        (Epoch(epoch), Some(Digest::of(&epoch.to_be_bytes())), Epoch(fence))
    }

    /// Everything said until nothing waits.
    fn said(agenda: &mut Agenda) -> Vec<(String, Directive)> {
        std::iter::from_fn(|| agenda.next()).map(|s| (s.app.to_string(), s.directive)).collect()
    }

    #[test]
    fn a_reconnect_with_nothing_changed_says_nothing() {
        let mut agenda = Agenda::default();
        agenda.shows(&app("api"), holds(3, 0)).unwrap();
        agenda.shows(&app("web"), holds(2, 5)).unwrap();
        agenda.set(vec![
            served("api", grant(3)),
            served("web", Directive::Fence(Epoch(5))),
            served("zoo", Directive::Hold),
        ]);
        assert!(!agenda.has_more());
    }

    #[test]
    fn only_the_newest_of_many_changes_is_said() {
        let mut agenda = Agenda::default();
        for epoch in 1..100 {
            agenda.set(vec![served("web", grant(epoch))]);
        }
        assert_eq!(said(&mut agenda), [("web".to_owned(), grant(99))]);
        agenda.set(vec![served("web", grant(99))]);
        assert!(!agenda.has_more());
    }

    #[test]
    fn a_change_that_was_taken_back_before_it_was_said_is_not_said() {
        let mut agenda = Agenda::default();
        agenda.shows(&app("web"), holds(1, 0)).unwrap();
        agenda.set(vec![served("web", grant(1))]);
        agenda.set(vec![served("web", grant(2))]);
        agenda.set(vec![served("web", grant(1))]);
        assert!(!agenda.has_more());
    }

    #[test]
    fn what_was_said_last_is_told_again_when_it_differs_even_if_the_agent_shows_it() {
        let mut agenda = Agenda::default();
        agenda.shows(&app("web"), holds(1, 0)).unwrap();
        agenda.set(vec![served("web", grant(2))]);
        assert_eq!(said(&mut agenda).len(), 1);
        // Grant 2 may be on its way in the agent: that grant 1 holds again must be said.
        agenda.set(vec![served("web", grant(1))]);
        assert_eq!(said(&mut agenda), [("web".to_owned(), grant(1))]);
    }

    #[test]
    fn an_app_that_is_served_no_more_is_held_once() {
        let mut agenda = Agenda::default();
        agenda.set(vec![served("web", grant(1))]);
        assert_eq!(said(&mut agenda).len(), 1);
        agenda.set(Vec::new());
        assert_eq!(said(&mut agenda), [("web".to_owned(), Directive::Hold)]);
        agenda.set(Vec::new());
        assert!(!agenda.has_more());
    }

    #[test]
    fn another_digest_for_the_epoch_that_is_shown_is_said() {
        let mut agenda = Agenda::default();
        agenda.shows(&app("web"), (Epoch(1), Some(Digest::of(b"other")), Epoch::NONE)).unwrap();
        agenda.set(vec![served("web", grant(1))]);
        assert_eq!(said(&mut agenda), [("web".to_owned(), grant(1))]);
    }

    #[test]
    fn a_refused_directive_is_said_again_after_a_while_and_not_at_once() {
        let mut agenda = Agenda::default();
        let now = [served("web", grant(1))].to_vec();
        agenda.set(now.clone());
        assert_eq!(said(&mut agenda).len(), 1);
        agenda.refused(&app("web"), Duration::ZERO);
        assert!(!agenda.again(SAY_AGAIN / 2));
        agenda.set(now.clone());
        assert!(!agenda.has_more());
        assert!(agenda.again(SAY_AGAIN));
        agenda.set(now);
        assert_eq!(said(&mut agenda), [("web".to_owned(), grant(1))]);
    }

    #[test]
    fn an_agent_cannot_fill_the_hub_with_names() {
        let mut agenda = Agenda::default();
        for n in 0..APPS_MAX {
            agenda.shows(&app(&format!("a{n}")), holds(1, 0)).unwrap();
        }
        assert_eq!(agenda.shows(&app("one-more"), holds(1, 0)), Err(TooManyApps));
        assert_eq!(agenda.shows(&app("a0"), holds(2, 0)), Ok(()));
    }

    #[test]
    fn the_served_digest_is_that_of_an_agent_that_holds_it() {
        let served = [served("web", grant(4)), served("zoo", Directive::Hold)];
        let held = Held::from([(app("web"), holds(4, 0))]);
        assert_eq!(served_digest(&served), held_digest(&held));
    }
}

//! What one session still has to say: level-triggered and without a queue. For each App only the newest
//! directive waits, and only when it differs from what the agent was told or has shown to hold.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use model::{AppName, Digest, Directive, Epoch};
use proto::convert::{GrantOptions, Held, held_digest};

use crate::engine::Served;

/// Apps that one agent may speak of: more than any cluster should carry, small enough to hold.
const APPS_MAX: usize = 2_000;

/// A directive that the agent refused is said again after this time, unless it changed: often enough for a
/// cause that passed, seldom enough for one that stays.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// How long an agent may start after it received a grant before it has to ask again: nothing old starts
/// unsupervised after a long partition.
const START_WITHIN: Duration = Duration::from_hours(1);

/// Catches of the agent that the grant of a removal opens, for its own epoch: a recorded decision wants every
/// object of the App gone. Objects that no App may touch stay caught.
const OPENED_BY_A_REMOVAL: [&str; 2] = ["EmptySet", "NamespaceWipe"];

/// What the hub told about one App: what makes two directives different for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    directive: Directive,
    /// Of a grant's options.
    mark: NonZeroU32,
    /// It was said in this session, so that what the agent shows may be older.
    told: bool,
}

/// What an agent shows of one App: epoch, digest and fence, and the mark of the options if it tells it.
type Shown = ((Epoch, Option<Digest>, Epoch), Option<NonZeroU32>);

/// The state of one conversation.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// From the newest report of each App.
    shown: BTreeMap<AppName, Shown>,
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
        self.said = served.into_iter().map(|s| (s.app.clone(), Said::of(&s, false))).collect();
    }

    /// A report: what the agent holds of one App now. `true`: it follows a grant that was taken for known,
    /// but in another way than the hub serves it, and the next [`Agenda::set`] says it again.
    pub(super) fn shows(
        &mut self,
        app: &AppName,
        held: (Epoch, Option<Digest>, Epoch),
        mark: Option<NonZeroU32>,
    ) -> Result<bool, TooManyApps> {
        if self.shown.len() >= APPS_MAX && !self.shown.contains_key(app) {
            return Err(TooManyApps);
        }
        self.shown.insert(app.clone(), (held, mark));
        let other = |said: &Said| {
            let is_grant = matches!(said.directive, Directive::Grant(_));
            is_grant && !said.told && mark.is_some_and(|mark| mark != said.mark)
        };
        let other = self.said.get(app).is_some_and(other);
        if other {
            self.said.remove(app);
        }
        Ok(other)
    }

    /// What is served now; replaces all that waits.
    pub(super) fn set(&mut self, served: Vec<Served>) {
        self.todo.clear();
        let mut served: BTreeMap<_, _> =
            served.into_iter().map(|served| (served.app.clone(), served)).collect();
        // What is served no more is held, not forgotten: an agent never loses a grant by silence.
        for (app, said) in &self.said {
            if said.directive != Directive::Hold && !served.contains_key(app) {
                served.insert(app.clone(), hold(app.clone()));
            }
        }
        for (app, served) in served {
            let wanted = Said::of(&served, false);
            match self.said.get(&app) {
                Some(said) if Said { told: false, ..*said } == wanted => {}
                None if self.is_shown(&app, wanted) => {
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
        self.said.insert(app, Said::of(&served, true));
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
    fn is_shown(&self, app: &AppName, wanted: Said) -> bool {
        let none = ((Epoch::NONE, None, Epoch::NONE), None);
        let ((epoch, digest, fence), mark) = self.shown.get(app).copied().unwrap_or(none);
        match wanted.directive {
            Directive::Grant(grant) => {
                let so = mark.is_none_or(|mark| mark == wanted.mark);
                epoch == grant.epoch && digest == Some(grant.digest) && so
            }
            // An agent that holds a later grant cannot take an earlier one any more.
            Directive::Fence(e) => fence >= e || epoch >= e,
            Directive::Hold => true,
        }
    }
}

impl Said {
    fn of(served: &Served, told: bool) -> Said {
        Said { directive: served.directive, mark: options(served).mark(), told }
    }
}

/// What goes with what is served, when it is a grant.
pub(super) fn options(served: &Served) -> GrantOptions {
    GrantOptions {
        start_within: START_WITHIN,
        drift: served.drift.clone(),
        revision: served.revision.clone(),
        allow: opened(served.directive),
        choices: Vec::new(),
    }
}

fn opened(directive: Directive) -> Vec<String> {
    match directive {
        Directive::Grant(grant) if grant.digest == rollout::tombstone() => {
            OPENED_BY_A_REMOVAL.map(str::to_owned).to_vec()
        }
        Directive::Grant(_) | Directive::Hold | Directive::Fence(_) => Vec::new(),
    }
}

fn hold(app: AppName) -> Served {
    Served {
        app,
        directive: Directive::Hold,
        revision: String::new(),
        drift: String::new(),
        trace: None,
        earlier: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use model::Grant;
    use proto::convert::options_mark;

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

    fn mark(drift: &str) -> NonZeroU32 {
        options_mark(drift, [], b"")
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
        agenda.shows(&app("api"), holds(3, 0), None).unwrap();
        agenda.shows(&app("web"), holds(2, 5), None).unwrap();
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
        agenda.shows(&app("web"), holds(1, 0), None).unwrap();
        agenda.set(vec![served("web", grant(1))]);
        agenda.set(vec![served("web", grant(2))]);
        agenda.set(vec![served("web", grant(1))]);
        assert!(!agenda.has_more());
    }

    #[test]
    fn what_was_said_last_is_told_again_when_it_differs_even_if_the_agent_shows_it() {
        let mut agenda = Agenda::default();
        agenda.shows(&app("web"), holds(1, 0), None).unwrap();
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
        let other = (Epoch(1), Some(Digest::of(b"other")), Epoch::NONE);
        agenda.shows(&app("web"), other, None).unwrap();
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
    fn a_grant_that_is_followed_in_another_way_is_said_once_more() {
        let (correct, report) = (mark("correct"), mark("report"));
        let now = || [served("api", grant(1)), served("web", grant(1))].to_vec();
        let mut shown = Agenda::default();
        shown.shows(&app("api"), holds(1, 0), Some(correct)).unwrap();
        shown.shows(&app("web"), holds(1, 0), Some(report)).unwrap();
        shown.set(now());
        let mut agreed = Agenda::default();
        agreed.agree(now());
        assert_eq!(agreed.shows(&app("api"), holds(1, 0), Some(correct)), Ok(false));
        assert_eq!(agreed.shows(&app("web"), holds(1, 0), Some(report)), Ok(true));
        agreed.set(now());
        for mut agenda in [shown, agreed] {
            assert_eq!(said(&mut agenda), [("web".to_owned(), grant(1))]);
            // A report that was on its way.
            assert_eq!(agenda.shows(&app("web"), holds(1, 0), Some(report)), Ok(false));
            agenda.set(now());
            assert!(!agenda.has_more());
        }
    }

    #[test]
    fn only_the_grant_of_a_removal_opens_catches() {
        let removal = Grant { epoch: Epoch(2), digest: rollout::tombstone() };
        let removal = served("web", Directive::Grant(removal));
        assert_eq!(options(&removal).allow, OPENED_BY_A_REMOVAL);
        for directive in [grant(2), Directive::Hold, Directive::Fence(Epoch(2))] {
            assert_eq!(options(&served("web", directive)).allow, Vec::<String>::new());
        }
    }

    #[test]
    fn an_agent_cannot_fill_the_hub_with_names() {
        let mut agenda = Agenda::default();
        for n in 0..APPS_MAX {
            agenda.shows(&app(&format!("a{n}")), holds(1, 0), None).unwrap();
        }
        assert_eq!(agenda.shows(&app("one-more"), holds(1, 0), None), Err(TooManyApps));
        assert_eq!(agenda.shows(&app("a0"), holds(2, 0), None), Ok(false));
    }

    #[test]
    fn the_served_digest_is_that_of_an_agent_that_holds_it() {
        let served = [served("web", grant(4)), served("zoo", Directive::Hold)];
        let held = Held::from([(app("web"), holds(4, 0))]);
        assert_eq!(served_digest(&served), held_digest(&held));
    }
}

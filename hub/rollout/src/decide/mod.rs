//! The one entry of the brain: what is the next thing to write down, if any?
//!
//! The order is the argument. Facts about clusters first (they are true whatever we want), then the brakes,
//! then the newest commit, then what members proved, then waves, and grants last: a grant is the only thing
//! that cannot be taken back by thinking again.
//!
//! A [`Scan`] walks through a burst of decisions without looking at everybody again after each: what it
//! returns is what a fresh look would (the property test compares them).

mod grant;
mod wave;

mod member;

mod join;
mod lane;
mod untarget;

mod gates;

mod cluster;

pub(crate) use gates::{Closed, after, before, continuous, for_member, next_window};
pub(crate) use grant::{Apart, busy, free_slots, is_probing, kept_apart, pace_left, paced};
pub(crate) use lane::{is_behind, is_on, proven};
pub(crate) use member::DARK_STEPS;
pub(crate) use wave::{all_settled, has_evidence, soak};

use std::{collections::BTreeSet, ops::Bound};

use model::ClusterUid;

use crate::{
    event::Event,
    evidence::Look,
    head,
    obs::{Now, Obs},
    state::{App, Holding},
};

/// Exactly one next event, or none. The caller appends it durably, applies it, and asks again until none.
pub fn decide(app: &App, now: Now, obs: &Obs) -> Option<Event> {
    Scan::default().next(app, now, obs)
}

/// Where a burst of decisions about one App stands. Good for one instant (`now` and `obs`), and only if each
/// event that it returns is applied before the next is asked for; or for the next instant, if only the
/// clusters named by [`Scan::heard`] were heard since.
#[derive(Debug, Default)]
pub struct Scan {
    /// Clusters to look at before going on.
    again: BTreeSet<ClusterUid>,
    /// Of these nothing is left to say but what comes last: the lane and lost state.
    last: BTreeSet<ClusterUid>,
    /// Joins were looked for since something happened that could matter for them.
    joined: bool,
    /// Up to here everybody was looked at, by what for.
    facts: Cursor,
    members: Cursor,
    restores: Cursor,
    /// The newest commit was judged since something happened that could matter for it.
    judged: bool,
    /// Nothing was left to decide when last asked: only what was heard since can matter.
    quiet: bool,
    /// The soak of the wave: up to which member of its order everybody had it.
    soaked: usize,
    line: grant::Line,
}

/// How far a walk over clusters has come.
#[derive(Debug, Default)]
enum Cursor {
    #[default]
    Start,
    After(ClusterUid),
    End,
}

impl Cursor {
    fn lower(&self) -> Option<Bound<&ClusterUid>> {
        match self {
            Cursor::Start => Some(Bound::Unbounded),
            Cursor::After(uid) => Some(Bound::Excluded(uid)),
            Cursor::End => None,
        }
    }

    /// Whether it was looked at already. Who was not comes in his turn.
    fn passed(&self, uid: &ClusterUid) -> bool {
        match self {
            Cursor::Start => false,
            Cursor::After(last) => uid <= last,
            Cursor::End => true,
        }
    }
}

impl Scan {
    /// The next event, or none.
    pub fn next(&mut self, app: &App, now: Now, obs: &Obs) -> Option<Event> {
        let look = Look { app, now, obs };
        let event = self.facts(look).or_else(|| wave::brake(look)).or_else(|| {
            self.judge(look).or_else(|| self.members(look)).or_else(|| self.rest(look))
        });
        if let Some(event) = &event {
            self.note(event);
        } else {
            self.last.clear();
            self.quiet = true;
        }
        event
    }

    /// Only this cluster was heard since the last look, and no time is up.
    pub fn heard(&mut self, cluster: ClusterUid) {
        self.line.heard(cluster.clone());
        self.again.insert(cluster);
    }

    fn judge(&mut self, look: Look<'_>) -> Option<Event> {
        if self.judged {
            return None;
        }
        let event = head::judge(look);
        self.judged = event.is_none();
        event
    }

    fn facts(&mut self, look: Look<'_>) -> Option<Event> {
        let fact = |uid: &ClusterUid, h: &Holding| cluster::fact(look, uid, h);
        for uid in self.again.iter().filter(|uid| self.facts.passed(uid)) {
            if let Some(event) = look.app.holding(uid).and_then(|h| fact(uid, h)) {
                return Some(event);
            }
        }
        let lower = self.facts.lower()?;
        let range = look.app.clusters.range::<ClusterUid, _>((lower, Bound::Unbounded));
        for (uid, holding) in range {
            if let Some(event) = fact(uid, holding) {
                self.facts = Cursor::After(uid.clone());
                return Some(event);
            }
        }
        self.facts = Cursor::End;
        None
    }

    fn members(&mut self, look: Look<'_>) -> Option<Event> {
        let rollout = look.app.active.as_ref()?;
        for uid in self.again.iter().filter(|uid| self.members.passed(uid)) {
            let member = rollout.members.get_key_value(uid);
            if let Some(event) = member.and_then(|(u, m)| member::change(look, rollout, u, m)) {
                return Some(event);
            }
        }
        let lower = self.members.lower()?;
        let range = rollout.members.range::<ClusterUid, _>((lower, Bound::Unbounded));
        for (uid, member) in range {
            if let Some(event) = member::change(look, rollout, uid, member) {
                self.members = Cursor::After(uid.clone());
                return Some(event);
            }
        }
        self.members = Cursor::End;
        None
    }

    /// Nobody who was to be looked at again has anything new: a long burst must not look at all of them for
    /// each decision.
    fn settled(&mut self) {
        let again = std::mem::take(&mut self.again);
        if self.quiet || !again.iter().all(|uid| !self.restores.passed(uid)) {
            self.last.extend(again);
        }
    }

    fn rest(&mut self, look: Look<'_>) -> Option<Event> {
        self.settled();
        let joined = if self.joined { None } else { join::join(look) };
        self.joined |= joined.is_none();
        joined
            .or_else(|| wave::change(look, &mut self.soaked))
            .or_else(|| grant::grant(look, &mut self.line))
            .or_else(|| lane::lane(look, self.quiet.then_some(&self.last)))
            .or_else(|| if self.quiet { None } else { untarget::untarget(look) })
            .or_else(|| self.restore(look))
    }

    fn restore(&mut self, look: Look<'_>) -> Option<Event> {
        for uid in self.last.iter().filter(|uid| self.restores.passed(uid)) {
            let holding = look.app.holding(uid);
            if let Some(event) = holding.and_then(|h| cluster::restore(look, uid, h)) {
                return Some(event);
            }
        }
        let lower = self.restores.lower()?;
        let range = look.app.clusters.range::<ClusterUid, _>((lower, Bound::Unbounded));
        for (uid, holding) in range {
            if let Some(event) = cluster::restore(look, uid, holding) {
                self.restores = Cursor::After(uid.clone());
                return Some(event);
            }
        }
        self.restores = Cursor::End;
        None
    }

    /// What must be looked at again after an event.
    fn note(&mut self, event: &Event) {
        let cluster = match event {
            Event::Granted { cluster, .. }
            | Event::Acked { cluster, .. }
            | Event::Dark { cluster, .. }
            | Event::Member { cluster, .. }
            | Event::Fenced { cluster, .. }
            | Event::Recalled { cluster, .. }
            | Event::Restored { cluster, .. }
            | Event::CaughtUp { cluster, .. }
            | Event::Lane { cluster, .. } => cluster,
            Event::HeadMoved { .. }
            | Event::Started(_)
            | Event::Begun { .. }
            | Event::Untargeted { .. }
            | Event::Judged { .. }
            | Event::Departed { .. }
            | Event::Joined { .. }
            | Event::Acted { .. }
            | Event::Answered { .. }
            | Event::Wave { .. }
            | Event::Paused { .. }
            | Event::Halted { .. }
            | Event::Resumed { .. }
            | Event::Retried { .. }
            | Event::Skipped { .. }
            | Event::Ended { .. } => {
                *self = Scan::default();
                return;
            }
        };
        self.quiet = false;
        self.again.insert(cluster.clone());
        if matches!(event, Event::Granted { .. }) {
            return;
        }
        self.line = grant::Line::default();
        // What a cluster is wanted to hold decides whether a commit is news.
        self.judged &=
            matches!(event, Event::Acked { .. } | Event::Dark { .. } | Event::Member { .. });
    }
}

//! Verbs that start, stop and steer a rollout.

use std::collections::BTreeSet;

use model::{ClusterUid, Reason};

use super::{Answer, Desk, Refusal};
use crate::{
    event::Event,
    head, retreat,
    state::{FailureWhy, MemberState, Outcome, Rollout, RolloutState, Verdict},
};

impl Desk<'_> {
    pub(super) fn start(&self) -> Answer {
        let app = self.look.app;
        let queued = app.head.as_ref().is_some_and(|h| h.verdict == Verdict::Queued);
        match &app.active {
            Some(rollout) if rollout.state == RolloutState::Planned => Ok(Event::Begun {
                rollout: rollout.id,
                by: self.by.clone(),
                at: self.look.now.wall,
            }),
            Some(rollout) if rollout.is_rollback() => self.no(
                Reason::Refused,
                "a rollback is running",
                "wait until it ends, or abort it first",
            ),
            Some(_) if !queued => self.no(
                Reason::Refused,
                "it is started, and no newer release waits",
                "watch it with `tidegate rollout watch`, or `resume` it if it is paused",
            ),
            _ => self.start_newest(),
        }
    }

    pub(super) fn restart(&self) -> Answer {
        let app = self.look.app;
        if app.active.is_some() {
            return self.no(
                Reason::Refused,
                "a rollout is active",
                "let it end, or abort it first; `retry` has failed clusters try again",
            );
        }
        self.start_newest()
    }

    fn start_newest(&self) -> Answer {
        let Some(candidate) = &self.look.obs.candidate else {
            return self.no(
                Reason::GitNotFetchedYet,
                "no release is known yet",
                "wait for the source to be fetched",
            );
        };
        match head::start_now(self.look, candidate, self.by) {
            Ok(start) => Ok(Event::Started(Box::new(start))),
            Err(Verdict::Refused { reason, message }) => {
                self.no(reason, message, reason.next_step())
            }
            Err(Verdict::Rollout(_) | Verdict::Unchanged | Verdict::Queued) => {
                self.no(Reason::ReleaseUnchanged, "nothing is left to do", "push a commit")
            }
        }
    }

    pub(super) fn pause(&self) -> Answer {
        let rollout = self.active()?;
        match &rollout.state {
            RolloutState::Progressing => Ok(Event::Paused {
                rollout: rollout.id,
                by: self.by.clone(),
                at: self.look.now.wall,
            }),
            RolloutState::Planned => {
                self.no(Reason::RolloutNotStarted, "it has not started", "leave it, or abort it")
            }
            RolloutState::Paused { by, .. } => self.no(
                Reason::RolloutPaused,
                format!("{} paused it already", by.name),
                "nothing to do; `resume` lets it go on",
            ),
            RolloutState::Halted { .. } | RolloutState::Ended { .. } => self.no(
                Reason::Refused,
                "it stands still already",
                "nothing to do; `resume` or `rollback` it when you know the cause",
            ),
        }
    }

    pub(super) fn resume(&self, accept: bool) -> Answer {
        let rollout = self.active()?;
        match &rollout.state {
            RolloutState::Paused { .. } => {}
            RolloutState::Halted { .. } => self.may_go_on(rollout, accept)?,
            RolloutState::Planned | RolloutState::Progressing | RolloutState::Ended { .. } => {
                return self.no(
                    Reason::Refused,
                    "it is neither paused nor halted",
                    "nothing to do; `start` begins a planned one",
                );
            }
        }
        self.reason()?;
        let by = self.by.clone();
        Ok(Event::Resumed { rollout: rollout.id, by, accept, at: self.look.now.wall })
    }

    fn may_go_on(&self, rollout: &Rollout, accept: bool) -> Result<(), Refusal> {
        self.not_condemned(rollout)?;
        let over = (0..rollout.waves.len()).find(|i| rollout.is_over_budget(*i));
        if let Some(index) = over.filter(|_| !accept && !rollout.is_rollback()) {
            let allowed = rollout.waves[index].failures_allowed().unwrap_or_default();
            let why = format!(
                "{} clusters of wave `{}` failed and {allowed} may",
                rollout.failed(index),
                rollout.waves[index].spec.name,
            );
            return self.no(
                Reason::FailureBudgetSpent,
                why,
                "accept them with `--accept`, `retry` them, or `rollback`",
            );
        }
        if rollout.is_rollback() && !accept && rollout.failed(0) > 0 {
            return self.no(
                Reason::RollbackFailed,
                format!(
                    "{} clusters are not well on what they were returned to",
                    rollout.failed(0)
                ),
                "accept that with `--accept`, or `retry` them",
            );
        }
        Ok(())
    }

    pub(super) fn not_condemned(&self, rollout: &Rollout) -> Result<(), Refusal> {
        let condemned = &self.look.app.condemned;
        let bad = |r: &Rollout| r.members.values().any(|m| condemned.contains_key(&m.target));
        if rollout.is_forward() && bad(rollout) {
            return self.no(
                Reason::HeadCondemned,
                "its content was condemned",
                "push a fix; this content is not rolled out again",
            );
        }
        Ok(())
    }

    pub(super) fn abort(&self) -> Answer {
        let rollout = self.active()?;
        let by = Some(self.by.clone());
        let outcome = Outcome::Aborted;
        Ok(Event::Ended { rollout: rollout.id, outcome, by, at: self.look.now.wall })
    }

    pub(super) fn rollback(&self) -> Answer {
        let app = self.look.app;
        let aborted = |r: &&Rollout| r.outcome() == Some(Outcome::Aborted) && !r.members.is_empty();
        let Some(bad) = app.active.as_ref().or(app.past.first().filter(aborted)) else {
            return self.no(
                Reason::NothingToRollBackTo,
                "no rollout is active, and the last one is the proven release",
                "revert the commit in Git: the older content goes out as a new rollout",
            );
        };
        if bad.is_rollback() {
            return self.no(Reason::Refused, "it is a rollback", "wait until it ends, or abort it");
        }
        if bad.state == RolloutState::Planned {
            return self.no(
                Reason::RolloutNotStarted,
                "it has not started, no cluster was reached",
                "abort it",
            );
        }
        match retreat::rollback(app, bad, Some(self.by.clone()), self.look.now) {
            Ok(start) => Ok(Event::Started(Box::new(start))),
            Err(retreat::NothingToRollBackTo) => self.no(
                Reason::NothingToRollBackTo,
                "nothing older is proven for the clusters it reached",
                "push a fix, or abort it",
            ),
        }
    }

    pub(super) fn retry(&self, cluster: Option<&ClusterUid>) -> Answer {
        let rollout = self.active()?;
        self.not_condemned(rollout)?;
        let failed = rollout.members.iter().filter(|(uid, m)| {
            let hopeless =
                matches!(m.state, MemberState::Failed { why: FailureWhy::NothingToReturnTo, .. });
            m.state.is_failed() && !hopeless && cluster.is_none_or(|c| c == *uid)
        });
        let clusters: BTreeSet<_> = failed.map(|(uid, _)| uid.clone()).collect();
        if clusters.is_empty() {
            return self.no(
                Reason::Refused,
                "there is no failed cluster to try again",
                "look at `tidegate why` for where its clusters are",
            );
        }
        Ok(Event::Retried {
            rollout: rollout.id,
            clusters: clusters.into_iter().collect(),
            by: self.by.clone(),
            at: self.look.now.wall,
        })
    }

    pub(super) fn skip(&self, cluster: &ClusterUid) -> Answer {
        let rollout = self.active()?;
        let Some(member) = rollout.members.get(cluster) else {
            return self.no(
                Reason::NotFound,
                "the cluster is not part of it",
                "check the name with `tidegate get clusters`",
            );
        };
        match member.state {
            MemberState::Queued
            | MemberState::Failed { .. }
            | MemberState::Deferred { .. }
            | MemberState::Updating { acked: true }
            | MemberState::Verifying => {
                Ok(Event::Skipped {
                    rollout: rollout.id,
                    cluster: cluster.clone(),
                    by: self.by.clone(),
                    at: self.look.now.wall,
                })
            }
            // Its slot is free only when it is known whether it started.
            MemberState::Updating { acked: false } | MemberState::Recalling { .. } => self.no(
                Reason::RecallUnconfirmed,
                "the agent has not said whether it has started",
                "wait for it: silent for longer than the grace, it counts as failed and can be skipped",
            ),
            MemberState::Updated
            | MemberState::Unchanged
            | MemberState::Skipped
            | MemberState::Departed => {
                self.no(Reason::Refused, "the cluster needs nothing more", "nothing to do")
            }
        }
    }
}

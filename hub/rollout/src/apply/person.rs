//! What people did, and what measurements said.

use jiff::Timestamp;

use crate::{
    act::{Act, Answer, Judgement},
    state::{Actor, App, Approval, Condemned, Override},
};

impl App {
    pub(super) fn act(&mut self, act: &Act, by: &Actor, at: Timestamp) {
        let Some(rollout) = &mut self.active else { return };
        let index = match act {
            Act::Expedite { divisor } => {
                rollout.expedited = Some((*divisor).max(1));
                return;
            }
            Act::Approve { wave, .. }
            | Act::Revoke { wave, .. }
            | Act::Override { wave, .. }
            | Act::Tolerate { wave, .. } => *wave,
        };
        let Some(wave) = rollout.waves.get_mut(index) else { return };
        match act {
            Act::Approve { stage, release, strategy, members, expires, .. } => {
                wave.approvals.push(Approval {
                    stage: *stage,
                    by: by.clone(),
                    release: *release,
                    strategy: *strategy,
                    members: *members,
                    at,
                    expires: *expires,
                    revoked: false,
                });
            }
            Act::Revoke { of, .. } => {
                let theirs = wave.approvals.iter_mut().filter(|a| a.by.name == *of);
                theirs.for_each(|approval| approval.revoked = true);
            }
            Act::Override { gate, needs_second, .. } => {
                let waiting = |o: &&mut Override| o.gate == *gate && !o.holds();
                match wave.overrides.iter_mut().find(waiting) {
                    Some(first) if first.by.name != by.name => first.second = Some(by.clone()),
                    Some(_) => {}
                    None => wave.overrides.push(Override {
                        gate: gate.clone(),
                        by: by.clone(),
                        needs_second: *needs_second,
                        second: None,
                        at,
                    }),
                }
            }
            Act::Tolerate { failures, .. } => wave.accepted = wave.accepted.max(*failures),
            Act::Expedite { .. } => {}
        }
    }

    pub(super) fn measure(&mut self, index: usize, answer: Answer, message: &str, at: Timestamp) {
        let Some(wave) = self.active.as_mut().and_then(|r| r.waves.get_mut(index)) else { return };
        let measured = &mut wave.measured;
        measured.since.get_or_insert(at);
        measured.at = Some(at);
        message.clone_into(&mut measured.message);
        measured.good = answer == Answer::Pass;
        match answer {
            Answer::Pass => {
                measured.samples += 1;
                measured.failing = 0;
            }
            Answer::Fail => {
                measured.samples += 1;
                measured.failing += 1;
            }
            Answer::Hold => {}
        }
    }

    pub(super) fn judge(&mut self, judgement: &Judgement, by: &Actor, at: Timestamp) {
        match judgement {
            Judgement::Condemn { digests } => {
                let rollout = model::RolloutId(self.last_id);
                for digest in digests {
                    self.condemned.entry(*digest).or_insert(Condemned { rollout, at });
                }
            }
            Judgement::Absolve { digests, needs_second } => {
                let seconded = self
                    .absolving
                    .as_ref()
                    .is_some_and(|(waiting, first)| waiting == digests && *first != by.name);
                if *needs_second && !seconded {
                    self.absolving = Some((digests.clone(), by.name.clone()));
                } else {
                    self.absolving = None;
                    self.condemned.retain(|digest, _| !digests.contains(digest));
                }
            }
        }
    }
}

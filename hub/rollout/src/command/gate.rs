//! Verbs about gates, tolerance and content.

use model::{Digest, Reason, RolloutId};

use super::{Answer, Desk, Refusal, stage_word};
use crate::{
    act::{self, Act, Judgement},
    bug::Bug,
    event::Event,
    evidence::Look,
    gate::{ApprovalRule, Gate},
    state::{Cause, Rollout, RolloutState, Stage, WaveState},
};

/// Most that a person in a hurry may divide soaks by.
const HURRY_MAX: u32 = 100;

impl Desk<'_> {
    fn acted(&self, rollout: &Rollout, act: Act) -> Event {
        Event::Acted { rollout: rollout.id, act, by: self.by.clone(), at: self.look.now.wall }
    }

    /// The approval that a wave asks for next, and for what.
    fn asked<'r>(
        &self,
        rollout: &'r Rollout,
        index: usize,
    ) -> Result<(Stage, &'r ApprovalRule), Refusal> {
        let wave = &rollout.waves[index];
        let opened = !matches!(wave.state, WaveState::Locked | WaveState::Gated);
        let over = matches!(wave.state, WaveState::Passed { .. } | WaveState::Skipped);
        let before = wave.spec.before.approval.as_ref().filter(|_| !opened);
        let after = wave.spec.after.approval.as_ref().filter(|_| !over);
        match (before, after) {
            (Some(rule), _) => Ok((Stage::Before, rule)),
            (None, Some(rule)) => Ok((Stage::After, rule)),
            (None, None) => {
                let why = if over {
                    format!("wave `{}` is over", wave.spec.name)
                } else {
                    format!("wave `{}` asks for no approval now", wave.spec.name)
                };
                self.no(
                    Reason::Refused,
                    why,
                    "nothing to do; `tidegate why` says what it waits for",
                )
            }
        }
    }

    pub(super) fn approve(&self, wave: Option<&str>) -> Answer {
        let rollout = self.active()?;
        let index = self.wave(rollout, wave)?;
        let (stage, rule) = self.asked(rollout, index)?;
        self.not_condemned(rollout)?;
        if !rule.admits(&self.by.groups) {
            let groups = rule.groups.iter().cloned().collect::<Vec<_>>().join(", ");
            let why = format!("{} is in none of the groups {groups}", self.by.name);
            return self.no(Reason::NotAllowed, why, format!("ask somebody of {groups}"));
        }
        let author = rollout.release.author.as_deref();
        let own = rule.not_author && author.is_some_and(|author| self.by.wrote(author));
        if own && !self.look.app.has(Bug::AuthorApproves) {
            let why = format!("{} wrote the commit", self.by.name);
            return self.no(Reason::NotAllowed, why, "have somebody else look at it");
        }
        let wall = self.look.now.wall;
        let counts = rollout.waves[index].approvals.iter().any(|a| {
            a.stage == stage && a.by.name == self.by.name && !a.revoked && a.expires > wall
        });
        if counts {
            let until = stage_word(stage);
            let why = format!("{} has approved already that it {until}", self.by.name);
            return self.no(Reason::Refused, why, "nothing to do; each person counts once");
        }
        let act = Act::Approve {
            wave: index,
            stage,
            release: rollout.release.variants.digest(),
            strategy: rollout.strategy_digest(),
            members: rollout.members_digest(index),
            expires: wall.checked_add(rule.ttl).unwrap_or(jiff::Timestamp::MAX),
        };
        Ok(self.acted(rollout, act))
    }

    pub(super) fn reject(&self, wave: Option<&str>) -> Answer {
        let rollout = self.active()?;
        let index = self.wave(rollout, wave)?;
        self.asked(rollout, index)?;
        match &rollout.state {
            RolloutState::Progressing | RolloutState::Paused { .. } => {
                let wave = rollout.waves[index].spec.name.clone();
                let causes = vec![Cause::Rejected { wave, by: self.by.clone() }];
                Ok(Event::Halted { rollout: rollout.id, causes, at: self.look.now.wall })
            }
            RolloutState::Planned | RolloutState::Halted { .. } | RolloutState::Ended { .. } => {
                self.no(Reason::Refused, "it stands still already", "nothing to do; or abort it")
            }
        }
    }

    pub(super) fn revoke(&self, wave: Option<&str>, of: Option<&str>) -> Answer {
        let rollout = self.active()?;
        let index = self.wave(rollout, wave)?;
        let wave = &rollout.waves[index];
        let of = of.unwrap_or(&self.by.name);
        if !wave.approvals.iter().any(|a| a.by.name == of && !a.revoked) {
            let why = format!("{of} has not approved wave `{}`", wave.spec.name);
            return self.no(Reason::Refused, why, "nothing to take back");
        }
        let opened = !matches!(wave.state, WaveState::Locked | WaveState::Gated);
        let only_before =
            wave.approvals.iter().all(|a| a.by.name != of || a.stage == Stage::Before);
        if opened && only_before {
            let why = format!("wave `{}` has opened on that approval", wave.spec.name);
            return self.no(Reason::Refused, why, "`pause` or `abort` it, or `rollback`");
        }
        Ok(self.acted(rollout, Act::Revoke { wave: index, of: of.to_owned() }))
    }

    pub(super) fn open_by_force(&self, wave: Option<&str>, gate: &Gate) -> Answer {
        let rollout = self.active()?;
        let index = self.wave(rollout, wave)?;
        let wave = &rollout.waves[index];
        let (before, after) = (&wave.spec.before, &wave.spec.after);
        let exists = match gate {
            Gate::Approval => before.approval.is_some(),
            Gate::AfterApproval => after.approval.is_some(),
            Gate::Window => !before.windows.is_empty(),
            Gate::Blocker(name) => before.blockers.contains(name),
            Gate::DependsOn(app) => before.depends_on.iter().any(|on| on.app == *app),
            Gate::Unhealthy => before.max_unhealthy.is_some(),
            Gate::Soak => !wave.spec.settings.soak.is_zero(),
            Gate::Analysis => after.analysis.is_some(),
            Gate::Freeze => {
                let fix = "lift the freeze with `tidegate unfreeze`";
                return self.no(Reason::Refused, "a freeze is not overridden", fix);
            }
            Gate::Clock => {
                let why = "the clock of the hub jumped a moment ago";
                return self.no(Reason::Refused, why, "wait five minutes, or override the window");
            }
        };
        if !exists {
            let why = format!("wave `{}` has no gate `{gate}`", wave.spec.name);
            return self.no(
                Reason::NotFound,
                why,
                "`tidegate why` names the gates that are closed",
            );
        }
        if wave.overrides(gate) {
            return self.no(Reason::Refused, "it is overridden already", "nothing to do");
        }
        if wave.overrides.iter().any(|o| o.gate == *gate && o.by.name == self.by.name) {
            let why = "a second person must say the same";
            return self.no(
                Reason::SecondPersonNeeded,
                why,
                "ask somebody else with the role admin",
            );
        }
        self.reason()?;
        let needs_second = self.look.obs.two_people;
        Ok(self.acted(rollout, Act::Override { wave: index, gate: gate.clone(), needs_second }))
    }

    pub(super) fn expedite(&self, divisor: u32) -> Answer {
        let rollout = self.active()?;
        if rollout.is_rollback() {
            return self.no(Reason::Refused, "a rollback neither soaks nor waits", "nothing to do");
        }
        if !(2..=HURRY_MAX).contains(&divisor) {
            let why = format!("soaks cannot be divided by {divisor}");
            return self.no(Reason::Refused, why, format!("say a number from 2 to {HURRY_MAX}"));
        }
        self.reason()?;
        Ok(self.acted(rollout, Act::Expedite { divisor }))
    }

    pub(super) fn tolerate(&self, wave: Option<&str>, failures: u32) -> Answer {
        let rollout = self.active()?;
        let index = self.wave(rollout, wave)?;
        let wave = &rollout.waves[index];
        let size = wave.tally.counts.total;
        let now = wave.failures_allowed();
        let name = &wave.spec.name;
        if failures > size {
            let why = format!("wave `{name}` has {size} clusters");
            return self.no(Reason::Refused, why, format!("say at most {size}"));
        }
        if now.is_some_and(|now| failures <= now) {
            let why =
                format!("wave `{name}` may have {} failures already", now.unwrap_or_default());
            return self.no(Reason::Refused, why, "say more; a tolerance is never lowered");
        }
        self.reason()?;
        Ok(self.acted(rollout, Act::Tolerate { wave: index, failures }))
    }

    pub(super) fn measured(
        &self,
        (rollout, wave): (RolloutId, usize),
        answer: act::Answer,
        message: &str,
    ) -> Answer {
        let Look { app, now, .. } = self.look;
        match crate::ask::answer(app, (rollout, wave), answer, message, now) {
            Some(event) => Ok(event),
            None => self.no(Reason::Refused, "nobody waits for the answer", "nothing to do"),
        }
    }

    pub(super) fn condemn(&self, release: Option<&str>) -> Answer {
        let app = self.look.app;
        let digests = self.content(release)?;
        let proven = app.stable.iter().flat_map(|s| s.variants.values());
        if proven.into_iter().any(|d| digests.contains(d)) {
            let why = "it is, or shares content with, the proven release";
            return self.no(Reason::Refused, why, "push a fix, or revert the commit in Git");
        }
        let runs = |r: &Rollout| r.members.values().any(|m| digests.contains(&m.target));
        if app.active.as_ref().is_some_and(|r| r.is_forward() && runs(r)) {
            let fix = "roll it back: that condemns it in the same step";
            return self.no(Reason::Refused, "it is going out right now", fix);
        }
        if digests.iter().all(|d| app.condemned.contains_key(d)) {
            return self.no(Reason::Refused, "it is condemned already", "nothing to do");
        }
        let judgement = Judgement::Condemn { digests };
        Ok(Event::Judged { judgement, by: self.by.clone(), at: self.look.now.wall })
    }

    pub(super) fn absolve(&self, release: Option<&str>) -> Answer {
        let app = self.look.app;
        let mut digests = self.content(release)?;
        digests.retain(|d| app.condemned.contains_key(d));
        if digests.is_empty() {
            let fix = "`tidegate get apps -o json` lists what is condemned";
            return self.no(Reason::Refused, "none of its content is condemned", fix);
        }
        if app.active.as_ref().is_some_and(Rollout::is_rollback) {
            let why = "its rollback is running";
            return self.no(Reason::Refused, why, "wait until the rollback has ended");
        }
        let first = app.absolving.as_ref().filter(|(waiting, _)| *waiting == digests);
        if self.look.obs.two_people && first.is_some_and(|(_, by)| *by == self.by.name) {
            let why = "a second person must say the same";
            return self.no(
                Reason::SecondPersonNeeded,
                why,
                "ask somebody else with the role admin",
            );
        }
        self.reason()?;
        let needs_second = self.look.obs.two_people;
        let judgement = Judgement::Absolve { digests, needs_second };
        Ok(Event::Judged { judgement, by: self.by.clone(), at: self.look.now.wall })
    }

    /// The contents of a release that is remembered: a digest, a commit, or HEAD.
    fn content(&self, release: Option<&str>) -> Result<Vec<Digest>, Refusal> {
        let app = self.look.app;
        let candidate = self.look.obs.candidate.as_deref();
        let mut found: Vec<Digest> = Vec::new();
        match release {
            None => found.extend(candidate.iter().flat_map(|c| c.variants.values())),
            Some(text) => {
                found.extend(app.condemned.keys().filter(|d| is_meant(&d.to_string(), text)));
                let head = candidate.filter(|c| is_meant(c.commit.as_str(), text));
                found.extend(head.iter().flat_map(|c| c.variants.values()));
                let known = app.active.iter().chain(&app.past);
                let known = known.filter(|r| is_meant(r.release.commit().as_str(), text));
                for rollout in known {
                    found.extend(rollout.release.variants.values());
                    let of = app.condemned.iter().filter(|(_, c)| c.rollout == rollout.id);
                    found.extend(of.map(|(digest, _)| digest));
                }
            }
        }
        found.sort();
        found.dedup();
        if found.is_empty() {
            let why = match release {
                Some(text) => format!("no remembered release is called `{text}`"),
                None => "no release is known yet".to_owned(),
            };
            let fix = "name a commit that `tidegate get rollouts` shows, or a digest";
            return self.no(Reason::NotFound, why, fix);
        }
        Ok(found)
    }
}

/// Whether a person means it: at least four characters of its beginning.
fn is_meant(full: &str, text: &str) -> bool {
    const LEAST: usize = 4;
    let bare = full.strip_prefix("sha256:").unwrap_or(full);
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    text.len() >= LEAST && bare.starts_with(text)
}

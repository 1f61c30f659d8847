//! What a person may ask for, and when it is refused. A refusal changes nothing and says the way out.
//!
//! Brakes (pause, abort, skip, revoke, reject, condemn) need the role operator and no reason. Whatever
//! releases a brake needs a reason and, where it raises a risk, the role admin.

mod brake;
mod gate;

use model::{ClusterUid, Digest, Reason, RolloutId};

use crate::{
    act,
    event::Event,
    evidence::Look,
    gate::Gate,
    obs::{Now, Obs},
    state::{Actor, App, Role, Rollout, Stage},
};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Start what waits: a planned rollout, a queued release (superseding the active rollout), or the
    /// newest commit again after an abort.
    Start,
    /// Roll the newest commit out again from the first wave; what runs it already is left alone.
    Restart,
    /// Let no further grant leave, and call back those not started.
    Pause,
    /// Go on after a pause or a halt. Needs a reason.
    Resume {
        /// Accept the failures so far.
        accept: bool,
    },
    /// End the rollout; clusters keep what they run.
    Abort,
    /// Return every exposed cluster to its last good release, and condemn this one.
    Rollback,
    /// Have failed clusters try again.
    Retry {
        /// Only this one; all failed ones when absent.
        cluster: Option<ClusterUid>,
    },
    /// Take a cluster out of the rollout.
    Skip {
        /// Which.
        cluster: ClusterUid,
    },
    /// Agree to a wave.
    Approve {
        /// Its name; the one that waits when absent.
        wave: Option<String>,
    },
    /// Say no to a wave: halts the rollout.
    Reject {
        /// Its name; the one that waits when absent.
        wave: Option<String>,
    },
    /// Take approvals back.
    Revoke {
        /// Name of the wave; the one that waits when absent.
        wave: Option<String>,
        /// Whose; the own ones when absent.
        of: Option<String>,
    },
    /// Open a gate by force.
    Override {
        /// Name of the wave; the one that waits when absent.
        wave: Option<String>,
        /// Which gate.
        gate: Gate,
    },
    /// Skip the rest of the soak: `override soak` by its better known name.
    Promote {
        /// Name of the wave; the one that waits when absent.
        wave: Option<String>,
    },
    /// Divide every soak and ignore windows; probe, budgets and order stay.
    Expedite {
        /// By how much; 2 to 100.
        divisor: u32,
    },
    /// Allow a wave more failures.
    Tolerate {
        /// Name of the wave; the one that waits when absent.
        wave: Option<String>,
        /// How many in all.
        failures: u32,
    },
    /// A measurement was answered: the hub's own word, never a person's.
    Measured {
        /// Which rollout.
        rollout: RolloutId,
        /// Index of the wave.
        wave: usize,
        /// What the answer says.
        answer: act::Answer,
        /// In words.
        message: String,
    },
    /// Never roll this content out (again).
    Condemn {
        /// Short or full commit of a remembered release; HEAD when absent.
        release: Option<String>,
    },
    /// Let condemned content be rolled out again.
    Absolve {
        /// Short or full commit of a remembered release; HEAD when absent.
        release: Option<String>,
    },
}

/// Why a verb is refused: what, why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Refusal {
    /// Entry of the registry.
    pub reason: Reason,
    /// What was asked for.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do instead.
    pub fix: String,
}

/// The event that carries out a verb, or why it is refused. Nothing changes until it is appended. `seen` is
/// the [`stamp`] of the state that the person looked at; without it nothing is compared.
pub fn command(
    app: &App,
    verb: &Verb,
    by: &Actor,
    seen: Option<&Digest>,
    now: Now,
    obs: &Obs,
) -> Result<Event, Refusal> {
    let desk = Desk { look: Look { app, now, obs }, by, what: verb.what(app) };
    desk.allowed(verb)?;
    desk.fresh(seen)?;
    match verb {
        Verb::Start => desk.start(),
        Verb::Restart => desk.restart(),
        Verb::Pause => desk.pause(),
        Verb::Resume { accept } => desk.resume(*accept),
        Verb::Abort => desk.abort(),
        Verb::Rollback => desk.rollback(),
        Verb::Retry { cluster } => desk.retry(cluster.as_ref()),
        Verb::Skip { cluster } => desk.skip(cluster),
        Verb::Approve { wave } => desk.approve(wave.as_deref()),
        Verb::Reject { wave } => desk.reject(wave.as_deref()),
        Verb::Revoke { wave, of } => desk.revoke(wave.as_deref(), of.as_deref()),
        Verb::Override { wave, gate } => desk.open_by_force(wave.as_deref(), gate),
        Verb::Promote { wave } => desk.open_by_force(wave.as_deref(), &Gate::Soak),
        Verb::Expedite { divisor } => desk.expedite(*divisor),
        Verb::Tolerate { wave, failures } => desk.tolerate(wave.as_deref(), *failures),
        Verb::Measured { rollout, wave, answer, message } => {
            desk.measured((*rollout, *wave), *answer, message)
        }
        Verb::Condemn { release } => desk.condemn(release.as_deref()),
        Verb::Absolve { release } => desk.absolve(release.as_deref()),
    }
}

/// Digest of what a person decides upon: release, strategy, members, and where rollout and waves are. Not of
/// what changes by the second, such as the state of each cluster.
pub fn stamp(app: &App) -> Digest {
    let mut text = format!("{:?}\n", app.head.as_ref().map(|h| (&h.content, &h.verdict)));
    if let Some(rollout) = &app.active {
        let state = serde_json::to_string(&rollout.state).unwrap_or_default();
        let release = rollout.release.variants.digest();
        text.push_str(&format!("{} {release} {} {state}\n", rollout.id, rollout.strategy_digest()));
        for (index, wave) in rollout.waves.iter().enumerate() {
            let members = rollout.members_digest(index);
            text.push_str(&format!("{} {:?} {members}\n", wave.spec.name, wave.state));
        }
    }
    Digest::of(text.as_bytes())
}

impl Verb {
    fn what(&self, app: &App) -> String {
        let verb = match self {
            Verb::Start => "start",
            Verb::Restart => "restart",
            Verb::Pause => "pause",
            Verb::Resume { .. } => "resume",
            Verb::Abort => "abort",
            Verb::Rollback => "roll back",
            Verb::Retry { .. } => "retry",
            Verb::Skip { .. } => "skip a cluster of",
            Verb::Approve { .. } => "approve a wave of",
            Verb::Reject { .. } => "reject a wave of",
            Verb::Revoke { .. } => "revoke an approval of",
            Verb::Override { .. } => "override a gate of",
            Verb::Promote { .. } => "promote a wave of",
            Verb::Expedite { .. } => "expedite",
            Verb::Tolerate { .. } => "tolerate failures of",
            Verb::Measured { .. } => "measure a wave of",
            Verb::Condemn { .. } => return format!("condemn a release of `{}`", app.name),
            Verb::Absolve { .. } => return format!("absolve a release of `{}`", app.name),
        };
        match &app.active {
            Some(rollout) => format!("{verb} rollout `{}{}`", app.name, rollout.id),
            None => format!("{verb} `{}`", app.name),
        }
    }

    /// The least role that may.
    pub fn role(&self) -> Role {
        match self {
            Verb::Start
            | Verb::Restart
            | Verb::Pause
            | Verb::Resume { accept: false }
            | Verb::Abort
            | Verb::Rollback
            | Verb::Retry { .. }
            | Verb::Skip { .. }
            | Verb::Approve { .. }
            | Verb::Reject { .. }
            | Verb::Revoke { .. }
            | Verb::Measured { .. }
            | Verb::Condemn { .. } => Role::Operator,
            Verb::Resume { accept: true }
            | Verb::Override { .. }
            | Verb::Promote { .. }
            | Verb::Expedite { .. }
            | Verb::Tolerate { .. }
            | Verb::Absolve { .. } => Role::Admin,
        }
    }

    /// Whether it releases a brake or passes a gate: such a verb needs a reason.
    pub fn needs_reason(&self) -> bool {
        match self {
            Verb::Resume { .. }
            | Verb::Override { .. }
            | Verb::Promote { .. }
            | Verb::Expedite { .. }
            | Verb::Tolerate { .. }
            | Verb::Absolve { .. } => true,
            Verb::Start
            | Verb::Restart
            | Verb::Pause
            | Verb::Abort
            | Verb::Rollback
            | Verb::Retry { .. }
            | Verb::Skip { .. }
            | Verb::Approve { .. }
            | Verb::Reject { .. }
            | Verb::Revoke { .. }
            | Verb::Measured { .. }
            | Verb::Condemn { .. } => false,
        }
    }
}

/// One request.
struct Desk<'a> {
    look: Look<'a>,
    by: &'a Actor,
    what: String,
}

type Answer = Result<Event, Refusal>;

impl<'a> Desk<'a> {
    fn no<T>(
        &self,
        reason: Reason,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Result<T, Refusal> {
        Err(Refusal { reason, what: self.what.clone(), why: why.into(), fix: fix.into() })
    }

    fn allowed(&self, verb: &Verb) -> Result<(), Refusal> {
        let (needs, has) = (verb.role(), self.by.role);
        if has < needs {
            let why = format!("{} has the role {}", self.by.name, has.as_str());
            let fix = format!("ask somebody with the role {}", needs.as_str());
            return self.no(Reason::NotAllowed, why, fix);
        }
        Ok(())
    }

    /// Only asked when the state allows the verb at all, so that a person hears the better reason.
    fn reason(&self) -> Result<(), Refusal> {
        if self.by.reason.trim().is_empty() {
            return self.no(
                Reason::Refused,
                "releasing a brake needs a reason",
                "say it with `--reason TEXT`; it stands in the log",
            );
        }
        Ok(())
    }

    fn fresh(&self, seen: Option<&Digest>) -> Result<(), Refusal> {
        if seen.is_some_and(|seen| *seen != stamp(self.look.app)) {
            return self.no(
                Reason::StateChanged,
                "it changed since you looked",
                format!("look again with `tidegate why app/{}`", self.look.app.name),
            );
        }
        Ok(())
    }

    fn active(&self) -> Result<&'a Rollout, Refusal> {
        match &self.look.app.active {
            Some(rollout) => Ok(rollout),
            None => self.no(
                Reason::Refused,
                "no rollout is active",
                "look at `tidegate get rollouts`; a new commit starts the next one",
            ),
        }
    }

    /// The wave of that name, or the one whose turn it is.
    fn wave(&self, rollout: &Rollout, name: Option<&str>) -> Result<usize, Refusal> {
        let Some(name) = name else {
            let Some(index) = rollout.current_wave() else {
                return self.no(Reason::Refused, "every wave has passed", "nothing to do");
            };
            return Ok(index);
        };
        if let Some(index) = rollout.waves.iter().position(|w| w.spec.name.as_str() == name) {
            return Ok(index);
        }
        let names = rollout.waves.iter().map(|w| w.spec.name.to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        let why = format!("it has no wave `{name}`");
        self.no(Reason::NotFound, why, format!("its waves are {names}"))
    }
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Before => "opens",
        Stage::After => "passes",
    }
}

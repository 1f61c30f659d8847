//! The durable rule of grants: which directive may change what this cluster runs.
//!
//! Epochs only rise. A fence is a promise: once stored, no epoch at or below it that was not accepted
//! before will ever be accepted. The shell stores [`Stored`] durably *before* the first write of an
//! epoch and before a report that carries a fence.

use model::{Digest, Directive, Epoch, LeaseEpoch, Reason};
use serde::{Deserialize, Serialize};

use crate::seeded::Bug;

/// What the agent remembers for one App, on disk or in a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stored {
    /// Epoch of the accepted grant.
    pub epoch: Epoch,
    /// Digest of the accepted grant; `None` before the first.
    pub digest: Option<Digest>,
    /// Highest fence promised.
    pub fence: Epoch,
    /// Highest hub term heard.
    pub hub_term: LeaseEpoch,
}

/// What to do with a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Store this, then run it. Only after the content's digest verified.
    Accept(Stored),
    /// Store this, then report the fence.
    Fenced(Stored),
    /// Nothing new. Store the term when it rose.
    NoOp(Stored),
    /// Keep what is stored and report why.
    Refuse(Reason),
    /// A grant that is older than what is stored, or fenced off: keep, report the stored epoch.
    Stale,
}

/// Judges one directive that came with `hub_term`.
pub fn accept(stored: &Stored, hub_term: LeaseEpoch, directive: &Directive) -> Decision {
    accept_seeded(stored, hub_term, directive, None)
}

/// [`accept`] with a bug on purpose.
pub(crate) fn accept_seeded(
    stored: &Stored,
    hub_term: LeaseEpoch,
    directive: &Directive,
    bug: Option<Bug>,
) -> Decision {
    if hub_term < stored.hub_term {
        return Decision::Refuse(Reason::StaleHub);
    }
    let heard = Stored { hub_term, ..*stored };
    match directive {
        Directive::Fence(epoch) if stored.epoch < *epoch => {
            Decision::Fenced(Stored { fence: stored.fence.max(*epoch), ..heard })
        }
        Directive::Hold | Directive::Fence(_) => Decision::NoOp(heard),
        // A hub never grants epoch 0: it stands for "no grant yet".
        Directive::Grant(grant) if grant.epoch == Epoch::NONE => Decision::Stale,
        Directive::Grant(grant) if grant.epoch == stored.epoch => {
            if stored.digest == Some(grant.digest) {
                Decision::NoOp(heard)
            } else {
                Decision::Refuse(Reason::EpochFork)
            }
        }
        Directive::Grant(grant) => {
            let rises = grant.epoch > stored.epoch && grant.epoch > stored.fence;
            if rises || bug == Some(Bug::StepDown) {
                Decision::Accept(Stored { epoch: grant.epoch, digest: Some(grant.digest), ..heard })
            } else {
                Decision::Stale
            }
        }
    }
}

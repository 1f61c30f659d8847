//! `Directive`: what the hub says to one cluster about one App.

use std::num::NonZeroU32;
use std::time::Duration;

use model::{AppName, Directive, Epoch, Grant};

use super::Error;
use super::held::options_mark;
use super::part::{digest_from_wire, digest_to_wire, message, trace_from_wire};
use crate::v1;

/// Lifted safety gates in one grant: there are fewer gates than this.
const ALLOW_MAX: usize = 16;
/// Longest name of a safety gate, in bytes; no gate has a longer one.
const ALLOW_NAME_BYTES_MAX: usize = 63;
/// Choices of an App, in bytes: half of what a message of the session may hold.
pub const CHOICES_BYTES_MAX: usize = 4096;

/// What travels with a grant besides its epoch and digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantOptions {
    /// An agent that could not start for so long after receipt asks again. Whole seconds on the wire.
    pub start_within: Duration,
    /// `correct`, `report` or `ignore`.
    pub drift: String,
    /// For people, such as `main@sha1:…`; at most 256 bytes.
    pub revision: String,
    /// Names of safety gates that a person lifted for this epoch.
    pub allow: Vec<String>,
    /// What the App chose for the agent (adoption, recreation, ignored fields and so on), as JSON of at most
    /// [`CHOICES_BYTES_MAX`]; empty: the defaults. Only the agent reads it.
    pub choices: Vec<u8>,
}

impl GrantOptions {
    /// [`options_mark`] of what an agent follows.
    pub fn mark(&self) -> NonZeroU32 {
        options_mark(&self.drift, self.allow.iter().map(String::as_str), &self.choices)
    }
}

/// A directive with the App it is about and the trace it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Directed {
    /// The App.
    pub app: AppName,
    /// The directive.
    pub directive: Directive,
    /// Of a grant; at its default for any other directive.
    pub options: GrantOptions,
    /// The span in the hub that decided it.
    pub trace: Option<v1::TraceContext>,
}

impl From<Directed> for v1::Directive {
    fn from(directed: Directed) -> v1::Directive {
        let Directed { app, directive, options, trace } = directed;
        let directive = match directive {
            Directive::Grant(grant) => {
                v1::directive::Directive::Grant(grant_to_wire(grant, options))
            }
            Directive::Hold => v1::directive::Directive::Hold(v1::Hold {}),
            Directive::Fence(epoch) => v1::directive::Directive::Fence(epoch.0),
        };
        v1::Directive { app: app.into(), trace: trace_from_wire(trace), directive: Some(directive) }
    }
}

fn grant_to_wire(grant: Grant, options: GrantOptions) -> v1::Grant {
    let seconds = options.start_within.as_secs();
    let named = options.allow.into_iter().filter(|name| name.len() <= ALLOW_NAME_BYTES_MAX);
    v1::Grant {
        epoch: grant.epoch.0,
        digest: digest_to_wire(&grant.digest),
        start_within_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        drift: message(&options.drift),
        revision: message(&options.revision),
        allow: named.take(ALLOW_MAX).collect(),
        choices: options.choices,
    }
}

impl TryFrom<v1::Directive> for Directed {
    type Error = Error;
    fn try_from(wire: v1::Directive) -> Result<Directed, Error> {
        let app =
            AppName::parse(&wire.app).map_err(|e| Error::new("directive.app", e.to_string()))?;
        let (directive, options) = match wire.directive {
            Some(v1::directive::Directive::Grant(grant)) => grant_from_wire(grant)?,
            Some(v1::directive::Directive::Hold(v1::Hold {})) => {
                (Directive::Hold, GrantOptions::default())
            }
            Some(v1::directive::Directive::Fence(epoch)) => {
                (Directive::Fence(Epoch(epoch)), GrantOptions::default())
            }
            None => {
                let what = "it is missing or of a kind that we do not know";
                return Err(Error::new("directive.directive", what));
            }
        };
        Ok(Directed { app, directive, options, trace: trace_from_wire(wire.trace) })
    }
}

fn grant_from_wire(wire: v1::Grant) -> Result<(Directive, GrantOptions), Error> {
    if wire.epoch == 0 {
        return Err(Error::new("grant.epoch", "a grant has an epoch above 0"));
    }
    if wire.allow.len() > ALLOW_MAX {
        let what = format!("{} gates, at most {ALLOW_MAX} are allowed", wire.allow.len());
        return Err(Error::new("grant.allow", what));
    }
    if wire.choices.len() > CHOICES_BYTES_MAX {
        let what = format!("{} bytes, at most {CHOICES_BYTES_MAX} are allowed", wire.choices.len());
        return Err(Error::new("grant.choices", what));
    }
    let grant =
        Grant { epoch: Epoch(wire.epoch), digest: digest_from_wire("grant.digest", &wire.digest)? };
    let options = GrantOptions {
        start_within: Duration::from_secs(wire.start_within_seconds.into()),
        drift: wire.drift,
        revision: message(&wire.revision),
        allow: wire.allow,
        choices: wire.choices,
    };
    Ok((Directive::Grant(grant), options))
}

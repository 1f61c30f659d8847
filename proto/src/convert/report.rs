//! `AppReport`: what an agent saw for one App.

use std::num::NonZeroU32;
use std::time::Duration;

use model::{AppName, Epoch, ObjectStatus, Phase, Reason, Report};
use prost::Message as _;

use super::Error;
use super::part::{self, digest_from_wire_optional, digest_to_wire_optional, trace_from_wire};
use crate::limits::{SESSION_MESSAGE_BYTES_MAX, UNHEALTHY_MAX};
use crate::v1;

/// Bytes of the session limit kept for what stands around a report: the tag and length of the envelope,
/// and of one list entry.
const ENVELOPE_BYTES: usize = 32;

/// A report with the App it is about and the trace it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// The App.
    pub app: AppName,
    /// What the agent saw.
    pub report: Report,
    /// The span in the agent that made it.
    pub trace: Option<v1::TraceContext>,
    /// [`options_mark`](super::options_mark) of the grant that the agent follows; `None`: not told.
    pub options: Option<NonZeroU32>,
}

impl From<Reported> for v1::AppReport {
    fn from(reported: Reported) -> v1::AppReport {
        let Reported { app, report, trace, options } = reported;
        let (phase, reason, message) = match &report.phase {
            Phase::Applying => ("Applying", "", ""),
            Phase::Healthy => ("Healthy", "", ""),
            Phase::Degraded { reason, message } => ("Degraded", reason.code(), message.as_str()),
            Phase::Failed { reason, message } => ("Failed", reason.code(), message.as_str()),
        };
        let mut wire = v1::AppReport {
            app: app.into(),
            boot: report.boot,
            seq: report.seq,
            epoch: report.epoch.0,
            digest: digest_to_wire_optional(report.digest.as_ref()),
            fence: report.fence.0,
            phase: phase.to_owned(),
            reason: reason.to_owned(),
            message: part::message(message),
            healthy_for_ms: milliseconds(report.healthy_for),
            bad_for_ms: milliseconds(report.bad_for),
            applying_for_ms: milliseconds(report.applying_for),
            objects_total: report.objects_total,
            objects_healthy: report.objects_healthy,
            drifted: report.drifted,
            unhealthy: Vec::new(),
            trace: trace_from_wire(trace),
            options: options.map_or(0, NonZeroU32::get),
        };
        wire.unhealthy = fitting(wire.encoded_len(), report.unhealthy);
        wire
    }
}

/// The first objects that fit into a message that already has `used` bytes. An object too large for what
/// is left is skipped, smaller ones behind it still go.
fn fitting(used: usize, objects: Vec<ObjectStatus>) -> Vec<v1::ObjectStatus> {
    let mut left = SESSION_MESSAGE_BYTES_MAX.saturating_sub(used + ENVELOPE_BYTES);
    let mut taken = Vec::new();
    for object in objects {
        if taken.len() == UNHEALTHY_MAX {
            break;
        }
        let object = v1::ObjectStatus::from(object);
        // Two bytes of tag and at most two of length for an entry below 16 KiB.
        let cost = object.encoded_len() + 4;
        if cost <= left {
            left -= cost;
            taken.push(object);
        }
    }
    taken
}

impl TryFrom<v1::AppReport> for Reported {
    type Error = Error;
    fn try_from(wire: v1::AppReport) -> Result<Reported, Error> {
        let app = AppName::parse(&wire.app).map_err(|e| Error::new("report.app", e.to_string()))?;
        let phase = phase(&wire.phase, &wire.reason, &wire.message)?;
        let unhealthy = wire.unhealthy.into_iter().take(UNHEALTHY_MAX).map(TryInto::try_into);
        let unhealthy = unhealthy
            .collect::<Result<_, Error>>()
            .map_err(|e| Error::new("report.unhealthy.key", e.what))?;
        let report = Report {
            boot: wire.boot,
            seq: wire.seq,
            epoch: Epoch(wire.epoch),
            digest: digest_from_wire_optional("report.digest", &wire.digest)?,
            fence: Epoch(wire.fence),
            phase,
            healthy_for: Duration::from_millis(wire.healthy_for_ms),
            bad_for: Duration::from_millis(wire.bad_for_ms),
            applying_for: Duration::from_millis(wire.applying_for_ms),
            objects_total: wire.objects_total,
            objects_healthy: wire.objects_healthy,
            drifted: wire.drifted,
            unhealthy,
        };
        let (trace, options) = (trace_from_wire(wire.trace), NonZeroU32::new(wire.options));
        Ok(Reported { app, report, trace, options })
    }
}

/// The phase behind its words. A reason that we do not know yet stays bad news under a general name; a
/// phase that we do not know is an error, because taking it for another one could open a wave.
fn phase(word: &str, code: &str, message: &str) -> Result<Phase, Error> {
    let message = part::message(message);
    let reason = Reason::from_code(code);
    match word {
        "Applying" => Ok(Phase::Applying),
        "Healthy" => Ok(Phase::Healthy),
        "Degraded" => {
            Ok(Phase::Degraded { reason: reason.unwrap_or(Reason::HealthUnknown), message })
        }
        "Failed" => Ok(Phase::Failed { reason: reason.unwrap_or(Reason::Degraded), message }),
        other => {
            let what = format!("`{}` is no phase that we know", part::cut(other, 32));
            Err(Error::new("report.phase", what))
        }
    }
}

/// Whole milliseconds; what does not fit 64 bits (584 million years) is the largest number.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

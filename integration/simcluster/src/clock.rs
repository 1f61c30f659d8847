//! The cluster's wall clock: the system's at the start, then moved by tokio's (pausable) time.

use jiff::{Timestamp, Unit};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Timestamp,
    started: Instant,
}

impl Clock {
    /// Starts at `origin`, or at the system's time.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time is read")]
    pub(crate) fn new(origin: Option<Timestamp>) -> Clock {
        Clock { origin: origin.unwrap_or_else(Timestamp::now), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let passed = Instant::now().saturating_duration_since(self.started);
        self.after(passed)
    }

    fn after(&self, passed: Duration) -> Timestamp {
        self.origin.checked_add(passed).unwrap_or(self.origin)
    }

    /// RFC 3339 with whole seconds, cut and not rounded, as Kubernetes writes times.
    pub(crate) fn stamp(&self) -> String {
        seconds(self.now())
    }
}

pub(crate) fn seconds(time: Timestamp) -> String {
    let round = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    time.round(round).unwrap_or(time).to_string()
}

/// Seconds since the epoch of a time written by `stamp`; zero for anything else.
pub(crate) fn parse(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

//! The only file of the hub that looks at a clock. Tests hand in a clock that they move themselves.
//!
//! Two readings: [`Clock::now`] is the time of day (it may jump; for records and certificates),
//! [`Clock::since_start`] only ever grows (for every wait and deadline). Deliberately absent: sleeping.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

/// A clock; cloning it gives another handle on the same one.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System { start: Instant },
    Manual(Arc<Mutex<Hands>>),
}

/// Where the hands of a manual clock stand.
#[derive(Debug, Clone, Copy)]
struct Hands {
    wall: Timestamp,
    since_start: Duration,
}

impl Clock {
    /// The machine's clock; `since_start` counts from this call.
    pub fn system() -> Clock {
        Clock(Kind::System { start: Instant::now() })
    }

    /// A clock that stands at `wall` until it is moved.
    pub fn manual(wall: Timestamp) -> Clock {
        Clock(Kind::Manual(Arc::new(Mutex::new(Hands { wall, since_start: Duration::ZERO }))))
    }

    /// The time of day. May jump in both directions: never measure a wait with it.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the place that may ask")]
            Kind::System { .. } => Timestamp::now(),
            Kind::Manual(hands) => read(hands).wall,
        }
    }

    /// Time since the clock was made; never goes back.
    pub fn since_start(&self) -> Duration {
        match &self.0 {
            Kind::System { start } => start.elapsed(),
            Kind::Manual(hands) => read(hands).since_start,
        }
    }

    /// Moves both readings of a manual clock forward. Does nothing to the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(hands) = &self.0 {
            let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
            hands.since_start = hands.since_start.saturating_add(by);
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            hands.wall = hands.wall.saturating_add(by).unwrap_or(Timestamp::MAX);
        }
    }

    /// Sets the time of day of a manual clock, also backwards; `since_start` stays. Does nothing to the
    /// machine's clock.
    pub fn jump(&self, wall: Timestamp) {
        if let Kind::Manual(hands) = &self.0 {
            hands.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
        }
    }
}

fn read(hands: &Mutex<Hands>) -> Hands {
    *hands.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::System { .. } => "Clock(system)",
            Kind::Manual(_) => "Clock(manual)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_time_of_day_moves_no_deadline() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let handle = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(handle.now().as_second(), 90);
        handle.jump(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        assert_eq!(clock.since_start(), Duration::from_secs(90));
    }

    #[test]
    fn the_system_clock_cannot_be_moved() {
        let clock = Clock::system();
        clock.jump(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1 << 40));
        assert!(clock.now() > Timestamp::UNIX_EPOCH);
        assert!(clock.since_start() < Duration::from_secs(1 << 20));
    }
}

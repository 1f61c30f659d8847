//! The only place that looks at a clock or rolls dice.
//!
//! Wall time is for certificates, logs and Kubernetes timestamps. Everything that measures how long something
//! took uses the monotonic clock of tokio, which a test can stop.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall time, possibly wrong on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    skew: SignedDuration,
    start: Instant,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::skewed(SignedDuration::ZERO)
    }

    /// A clock that is `skew` ahead of the system's; for tests of what a wrong clock does.
    pub fn skewed(skew: SignedDuration) -> Clock {
        Clock { skew, start: Instant::now() }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = Timestamp::now();
        now.checked_add(self.skew).unwrap_or(now)
    }

    /// Monotonic time since the clock was made.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

/// A random duration in `[low, high]`.
pub fn between(low: Duration, high: Duration) -> Duration {
    low + high.saturating_sub(low).mul_f64(fraction())
}

/// A random number in `[0, 1)`; without a source of randomness one half, which is only less well spread.
fn fraction() -> f64 {
    let bits = getrandom::u64().unwrap_or(u64::MAX / 2) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let fraction = bits as f64 / (1u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_is_off_by_its_skew() {
        let ten = SignedDuration::from_mins(10);
        let gap = Clock::skewed(ten).now().duration_since(Clock::system().now());
        assert!((gap - ten).abs() < SignedDuration::from_secs(1), "{gap}");
    }

    #[test]
    fn jitter_stays_in_its_range() {
        let (low, high) = (Duration::from_mins(2), Duration::from_mins(4));
        for _ in 0..1000 {
            let got = between(low, high);
            assert!(low <= got && got <= high, "{got:?}");
        }
    }
}

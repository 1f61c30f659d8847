//! Pauses between tries to reach the hub: exponential, with full jitter.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Growing pauses. Each is random between zero and a bound that doubles up to the longest.
#[derive(Debug)]
pub(crate) struct Pauses {
    inner: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// The first pause is at most `shortest`, and none is longer than `longest`.
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Pauses {
        // A factor of 1 spreads a pause over zero to twice its middle.
        let inner = ExponentialBackoff {
            initial_interval: shortest / 2,
            current_interval: shortest / 2,
            max_interval: longest / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Pauses { inner, longest }
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Duration {
        self.inner.next_backoff().unwrap_or(self.longest).min(self.longest)
    }

    /// What follows is like the first again.
    pub(crate) fn reset(&mut self) {
        self.inner.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_from_zero_and_bounded_and_begin_anew() {
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_mins(2));
        let mut pauses = Pauses::new(shortest, longest);
        let all: Vec<Duration> = (0..200).map(|_| pauses.next()).collect();
        assert!(all.iter().all(|pause| *pause <= longest));
        assert!(all.iter().any(|pause| *pause > longest / 2), "they grow");
        assert!(all[20..].iter().any(|pause| *pause < longest / 4), "a fleet is spread");
        pauses.reset();
        assert!(pauses.next() <= shortest);
    }
}

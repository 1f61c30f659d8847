//! Pauses after failures: doubled each time, with jitter, up to a bound.

use std::time::Duration;

/// First pause after a failure.
const FIRST: Duration = Duration::from_secs(1);

/// Doublings that are counted; beyond them every bound is reached.
const DOUBLINGS_MAX: u32 = 16;

/// The pause after `failures` failures in a row: between a half and the whole of the doubled pause, so
/// that sources that failed together do not come back together. `dice` is evenly distributed.
pub(crate) fn pause(failures: u32, max: Duration, dice: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let whole = FIRST.saturating_mul(1 << doublings).min(max);
    let half = whole / 2;
    let steps = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_millis(dice % steps)
}

/// A number that nobody can tell beforehand.
pub(crate) fn dice() -> u64 {
    // Without randomness all sources pause alike; that is no reason to fail.
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_are_never_zero() {
        let max = Duration::from_mins(1);
        let longest = |failures| (0..3000).map(|dice| pause(failures, max, dice)).max().unwrap();
        assert_eq!(longest(1), Duration::from_secs(1));
        assert_eq!(longest(2), Duration::from_secs(2));
        assert_eq!(longest(3), Duration::from_secs(4));
        for failures in [7, 20, u32::MAX] {
            for dice in [0, 1, 29_999, u64::MAX] {
                let pause = pause(failures, max, dice);
                assert!(pause >= max / 2 && pause <= max, "{failures} {dice} {pause:?}");
            }
        }
    }
}

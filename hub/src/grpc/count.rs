//! Two ways to say "not so many": how many at a time, and how many in a time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keys that a [`Rate`] remembers. Beyond it, keys that have been quiet are forgotten, and if all are busy,
/// new ones are refused.
const RATE_KEYS_MAX: usize = 10_000;

/// How many of each key are there now.
#[derive(Debug, Clone)]
pub(super) struct Crowd<K: Ord + Clone>(Arc<Mutex<BTreeMap<K, usize>>>);

/// One of a [`Crowd`]; gives its place back when dropped.
#[derive(Debug)]
pub(super) struct Place<K: Ord + Clone> {
    crowd: Crowd<K>,
    key: K,
}

impl<K: Ord + Clone> Crowd<K> {
    pub(super) fn new() -> Crowd<K> {
        Crowd(Arc::default())
    }

    /// A place, when fewer than `max` of this key are taken.
    pub(super) fn enter(&self, key: K, max: usize) -> Option<Place<K>> {
        let mut counts = lock(&self.0);
        let count = counts.entry(key.clone()).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place { crowd: self.clone(), key })
    }
}

impl<K: Ord + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.crowd.0);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// A bucket per key that fills at a steady rate.
#[derive(Debug)]
pub(super) struct Rate<K: Ord> {
    burst: u32,
    every: Duration,
    buckets: Mutex<BTreeMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl<K: Ord> Rate<K> {
    /// `burst` at once, then one in `every`.
    pub(super) fn new(burst: u32, every: Duration) -> Rate<K> {
        Rate { burst, every, buckets: Mutex::default() }
    }

    /// Whether one more is allowed. `now` is monotonic.
    pub(super) fn take(&self, key: K, now: Duration) -> bool {
        let burst = f64::from(self.burst);
        let filled = |bucket: &Bucket| {
            let gained = now.saturating_sub(bucket.at).div_duration_f64(self.every);
            (bucket.left + gained).min(burst)
        };
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= RATE_KEYS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| filled(bucket) < burst);
            if buckets.len() >= RATE_KEYS_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: burst, at: now });
        let left = filled(bucket);
        let allowed = left >= 1.0;
        *bucket = Bucket { left: if allowed { left - 1.0 } else { left }, at: now };
        allowed
    }
}

/// What counts as one address: an IPv4 address, or the 64 bits of an IPv6 network, which one party has whole.
pub(super) fn address(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Counts are right after a panic too: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_free_when_its_holder_leaves() {
        let crowd = Crowd::new();
        let first = crowd.enter("a", 1).unwrap();
        assert!(crowd.enter("a", 1).is_none());
        assert!(crowd.enter("b", 1).is_some());
        drop(first);
        assert!(crowd.enter("a", 1).is_some());
        assert!(lock(&crowd.0).is_empty());
    }

    #[test]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let rate = Rate::new(2, Duration::from_secs(10));
        let at = Duration::from_secs;
        assert!(rate.take("a", at(0)) && rate.take("a", at(0)));
        assert!(!rate.take("a", at(0)));
        assert!(rate.take("b", at(0)));
        assert!(!rate.take("a", at(9)));
        assert!(rate.take("a", at(10)));
        assert!(!rate.take("a", at(11)));
    }

    #[test]
    fn a_full_memory_forgets_the_quiet_and_refuses_when_all_are_busy() {
        let rate = Rate::new(1, Duration::from_mins(1));
        for key in 0..RATE_KEYS_MAX {
            assert!(rate.take(key, Duration::ZERO));
        }
        assert!(!rate.take(RATE_KEYS_MAX, Duration::from_secs(1)));
        assert!(rate.take(RATE_KEYS_MAX, Duration::from_mins(1)));
        assert_eq!(lock(&rate.buckets).len(), 1);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let ip = |text: &str| address(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:2"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:10.0.0.1"), ip("10.0.0.1"));
        assert_ne!(ip("10.0.0.1"), ip("10.0.0.2"));
    }
}

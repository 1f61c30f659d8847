//! How fast the agent may ask: two token buckets, a bound on requests in flight that halves when the API
//! server throttles and recovers by one for every quiet 10 seconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Quiet time that gives back one request in flight.
const RECOVERY: Duration = Duration::from_secs(10);
/// Pause after a throttled answer that names none.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that an answer can ask for.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);
/// Answers that are looked at together.
const WINDOW: u32 = 20;
/// Slow ones among them from which the server is taken to be overloaded: more than 5 %.
const SLOW_MAX: u32 = 2;

/// Which bucket a request takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Changes something.
    Write,
    /// Changes nothing.
    Read,
}

/// A bucket that fills by `rate` a second up to `burst`.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
}

impl Bucket {
    fn full(rate: u32, burst: u32) -> Bucket {
        Bucket { tokens: f64::from(burst), rate: f64::from(rate), burst: f64::from(burst) }
    }

    fn fill(&mut self, passed: Duration) {
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
    }

    /// How long until one token is there.
    fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).max(0.0))
    }
}

#[derive(Debug)]
struct State {
    writes: Bucket,
    reads: Bucket,
    in_flight: u32,
    allowed: u32,
    ceiling: u32,
    filled: Instant,
    paused_until: Instant,
    /// Answers since the last look at their speed, and slow ones among them.
    answers: u32,
    slow: u32,
    /// When the server last throttled, or the bound last recovered by one.
    changed: Instant,
}

/// Shared by all requests of one agent.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    freed: Notify,
}

/// One request in flight.
#[derive(Debug)]
pub(super) struct Permit(Arc<Limiter>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

impl Limiter {
    pub(super) fn new(writes: u32, burst: u32, reads: u32, in_flight: u32) -> Arc<Limiter> {
        let now = Instant::now();
        let state = State {
            writes: Bucket::full(writes.max(1), burst.max(1)),
            reads: Bucket::full(reads.max(1), reads.max(1) * 2),
            in_flight: 0,
            allowed: in_flight.max(1),
            ceiling: in_flight.max(1),
            filled: now,
            paused_until: now,
            answers: 0,
            slow: 0,
            changed: now,
        };
        Arc::new(Limiter { state: Mutex::new(state), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn.
    pub(super) async fn acquire(self: &Arc<Self>, cost: Cost) -> Permit {
        loop {
            let freed = self.freed.notified();
            match self.attempt(cost, Instant::now()) {
                Ok(()) => return Permit(Arc::clone(self)),
                Err(Some(wait)) => tokio::time::sleep(wait).await,
                Err(None) => freed.await,
            }
        }
    }

    /// `Err(None)`: too many in flight; `Err(Some)`: that long.
    fn attempt(&self, cost: Cost, now: Instant) -> Result<(), Option<Duration>> {
        let mut state = self.lock();
        let passed = now.saturating_duration_since(state.filled);
        state.filled = now;
        state.writes.fill(passed);
        state.reads.fill(passed);
        if state.allowed < state.ceiling && now.saturating_duration_since(state.changed) > RECOVERY
        {
            state.allowed += 1;
            state.changed = now;
        }
        if now < state.paused_until {
            return Err(Some(state.paused_until - now));
        }
        if state.in_flight >= state.allowed {
            return Err(None);
        }
        let bucket = match cost {
            Cost::Write => &mut state.writes,
            Cost::Read => &mut state.reads,
        };
        if bucket.tokens < 1.0 {
            return Err(Some(bucket.wait().max(Duration::from_millis(1))));
        }
        bucket.tokens -= 1.0;
        state.in_flight += 1;
        Ok(())
    }

    /// An answer came. A server whose answers become slow is asked less at once, before it has to say so.
    pub(super) fn answered(&self, took: Duration) {
        let mut state = self.lock();
        state.answers += 1;
        state.slow += u32::from(took > SLOW);
        if state.slow >= SLOW_MAX {
            state.allowed = (state.allowed / 2).max(1);
            state.changed = Instant::now();
        }
        if state.slow >= SLOW_MAX || state.answers >= WINDOW {
            (state.answers, state.slow) = (0, 0);
        }
    }

    /// The server asked to slow down.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.lock();
        state.allowed = (state.allowed / 2).max(1);
        state.changed = now;
        state.paused_until = now + retry_after.unwrap_or(PAUSE).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long `count` requests take, each answered at once.
    fn duration(limiter: &Limiter, cost: Cost, count: u32, mut now: Instant) -> Duration {
        let start = now;
        for _ in 0..count {
            while let Err(wait) = limiter.attempt(cost, now) {
                now += wait.expect("none is in flight");
            }
            limiter.lock().in_flight -= 1;
        }
        now - start
    }

    #[test]
    fn writes_go_out_at_the_rate_after_the_burst() {
        let limiter = Limiter::new(20, 40, 50, 16);
        let now = Instant::now() + Duration::from_mins(1);
        let took = duration(&limiter, Cost::Write, 80, now);
        assert!(
            took >= Duration::from_millis(1990) && took < Duration::from_millis(2100),
            "{took:?}"
        );
    }

    #[test]
    fn slow_answers_halve_what_is_in_flight_and_a_single_one_does_not() {
        let limiter = Limiter::new(1000, 1000, 1000, 8);
        for n in 0..100 {
            let slow = n % 20 == 0;
            limiter.answered(if slow { SLOW * 2 } else { Duration::from_millis(5) });
        }
        assert_eq!(limiter.lock().allowed, 8);
        limiter.answered(SLOW * 2);
        limiter.answered(SLOW * 2);
        assert_eq!(limiter.lock().allowed, 4);
    }

    #[test]
    fn a_throttled_answer_halves_what_is_in_flight_and_quiet_gives_it_back() {
        let limiter = Limiter::new(1000, 1000, 1000, 4);
        limiter.throttled(Some(Duration::from_secs(2)));
        let now = Instant::now();
        assert!(limiter.attempt(Cost::Read, now).is_err_and(|wait| wait.is_some()), "paused");
        let now = now + Duration::from_secs(2);
        assert_eq!(limiter.attempt(Cost::Read, now), Ok(()));
        assert_eq!(limiter.attempt(Cost::Read, now), Ok(()));
        assert_eq!(limiter.attempt(Cost::Read, now), Err(None), "two of four");
        let now = now + Duration::from_secs(11);
        assert_eq!(limiter.attempt(Cost::Read, now), Ok(()), "one came back");
        assert_eq!(limiter.attempt(Cost::Read, now), Err(None));
    }
}

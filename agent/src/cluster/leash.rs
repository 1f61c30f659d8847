//! For how long the holder of the Lease may write.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Writes are allowed for so long after a renewal was sent: five seconds less than others wait for the Lease.
const LENGTH: Duration = Duration::from_secs(10);

/// How long the present holder may still write.
#[derive(Debug, Default)]
pub(super) struct Leash {
    until: Mutex<Option<Instant>>,
}

impl Leash {
    pub(super) fn holds(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn renewed(&self, sent: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent + LENGTH);
    }

    pub(super) fn drop_now(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_leash_ends_before_others_may_take_the_lease() {
        let leash = Leash::default();
        assert!(!leash.holds(), "nobody leads by being there");
        leash.renewed(Instant::now());
        assert!(leash.holds());
        tokio::time::advance(LENGTH).await;
        assert!(!leash.holds() && LENGTH < Duration::from_secs(15));
        leash.renewed(Instant::now());
        leash.drop_now();
        assert!(!leash.holds());
    }
}

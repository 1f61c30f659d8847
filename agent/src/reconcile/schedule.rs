//! Step 6: when to look again without a new cause. No client.

use std::collections::BTreeMap;
use std::time::Duration;

use model::ObjectKey;
use plan::{FightDetector, Verdict};

use super::report::Acted;
use crate::clock;

/// Never sooner, whatever is due: an App may not keep the agent busy.
const SOONEST: Duration = Duration::from_millis(100);
/// Longest pause after repeated failures that name a shorter one.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pauses that grow while the same App fails again and again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// When to look again; `None`: only when something moves.
    pub(super) fn next(
        &mut self,
        acted: &Acted,
        verdicts: &BTreeMap<ObjectKey, Verdict>,
        fights: &FightDetector,
        others: impl IntoIterator<Item = Duration>,
        now: Duration,
    ) -> Option<Duration> {
        let retry = match acted.retry() {
            // A newer grant waits: at once.
            _ if acted.preempted => Some(Duration::ZERO),
            Some(named) => {
                self.failures = self.failures.saturating_add(1);
                let grown = named.saturating_mul(1 << self.failures.min(6)).min(PAUSE_MAX);
                Some(clock::between(named, named.max(grown)))
            }
            None => {
                self.failures = 0;
                None
            }
        };
        let rechecks = verdicts.values().filter_map(|verdict| verdict.recheck);
        let fights = fights.slowed(now).into_iter().map(|(_, fight)| fight.wait);
        let first = retry.into_iter().chain(rechecks).chain(fights).chain(others).min();
        first.map(|wait| if acted.preempted { wait } else { wait.max(SOONEST) })
    }

    /// Something new happened: failures of before do not count.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use model::Reason;

    use super::super::report::Trouble;
    use super::*;

    #[test]
    fn a_quiet_app_is_never_looked_at_and_a_failing_one_ever_more_seldom() {
        let mut pauses = Pauses::default();
        let (none, fights) = (BTreeMap::new(), FightDetector::new());
        let quiet = pauses.next(&Acted::default(), &none, &fights, [], Duration::ZERO);
        assert_eq!(quiet, None);
        let failing =
            || Acted::nothing(Trouble::waiting(Reason::ApiServerUnreachable, "no answer"));
        for _ in 0..100 {
            let wait = pauses.next(&failing(), &none, &fights, [], Duration::ZERO).unwrap();
            assert!(wait >= Duration::from_secs(1) && wait <= PAUSE_MAX, "{wait:?}");
        }
        assert!(pauses.failures > 50);
    }
}

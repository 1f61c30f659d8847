//! Two writers that undo each other converge to a slow, reported stalemate instead of a hot loop.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::ObjectKey;

/// Corrections of one object within [`WINDOW`] that are still taken for honest drift.
const FREE_CORRECTIONS: usize = 5;
/// Over how long they are counted.
const WINDOW: Duration = Duration::from_mins(10);
/// First delay between corrections in a fight; doubles with each one.
const DELAY_MIN: Duration = Duration::from_mins(1);
/// Longest delay.
const DELAY_MAX: Duration = Duration::from_hours(1);
/// Objects watched for fights; beyond, the quietest is forgotten. 10,000 × about 200 B = 2 MB.
const OBJECTS_MAX: usize = 10_000;

/// A fight over one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fight {
    /// Corrections within the last 10 minutes, or since the fight began.
    pub corrections: u32,
    /// The other writer, when known.
    pub manager: Option<String>,
    /// How long to wait until the next correction; zero when it is due.
    pub wait: Duration,
}

#[derive(Debug, Clone, Default)]
struct Bout {
    recent: VecDeque<Duration>,
    manager: Option<String>,
    /// Delay in force; zero when there is no fight.
    delay: Duration,
    corrections: u32,
}

/// Counts corrections per object. `now` is monotonic time since any fixed point.
#[derive(Debug, Clone, Default)]
pub struct FightDetector {
    bouts: BTreeMap<ObjectKey, Bout>,
}

impl FightDetector {
    /// No fights.
    pub fn new() -> FightDetector {
        FightDetector::default()
    }

    /// Notes a correction that was just made against `manager`.
    pub fn corrected(&mut self, key: &ObjectKey, manager: Option<&str>, now: Duration) {
        if !self.bouts.contains_key(key) && self.bouts.len() >= OBJECTS_MAX {
            let last = |bout: &Bout| bout.recent.back().copied();
            let quietest = self.bouts.iter().min_by_key(|(_, bout)| last(bout));
            if let Some(quietest) = quietest.map(|(key, _)| key.clone()) {
                self.bouts.remove(&quietest);
            }
        }
        let bout = self.bouts.entry(key.clone()).or_default();
        bout.calm(now);
        bout.recent.push_back(now);
        bout.corrections = bout.corrections.saturating_add(1);
        bout.manager = manager.map(str::to_owned).or(bout.manager.take());
        if bout.delay > Duration::ZERO {
            bout.delay = (bout.delay * 2).min(DELAY_MAX);
        } else if bout.recent.len() > FREE_CORRECTIONS {
            bout.delay = DELAY_MIN;
        }
        while bout.recent.len() > FREE_CORRECTIONS + 1 {
            bout.recent.pop_front();
        }
    }

    /// The fight over `key`, when there is one.
    pub fn fight(&self, key: &ObjectKey, now: Duration) -> Option<Fight> {
        let mut bout = self.bouts.get(key)?.clone();
        bout.calm(now);
        let last = *bout.recent.back()?;
        (bout.delay > Duration::ZERO).then(|| Fight {
            corrections: bout.corrections,
            manager: bout.manager.clone(),
            wait: (last + bout.delay).saturating_sub(now),
        })
    }

    /// Objects whose correction has to wait: goes into [`crate::Policy::slowed`].
    pub fn slowed(&self, now: Duration) -> Vec<(ObjectKey, Fight)> {
        let fights = self.bouts.keys().filter_map(|key| Some((key.clone(), self.fight(key, now)?)));
        fights.filter(|(_, fight)| fight.wait > Duration::ZERO).collect()
    }

    /// Ends all fights: a new release may have settled them.
    pub fn reset(&mut self) {
        self.bouts.clear();
    }
}

impl Bout {
    /// Forgets what is too old. A fight ends when nobody rewrote the field for longer than the delay in
    /// force plus the window.
    fn calm(&mut self, now: Duration) {
        let quiet = self.recent.back().is_none_or(|last| now > *last + self.delay + WINDOW);
        if quiet {
            *self = Bout::default();
        } else if self.delay == Duration::ZERO {
            self.recent.retain(|at| *at + WINDOW >= now);
            self.corrections = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        }
    }
}

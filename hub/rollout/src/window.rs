//! Times of the week at which grants may leave: days and hours of a time zone, with daylight saving.
//!
//! Wall-clock arithmetic is the one of the zone: `09-16` begins when clocks there show 09:00 and ends when
//! they show 16:00, however long that is on the day they change. The zones are built into the program, so
//! that a hub decides the same on every machine. Deliberately absent: cron expressions.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

/// A window must open at least once in so many days, or a release could wait for ever.
pub const OPENS_WITHIN_DAYS: i8 = 14;

/// Minutes of a day; as the end of a window it means midnight.
const DAY: u16 = 24 * 60;

/// Times of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Days on which it opens, Monday first.
    pub days: [bool; 7],
    /// Minute of the day at which it opens.
    pub from: u16,
    /// Minute at which it closes; not after `from` means on the next day.
    pub to: u16,
    /// Whose clock.
    pub zone: Zone,
}

/// Whose clock a window goes by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Zone {
    /// A zone of the IANA database, such as `Europe/Berlin`.
    Named(String),
    /// That which the label of the cluster names.
    Label(String),
}

/// Whether `name` is a time zone.
pub fn is_zone(name: &str) -> bool {
    zone(name).is_some()
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl Window {
    /// Whether it is open, by the clock of the zone `name`. A zone that does not exist is never open.
    pub fn is_open(&self, at: Timestamp, name: &str) -> bool {
        self.spans(at, name, -1, 0).any(|(from, to)| from <= at && at < to)
    }

    /// When it opens next after `at`, within [`OPENS_WITHIN_DAYS`].
    pub fn next_open(&self, at: Timestamp, name: &str) -> Option<Timestamp> {
        let mut starts = self.spans(at, name, 0, OPENS_WITHIN_DAYS).map(|(from, _)| from);
        starts.find(|from| *from > at)
    }

    /// When the span that is open at `at` closes.
    pub fn closes(&self, at: Timestamp, name: &str) -> Option<Timestamp> {
        let mut open = self.spans(at, name, -1, 0).filter(|(from, to)| *from <= at && at < *to);
        open.next().map(|(_, to)| to)
    }

    /// The spans that begin on the days around `at`, in order. One that a change of clocks swallows whole
    /// is left out.
    fn spans(
        &self,
        at: Timestamp,
        name: &str,
        first: i8,
        last: i8,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let zone = zone(name);
        let today = zone.as_ref().map(|zone| at.to_zoned(zone.clone()).date());
        (first..=last).filter_map(move |day| {
            let zone = zone.as_ref()?;
            let date = today?.checked_add(i64::from(day).days()).ok()?;
            if !self.days[index(date.weekday())] {
                return None;
            }
            let end = if self.to > self.from { date } else { date.tomorrow().ok()? };
            let span = (moment(date, self.from, zone)?, moment(end, self.to, zone)?);
            (span.0 < span.1).then_some(span)
        })
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// When clocks in `zone` show that minute of that date. A time that is skipped becomes the first one after
/// the gap, one that comes twice its first coming.
fn moment(date: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (date, minute) = if minute >= DAY { (date.tomorrow().ok()?, 0) } else { (date, minute) };
    let hour = i8::try_from(minute / 60).ok()?;
    let time = date.at(hour, i8::try_from(minute % 60).ok()?, 0, 0);
    Some(time.to_zoned(zone.clone()).ok()?.timestamp())
}

/// How far the wall clock may move against the monotonic one before windows and approvals are not trusted
/// for a while.
pub const STEP: SignedDuration = SignedDuration::from_secs(5);
/// For how long they are not trusted then.
pub const STEP_SETTLES: std::time::Duration = std::time::Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: [bool; 7], from: u16, to: u16) -> Window {
        Window { days, from, to, zone: Zone::Named("Europe/Berlin".to_owned()) }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const WORKDAYS: [bool; 7] = [true, true, true, true, true, false, false];
    const ALL: [bool; 7] = [true; 7];

    #[test]
    fn office_hours_follow_the_clock_on_the_wall() {
        let office = window(WORKDAYS, 9 * 60, 16 * 60);
        // Winter: one hour ahead of UTC. Summer: two.
        assert!(!office.is_open(at("2026-01-12T07:59:59Z"), "Europe/Berlin"));
        assert!(office.is_open(at("2026-01-12T08:00:00Z"), "Europe/Berlin"));
        assert!(office.is_open(at("2026-07-13T07:00:00Z"), "Europe/Berlin"));
        assert!(!office.is_open(at("2026-07-13T14:00:00Z"), "Europe/Berlin"));
        let next = office.next_open(at("2026-01-16T20:00:00Z"), "Europe/Berlin");
        assert_eq!(next, Some(at("2026-01-19T08:00:00Z")), "Friday night waits for Monday");
        let closes = office.closes(at("2026-01-12T09:00:00Z"), "Europe/Berlin");
        assert_eq!(closes, Some(at("2026-01-12T15:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let friday = window([false, false, false, false, true, false, false], 22 * 60, 4 * 60);
        assert!(friday.is_open(at("2026-01-17T02:00:00Z"), "Europe/Berlin"), "Saturday at three");
        assert!(!friday.is_open(at("2026-01-16T02:00:00Z"), "Europe/Berlin"), "Friday at three");
    }

    #[test]
    fn the_night_of_the_change_neither_opens_twice_nor_panics() {
        // 2026-03-29: clocks jump from 02:00 to 03:00. The window in the gap vanishes.
        let gap = window(ALL, 2 * 60 + 10, 2 * 60 + 50);
        let opens = gap.next_open(at("2026-03-28T12:00:00Z"), "Europe/Berlin");
        assert_eq!(opens.map(|t| t > at("2026-03-29T00:00:00Z")), Some(true));
        // 2026-10-25: 02:30 comes twice; the hour is two hours long, once.
        let twice = window(ALL, 2 * 60, 3 * 60);
        assert!(twice.is_open(at("2026-10-25T00:30:00Z"), "Europe/Berlin"));
        assert!(twice.is_open(at("2026-10-25T01:30:00Z"), "Europe/Berlin"));
        assert!(!twice.is_open(at("2026-10-25T02:00:00Z"), "Europe/Berlin"));
    }

    #[test]
    fn all_day_is_all_day_and_an_unknown_zone_is_never() {
        let always = window(ALL, 0, DAY);
        assert!(always.is_open(at("2026-05-05T22:10:00Z"), "Asia/Kathmandu"));
        assert!(!always.is_open(at("2026-05-05T22:10:00Z"), "Europe/Atlantis"));
        assert_eq!(always.next_open(at("2026-05-05T22:10:00Z"), "Europe/Atlantis"), None);
        assert!(is_zone("UTC") && !is_zone("Europe/Atlantis"));
    }
}

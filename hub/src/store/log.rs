//! The event log of each App: events by number from 1 without gaps, and the newest snapshot of their fold.
//!
//! Bytes are opaque here; folding is the engine's matter. An append holds only if nobody else appended
//! this number and the one before is there, under a lease that is still the newest.

use std::sync::Arc;

use model::{AppName, LeaseEpoch};

use super::{Batch, Error, Guard, KEY_BYTES_MAX, Store, Table, pack, show_key, unpack};

/// A snapshot is due after so many events: folding them takes milliseconds, so that a start stays quick.
pub const SNAPSHOT_EVERY: u64 = 1_000;

/// Events removed in one batch when a log is trimmed: keeps a batch far below its limit of bytes.
const TRIM_ROWS: usize = 1_000;

/// Version of the envelope round an event and a snapshot: `version (1) · number (8) · bytes`, where the
/// number is the lease of an event and the sequence of a snapshot.
const VERSION: u8 = 1;
/// As [`VERSION`], and the bytes are packed: a snapshot of 10,000 clusters says the same digests over and
/// over.
const PACKED: u8 = 2;

/// The logs of all Apps.
#[derive(Debug, Clone)]
pub struct Log(Arc<dyn Store>);

/// What stands in the log of one App.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The newest snapshot: the number of the last event in it, and its bytes.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// The events after the snapshot, or all; in order, without gaps.
    pub events: Vec<(u64, Vec<u8>)>,
}

impl Loaded {
    /// The number of the newest event; 0 when there is none.
    pub fn last(&self) -> u64 {
        let snapshot = self.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        self.events.last().map_or(snapshot, |(seq, _)| *seq)
    }
}

impl Log {
    /// The logs in `store`.
    pub fn new(store: Arc<dyn Store>) -> Log {
        Log(store)
    }

    /// Appends the event number `seq`, one more than the last. [`Error::Conflict`] when somebody else
    /// appended it, or when the one before is not there: load again and decide again.
    pub fn append(
        &self,
        app: &AppName,
        seq: u64,
        lease: LeaseEpoch,
        bytes: &[u8],
    ) -> Result<(), Error> {
        self.append_all(app, seq, lease, &[bytes.to_vec()])
    }

    /// Appends consecutive events from number `seq` on, all or none, for the price of one sync.
    pub fn append_all(
        &self,
        app: &AppName,
        seq: u64,
        lease: LeaseEpoch,
        events: &[Vec<u8>],
    ) -> Result<(), Error> {
        let mut batch = Batch::new(lease);
        for (bytes, seq) in events.iter().zip(seq..) {
            batch = batch.guard(Guard::Absent(Table::Event, event_key(app, seq))).put(
                Table::Event,
                event_key(app, seq),
                wrap(lease.0, bytes),
            );
        }
        if seq != 1 {
            let before = event_key(app, seq.saturating_sub(1));
            batch = batch.guard(Guard::Present(Table::Event, before));
        }
        self.0.commit(batch)
    }

    /// Whether the fold up to `seq` should be kept as a snapshot now.
    pub fn snapshot_is_due(seq: u64) -> bool {
        seq != 0 && seq.is_multiple_of(SNAPSHOT_EVERY)
    }

    /// Keeps `bytes` as the fold of all events up to and with `seq`, in place of the former snapshot.
    pub fn snapshot(
        &self,
        app: &AppName,
        seq: u64,
        lease: LeaseEpoch,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let batch = Batch::new(lease).guard(Guard::Present(Table::Event, event_key(app, seq))).put(
            Table::Snapshot,
            app.as_str(),
            [&[PACKED][..], &seq.to_be_bytes(), &pack(bytes)].concat(),
        );
        self.0.commit(batch)
    }

    /// The newest snapshot of an App and the events after it.
    pub fn load(&self, app: &AppName) -> Result<Loaded, Error> {
        let snapshot = self.0.get(Table::Snapshot, app.as_str().as_bytes())?;
        let place = || format!("snapshot of `{app}`");
        let snapshot = snapshot.map(|row| unwrap(&row, place)).transpose()?;
        let after = snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let events = self.events(app, after)?;
        if let Some((first, _)) = events.first()
            && *first != after + 1
        {
            return Err(missing(app, after + 1));
        }
        Ok(Loaded { snapshot, events })
    }

    /// The events after number `after` that are still kept, for whoever wants to know how it came about.
    pub fn events(&self, app: &AppName, after: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let from = event_key(app, after.saturating_add(1));
        let rows = self.0.scan_from(Table::Event, &events_of(app), &from, usize::MAX)?;
        let mut events: Vec<(u64, Vec<u8>)> = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            let seq = seq_of(&key)?;
            if let Some((last, _)) = events.last()
                && seq != last + 1
            {
                return Err(missing(app, last + 1));
            }
            let (_lease, bytes) = unwrap(&value, || format!("event {seq} of `{app}`"))?;
            events.push((seq, bytes));
        }
        Ok(events)
    }

    /// All Apps that have an event, in order.
    pub fn apps(&self) -> Result<Vec<AppName>, Error> {
        let mut apps = Vec::new();
        let mut from = Vec::new();
        while let Some((key, _)) = self.0.scan_from(Table::Event, b"", &from, 1)?.pop() {
            let app = app_of(&key)?;
            // the next possible key behind all events of this App
            from = [app.as_str().as_bytes(), b"\x01"].concat();
            apps.push(app);
        }
        Ok(apps)
    }

    /// Removes events that the snapshot holds, except the newest `keep` of those. Does nothing without
    /// a snapshot.
    pub fn trim(&self, app: &AppName, keep: u64, lease: LeaseEpoch) -> Result<(), Error> {
        let Some(row) = self.0.get(Table::Snapshot, app.as_str().as_bytes())? else {
            return Ok(());
        };
        let (seq, _) = unwrap(&row, || format!("snapshot of `{app}`"))?;
        // the event at the snapshot stays: the next append asks for it
        let end = event_key(app, seq.saturating_sub(keep).min(seq.saturating_sub(1)));
        loop {
            let rows = self.0.scan_from(Table::Event, &events_of(app), b"", TRIM_ROWS)?;
            let old: Vec<_> = rows.into_iter().map(|row| row.0).filter(|key| *key <= end).collect();
            if old.is_empty() {
                return Ok(());
            }
            let delete = |batch: Batch, key| batch.delete(Table::Event, key);
            self.0.commit(old.into_iter().fold(Batch::new(lease), delete))?;
        }
    }
}

/// `app \0`: all events of an App; no name holds a zero.
fn events_of(app: &AppName) -> Vec<u8> {
    [app.as_str().as_bytes(), b"\0"].concat()
}

fn event_key(app: &AppName, seq: u64) -> Vec<u8> {
    const { assert!(63 + 1 + 8 <= KEY_BYTES_MAX) };
    [&events_of(app)[..], &seq.to_be_bytes()].concat()
}

fn app_of(key: &[u8]) -> Result<AppName, Error> {
    let text = key.split(|b| *b == 0).next().and_then(|name| str::from_utf8(name).ok());
    let app = text.and_then(|text| AppName::parse(text).ok());
    app.ok_or_else(|| corrupt(format!("event `{}`", show_key(key)), "belongs to no app"))
}

fn seq_of(key: &[u8]) -> Result<u64, Error> {
    let seq = key.iter().position(|b| *b == 0).and_then(|end| key[end + 1..].try_into().ok());
    let seq = seq.map(u64::from_be_bytes);
    seq.ok_or_else(|| corrupt(format!("event `{}`", show_key(key)), "has no number"))
}

fn wrap(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&[VERSION][..], &number.to_be_bytes(), bytes].concat()
}

fn unwrap(row: &[u8], place: impl Fn() -> String) -> Result<(u64, Vec<u8>), Error> {
    let (version, rest) = row.split_first().ok_or_else(|| corrupt(place(), "is empty"))?;
    if ![VERSION, PACKED].contains(version) {
        return Err(corrupt(place(), "is of a format that this version does not know"));
    }
    let (number, bytes) = rest.split_first_chunk().ok_or_else(|| corrupt(place(), "is cut off"))?;
    let bytes = if *version == PACKED {
        unpack(bytes).map_err(|why| corrupt(place(), &format!("cannot be unpacked: {why}")))?
    } else {
        bytes.to_vec()
    };
    Ok((u64::from_be_bytes(*number), bytes))
}

fn missing(app: &AppName, seq: u64) -> Error {
    corrupt(format!("event {seq} of `{app}`"), "is missing")
}

fn corrupt(place: String, what: &str) -> Error {
    Error::Corrupt { place, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, SledStore};

    const LEASE: LeaseEpoch = LeaseEpoch(1);

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn log() -> (Arc<Memory>, Log) {
        let store = Arc::new(Memory::new());
        store.take_lease().unwrap();
        (store.clone(), Log::new(store))
    }

    fn fill(log: &Log, app: &AppName, from: u64, to: u64) {
        for seq in from..=to {
            log.append(app, seq, LEASE, format!("event {seq}").as_bytes()).unwrap();
        }
    }

    #[test]
    fn events_come_back_in_order_and_apps_stay_apart() {
        let (_, log) = log();
        for name in ["web", "web-api", "a"] {
            fill(&log, &app(name), 1, 300);
        }
        let loaded = log.load(&app("web")).unwrap();
        assert_eq!(
            (loaded.events.len(), loaded.last(), loaded.snapshot.as_ref()),
            (300, 300, None)
        );
        assert_eq!(loaded.events[255], (256, b"event 256".to_vec()));
        assert_eq!(log.apps().unwrap(), ["a", "web", "web-api"].map(app));
        assert_eq!(log.load(&app("none")).unwrap(), Loaded::default());
    }

    #[test]
    fn a_number_is_given_once_and_none_is_left_out() {
        let (store, log) = log();
        let web = app("web");
        let append = |seq, lease| log.append(&web, seq, lease, b"x");
        assert!(matches!(append(2, LEASE), Err(Error::Conflict(_))));
        assert!(matches!(append(0, LEASE), Err(Error::Conflict(_))));
        append(1, LEASE).unwrap();
        assert!(matches!(append(1, LEASE), Err(Error::Conflict(_))));
        let newer = store.take_lease().unwrap();
        assert!(matches!(append(2, LEASE), Err(Error::LeaseLost { .. })));
        append(2, newer).unwrap();
        assert_eq!(log.load(&web).unwrap().last(), 2);
    }

    #[test]
    fn a_snapshot_stands_for_the_events_up_to_it() {
        let (_, log) = log();
        let web = app("web");
        assert!(matches!(log.snapshot(&web, 1, LEASE, b"s"), Err(Error::Conflict(_))));
        fill(&log, &web, 1, SNAPSHOT_EVERY);
        assert!(Log::snapshot_is_due(SNAPSHOT_EVERY) && !Log::snapshot_is_due(0));
        log.snapshot(&web, SNAPSHOT_EVERY, LEASE, b"fold").unwrap();
        let loaded = log.load(&web).unwrap();
        assert_eq!((loaded.last(), loaded.events.len()), (SNAPSHOT_EVERY, 0));
        fill(&log, &web, SNAPSHOT_EVERY + 1, SNAPSHOT_EVERY + 2);
        let loaded = log.load(&web).unwrap();
        assert_eq!(loaded.snapshot, Some((SNAPSHOT_EVERY, b"fold".to_vec())));
        assert_eq!((loaded.last(), loaded.events.len()), (SNAPSHOT_EVERY + 2, 2));
        assert_eq!(log.events(&web, 0).unwrap().len(), 1_002, "the history is still there");
    }

    #[test]
    fn trimming_leaves_what_a_start_and_the_next_append_need() {
        let (_, log) = log();
        let web = app("web");
        fill(&log, &web, 1, 2_500);
        log.trim(&web, 0, LEASE).unwrap();
        assert_eq!(log.events(&web, 0).unwrap().len(), 2_500, "no snapshot, no trimming");
        log.snapshot(&web, 2_500, LEASE, b"fold").unwrap();
        log.trim(&web, 100, LEASE).unwrap();
        assert_eq!(log.events(&web, 0).unwrap()[0].0, 2_401);
        log.trim(&web, 0, LEASE).unwrap();
        assert_eq!(log.events(&web, 0).unwrap().len(), 1);
        fill(&log, &web, 2_501, 2_501);
        assert_eq!(log.load(&web).unwrap().last(), 2_501);
    }

    #[test]
    fn a_gap_and_an_unknown_format_are_named() {
        let (store, log) = log();
        let web = app("web");
        fill(&log, &web, 1, 5);
        let newer = Batch::new(LEASE).put(Table::Event, event_key(&web, 4), "\x7f…");
        store.commit(newer).unwrap();
        let error = log.load(&web).unwrap_err().to_string();
        assert!(error.contains("event 4 of `web`: is of a format"), "{error}");
        store.commit(Batch::new(LEASE).delete(Table::Event, event_key(&web, 4))).unwrap();
        let error = log.load(&web).unwrap_err().to_string();
        assert!(error.contains("event 4 of `web`: is missing"), "{error}");
        let gone = Batch::new(LEASE).delete(Table::Event, event_key(&web, 5));
        store.commit(gone.delete(Table::Event, event_key(&web, 1))).unwrap();
        let error = log.load(&web).unwrap_err().to_string();
        assert!(error.contains("event 1 of `web`: is missing"), "{error}");
    }

    #[test]
    fn a_log_on_disk_goes_on_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let web = app("web");
        for start in [1, 51] {
            let store = Arc::new(SledStore::open(dir.path()).unwrap());
            let lease = store.take_lease().unwrap();
            let log = Log::new(store);
            for seq in start..start + 50 {
                log.append(&web, seq, lease, &[7; 6_000]).unwrap();
            }
            log.snapshot(&web, start + 9, lease, &vec![1; 100_000]).unwrap();
            let loaded = log.load(&web).unwrap();
            assert_eq!((loaded.last(), loaded.events.len()), (start + 49, 40));
        }
    }
}

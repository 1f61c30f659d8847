//! The one thread that writes: takes what waits, checks guards and lease in the order of arrival, writes
//! all of it as one group, then answers.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use model::LeaseEpoch;

use crate::store::{Batch, Error, Guard, Table};

use super::{
    Shared,
    rows::{Changes, Entry, Rows},
    seal::Tag,
    value::{Prepared, piece_key, prepare, row_key},
};

/// Writes that may wait. Each holds a blocked thread, of which the runtime has 512; twice that is never
/// reached by a healthy hub.
const QUEUE_MAX: usize = 1024;

/// Most writes of one group: 256 shared one sync at 150,000 a second when measured; more would only add
/// to the wait of the first.
const GROUP_MAX: usize = 256;

/// A group takes no further write once it has so many bytes: two of the largest batches.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// What a caller wants.
pub(super) enum Ask {
    /// See [`Ask::commit`].
    Commit(Sealed),
    /// A lease higher than any before and than `above`.
    Lease { above: LeaseEpoch },
}

/// A batch, sealed on its caller's thread.
pub(super) struct Sealed {
    lease: Option<LeaseEpoch>,
    guards: Vec<(Table, Vec<u8>, Condition)>,
    puts: Vec<(Vec<u8>, Prepared)>,
    deletes: Vec<Vec<u8>>,
    bytes: usize,
}

enum Condition {
    Absent,
    Present,
    /// A value is the same when its seal is.
    Equals(Tag),
}

/// A wish and where to answer.
pub(super) struct Job {
    ask: Ask,
    answer: SyncSender<Result<LeaseEpoch, Error>>,
}

/// The other end of a job.
pub(super) struct Waiting(Receiver<Result<LeaseEpoch, Error>>);

pub(super) enum Answer {
    Ready(Result<LeaseEpoch, Error>),
    Late,
    Gone,
}

impl Ask {
    /// Seals everything, so that the writer has no hashing to do.
    pub(super) fn commit(batch: Batch) -> Ask {
        let bytes = batch.puts.iter().map(|(_, key, value)| key.len() + value.len()).sum();
        let guard = |guard| match guard {
            Guard::Absent(table, key) => (table, row_key(table, &key), Condition::Absent),
            Guard::Present(table, key) => (table, row_key(table, &key), Condition::Present),
            Guard::Equals(table, key, value) => {
                let key = row_key(table, &key);
                let tag = prepare(&key, &value).main.tag;
                (table, key, Condition::Equals(tag))
            }
        };
        let put = |(table, key, value): (Table, Vec<u8>, Vec<u8>)| {
            let key = row_key(table, &key);
            let prepared = prepare(&key, &value);
            (key, prepared)
        };
        Ask::Commit(Sealed {
            lease: batch.lease,
            guards: batch.guards.into_iter().map(guard).collect(),
            puts: batch.puts.into_iter().map(put).collect(),
            deletes: batch.deletes.iter().map(|(table, key)| row_key(*table, key)).collect(),
            bytes,
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Ask::Commit(sealed) => sealed.bytes,
            Ask::Lease { .. } => 0,
        }
    }
}

impl Job {
    pub(super) fn new(ask: Ask) -> (Job, Waiting) {
        let (answer, waiting) = sync_channel(1);
        (Job { ask, answer }, Waiting(waiting))
    }
}

impl Waiting {
    pub(super) fn recv_timeout(&self, wait: Duration) -> Answer {
        match self.0.recv_timeout(wait) {
            Ok(result) => Answer::Ready(result),
            Err(RecvTimeoutError::Timeout) => Answer::Late,
            Err(RecvTimeoutError::Disconnected) => Answer::Gone,
        }
    }
}

/// Starts the thread; it ends when the queue is dropped.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<(SyncSender<Job>, JoinHandle<()>)> {
    let (queue, jobs) = sync_channel(QUEUE_MAX);
    let builder = thread::Builder::new().name("store-writer".to_owned());
    Ok((queue, builder.spawn(move || run(&shared, &jobs))?))
}

fn run(shared: &Shared, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut bytes = first.ask.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.ask.bytes();
            group.push(job);
        }
        let (asks, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.ask, job.answer)).unzip();
        let results = write(&mut shared.write(), asks);
        for (answer, result) in answers.into_iter().zip(results) {
            // a caller that gave up waiting is not there to hear it
            let _heard = answer.send(result);
        }
    }
}

/// One group: an answer for each wish.
fn write(rows: &mut Rows, asks: Vec<Ask>) -> Vec<Result<LeaseEpoch, Error>> {
    let mut draft = Draft { rows, changes: Changes::new(), lease: rows.lease() };
    let results: Vec<_> = asks.into_iter().map(|ask| draft.take(ask)).collect();
    let Draft { changes, lease, .. } = draft;
    if changes.is_empty() && lease == rows.lease() {
        return results;
    }
    match rows.write(changes, lease) {
        Ok(()) => results,
        Err(error) => results.into_iter().map(|result| result.and(Err(copy(&error)))).collect(),
    }
}

/// A group in the making: what the rows would be.
struct Draft<'a> {
    rows: &'a Rows,
    changes: Changes,
    lease: LeaseEpoch,
}

impl Draft<'_> {
    fn entry(&self, key: &[u8]) -> Option<Entry> {
        match self.changes.get(key) {
            Some(change) => change.as_ref().map(|(entry, _)| *entry),
            None => self.rows.entry(key),
        }
    }

    fn take(&mut self, ask: Ask) -> Result<LeaseEpoch, Error> {
        match ask {
            Ask::Lease { above } => {
                self.lease = LeaseEpoch(self.lease.max(above).0 + 1);
            }
            Ask::Commit(batch) => self.commit(batch)?,
        }
        Ok(self.lease)
    }

    fn commit(&mut self, batch: Sealed) -> Result<(), Error> {
        if let Some(ours) = batch.lease
            && ours < self.lease
        {
            return Err(Error::LeaseLost { ours, newest: self.lease });
        }
        for (table, key, condition) in &batch.guards {
            let holds = match (condition, self.entry(key)) {
                (Condition::Absent, None) | (Condition::Present, Some(_)) => true,
                (Condition::Equals(tag), Some(entry)) => entry.tag == *tag,
                _ => false,
            };
            if !holds {
                return Err(Error::Conflict(*table));
            }
        }
        for (key, value) in batch.puts {
            self.put(key, value);
        }
        for key in batch.deletes {
            self.delete(key);
        }
        Ok(())
    }

    fn put(&mut self, key: Vec<u8>, Prepared { main, pieces }: Prepared) {
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        self.drop_pieces(&key, count);
        for (i, piece) in (0..).zip(pieces) {
            let entry = Entry { tag: piece.tag, pieces: 0 };
            self.changes.insert(piece_key(&key, i), Some((entry, piece.raw)));
        }
        let entry = Entry { tag: main.tag, pieces: count };
        self.changes.insert(key, Some((entry, main.raw)));
    }

    fn delete(&mut self, key: Vec<u8>) {
        if self.entry(&key).is_some() {
            self.drop_pieces(&key, 0);
            self.changes.insert(key, None);
        }
    }

    /// Removes the pieces of the value that is there, from number `keep` on.
    fn drop_pieces(&mut self, key: &[u8], keep: u32) {
        let there = self.entry(key).map_or(0, |entry| entry.pieces);
        for i in keep..there {
            self.changes.insert(piece_key(key, i), None);
        }
    }
}

/// One fault of the disk, told to each caller of the group.
fn copy(error: &Error) -> Error {
    match error {
        Error::Io(error) => Error::Io(io::Error::new(error.kind(), error.to_string())),
        Error::Corrupt { place, what } => {
            Error::Corrupt { place: place.clone(), what: what.clone() }
        }
        Error::Locked => Error::Locked,
        Error::Conflict(table) => Error::Conflict(*table),
        Error::LeaseLost { ours, newest } => Error::LeaseLost { ours: *ours, newest: *newest },
        Error::TooLarge { table, bytes, max } => {
            Error::TooLarge { table: *table, bytes: *bytes, max: *max }
        }
    }
}

//! What is to be told, to whom, and how often it was tried: durable rows over the store, one for each (commit, App).
//!
//! What the rows say can be worked out again from decided state; they are kept so that a status that was begun is
//! also ended, whatever dies in between.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use model::{AppName, Commit, LeaseEpoch, SourceName};
use serde::{Deserialize, Serialize};

use super::words::{Fate, Told, Word};
use crate::{
    source::{Answer, dice, pause},
    store::{self, Batch, Store, Table},
};

/// What keys begin with, in [`Table::Meta`].
const PREFIX: &[u8] = b"commit-status\0";

/// Rows of one App: the newest commit, and those before it that are still to be told.
const ROWS_PER_APP_MAX: usize = 8;

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// Tries that fail for want of a server: at the longest pause three hours, longer than a forge is down.
const TRIES_MAX: u32 = 24;

/// Tries that the forge refuses: it does not change its mind, but a person may mend the token.
const REFUSALS_MAX: u32 = 3;

/// Whose status it is.
pub(super) type Key = (SourceName, AppName, Commit);

/// One status and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    v: u32,
    pub(super) source: SourceName,
    pub(super) app: AppName,
    pub(super) commit: Commit,
    pub(super) want: Told,
    /// What the forge has taken.
    pub(super) sent: Option<Told>,
    /// Tries since the forge last took one.
    pub(super) tries: u32,
    /// Of these, those that the forge refused.
    pub(super) refusals: u32,
    /// Not before.
    pub(super) next: Timestamp,
    /// Why the last try failed.
    pub(super) error: Option<String>,
    /// No more tries until there is something else to say.
    pub(super) gave_up: bool,
    /// When the row was begun: the newest is shown.
    pub(super) since: Timestamp,
}

impl Row {
    fn key(&self) -> Key {
        (self.source.clone(), self.app.clone(), self.commit.clone())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        !self.gave_up && self.sent.as_ref() != Some(&self.want) && self.next <= now
    }

    fn is_over(&self) -> bool {
        let told = self.sent.as_ref() == Some(&self.want);
        (told || self.gave_up) && self.want.fate != Fate::Pending
    }
}

/// All rows.
#[derive(Debug)]
pub(super) struct Outbox {
    store: Arc<dyn Store>,
    lease: LeaseEpoch,
    /// Shortest time between two words about one commit that differ in their numbers only.
    quiet: Duration,
    rows: Mutex<BTreeMap<Key, Row>>,
}

impl Outbox {
    /// Reads what an earlier hub left. A row that cannot be read is left out: it is worked out again.
    pub(super) fn open(
        store: Arc<dyn Store>,
        lease: LeaseEpoch,
        quiet: Duration,
    ) -> Result<Outbox, store::Error> {
        let rows = store.scan(Table::Meta, PREFIX)?;
        let rows =
            rows.into_iter().filter_map(|(_, bytes)| serde_json::from_slice::<Row>(&bytes).ok());
        let rows = rows.map(|row| (row.key(), row)).collect();
        Ok(Outbox { store, lease, quiet, rows: Mutex::new(rows) })
    }

    /// Takes what is to be said of one App. Blocks on the disk when something begins or ends.
    pub(super) fn take(
        &self,
        source: &SourceName,
        app: &AppName,
        words: Vec<Word>,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let mut rows = self.rows();
        let mut batch = Batch::new(self.lease);
        for Word { commit, told, fresh } in words {
            let key = (source.clone(), app.clone(), commit.clone());
            match rows.get_mut(&key) {
                Some(row) if row.want == told => {}
                Some(row) => {
                    let turn = row.want.fate != told.fate;
                    row.want = told;
                    if turn {
                        (row.gave_up, row.next) = (false, row.next.min(now));
                        batch = batch.put(Table::Meta, name(&key), encode(row));
                    }
                }
                None if fresh => {
                    let (source, app) = (source.clone(), app.clone());
                    let row = Row {
                        v: 1,
                        source,
                        app,
                        commit,
                        want: told,
                        sent: None,
                        tries: 0,
                        refusals: 0,
                        next: now,
                        error: None,
                        gave_up: false,
                        since: now,
                    };
                    batch = batch.put(Table::Meta, name(&key), encode(&row));
                    rows.insert(key, row);
                }
                None => {}
            }
        }
        for key in surplus(&rows, source, app) {
            rows.remove(&key);
            batch = batch.delete(Table::Meta, name(&key));
        }
        if batch.puts.is_empty() && batch.deletes.is_empty() {
            Ok(())
        } else {
            self.store.commit(batch)
        }
    }

    /// Forgets what is no longer asked for. Blocks.
    pub(super) fn keep(&self, wanted: impl Fn(&SourceName) -> bool) -> Result<(), store::Error> {
        let mut rows = self.rows();
        let gone: Vec<Key> = rows.keys().filter(|(source, ..)| !wanted(source)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        let batch = gone
            .iter()
            .fold(Batch::new(self.lease), |batch, key| batch.delete(Table::Meta, name(key)));
        rows.retain(|key, _| !gone.contains(key));
        self.store.commit(batch)
    }

    /// What is to be sent now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Row> {
        self.rows().values().filter(|row| row.is_due(now)).cloned().collect()
    }

    /// Remembers what became of a try. Blocks.
    pub(super) fn done(
        &self,
        row: &Row,
        answer: &Answer,
        judged: Verdict,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let mut rows = self.rows();
        let Some(kept) = rows.get_mut(&row.key()) else { return Ok(()) };
        let wait = match judged {
            Verdict::Taken => {
                (kept.sent, kept.tries, kept.refusals, kept.error) =
                    (Some(row.want.clone()), 0, 0, None);
                self.quiet
            }
            Verdict::Refused | Verdict::Later => {
                kept.tries += 1;
                kept.refusals += u32::from(judged == Verdict::Refused);
                kept.gave_up = kept.tries >= TRIES_MAX || kept.refusals >= REFUSALS_MAX;
                let code = answer.code.map(|code| format!("{code} ")).unwrap_or_default();
                kept.error = Some(format!("{code}{}", answer.words));
                answer.pause.unwrap_or_default().max(pause(kept.tries, PAUSE_MAX, dice()))
            }
        };
        kept.next = now.checked_add(wait).unwrap_or(now);
        let batch = Batch::new(self.lease).put(Table::Meta, name(&row.key()), encode(kept));
        self.store.commit(batch)
    }

    /// The newest row of an App.
    pub(super) fn newest(&self, app: &AppName) -> Option<Row> {
        let rows = self.rows();
        rows.values().filter(|row| row.app == *app).max_by_key(|row| row.since).cloned()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Key, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The forge has it.
    Taken,
    /// The forge says no.
    Refused,
    /// It may work later.
    Later,
}

/// Rows that nobody needs: over, with a newer one of the same App; or too many.
fn surplus(rows: &BTreeMap<Key, Row>, source: &SourceName, app: &AppName) -> Vec<Key> {
    let mut own: Vec<&Row> =
        rows.values().filter(|row| row.source == *source && row.app == *app).collect();
    own.sort_by_key(|row| std::cmp::Reverse(row.since));
    let old = own.iter().enumerate().skip(1);
    old.filter(|(n, row)| row.is_over() || *n >= ROWS_PER_APP_MAX)
        .map(|(_, row)| row.key())
        .collect()
}

fn name((source, app, commit): &Key) -> Vec<u8> {
    [PREFIX, format!("{source}\0{app}\0{commit}").as_bytes()].concat()
}

fn encode(row: &Row) -> Vec<u8> {
    serde_json::to_vec(row).expect("texts and numbers always serialise")
}

//! The store in a map: for tests and for looking at a rollout without a disk. Forgets all at the end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::LeaseEpoch;

use super::{Batch, Error, Guard, Row, Store, Table, check_sizes};

/// A store that lives as long as its process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    lease: LeaseEpoch,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent(table, key) => !self.rows.contains_key(&(*table, key.clone())),
            Guard::Present(table, key) => self.rows.contains_key(&(*table, key.clone())),
            Guard::Equals(table, key, value) => {
                self.rows.get(&(*table, key.clone())) == Some(value)
            }
        }
    }
}

impl Store for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state().rows.get(&(table, key.to_vec())).cloned())
    }

    fn scan_from(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let state = self.state();
        let rows = state.rows.range((table, from.max(prefix).to_vec())..);
        let rows = rows.take_while(|((t, key), _)| *t == table && key.starts_with(prefix));
        Ok(rows.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        check_sizes(&batch)?;
        let mut state = self.state();
        if let Some(ours) = batch.lease
            && ours < state.lease
        {
            return Err(Error::LeaseLost { ours, newest: state.lease });
        }
        if let Some(guard) = batch.guards.iter().find(|guard| !state.holds(guard)) {
            return Err(Error::Conflict(guard.table()));
        }
        for (table, key, value) in batch.puts {
            state.rows.insert((table, key), value);
        }
        for entry in batch.deletes {
            state.rows.remove(&entry);
        }
        Ok(())
    }

    fn take_lease_above(&self, above: LeaseEpoch) -> Result<LeaseEpoch, Error> {
        let mut state = self.state();
        state.lease = LeaseEpoch(state.lease.max(above).0 + 1);
        Ok(state.lease)
    }

    fn newest_lease(&self) -> Result<LeaseEpoch, Error> {
        Ok(self.state().lease)
    }
}

//! Sources: add, delete, list.

use std::{collections::BTreeMap, sync::Arc};

use model::SourceName;

use crate::store::{Guard, Table};

use super::{Error, Registry, SourceRecord, lock, record};

impl Registry {
    /// All sources as they are now.
    pub fn sources(&self) -> Arc<BTreeMap<SourceName, SourceRecord>> {
        self.read().sources.clone()
    }

    /// Adds a source; refused when the name is taken.
    pub fn add_source(&self, source: SourceRecord) -> Result<(), Error> {
        let _names = lock(&self.0.names);
        if self.read().sources.contains_key(&source.name) {
            return Err(Error::AlreadyExists { kind: "source", name: source.name.to_string() });
        }
        let key = source.name.as_str().as_bytes();
        let batch = self.batch().guard(Guard::Absent(Table::Source, key.to_vec()));
        self.0.store.commit(batch.put(Table::Source, key, record::encode(&source)))?;
        Arc::make_mut(&mut self.write().sources).insert(source.name.clone(), source);
        self.tell();
        Ok(())
    }

    /// Forgets a source. What came from it stays on the clusters.
    pub fn delete_source(&self, name: &SourceName) -> Result<SourceRecord, Error> {
        let _names = lock(&self.0.names);
        let not_found = || Error::NotFound { kind: "source", name: name.to_string() };
        let source = self.read().sources.get(name).cloned().ok_or_else(not_found)?;
        self.0.store.commit(self.batch().delete(Table::Source, name.as_str().as_bytes()))?;
        Arc::make_mut(&mut self.write().sources).remove(name);
        self.tell();
        Ok(source)
    }
}

//! Clusters: add, change, delete, and the two steps of a certificate (pending, active).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Labels};

use crate::store::{self, Batch, Guard, Table};

use super::{
    ClusterRecord, ClusterState, Error, NewToken, Registry, TRIES_MAX, TokenRecord, TokenState,
    lock, record,
};

impl Registry {
    /// All clusters as they are now.
    pub fn clusters(&self) -> Arc<BTreeMap<ClusterUid, ClusterRecord>> {
        self.read().clusters.clone()
    }

    /// One cluster.
    pub fn cluster(&self, uid: &ClusterUid) -> Option<ClusterRecord> {
        self.read().clusters.get(uid).cloned()
    }

    /// One cluster, by the name it has now.
    pub fn cluster_named(&self, name: &ClusterName) -> Option<ClusterRecord> {
        let cache = self.read();
        cache.by_name.get(name).and_then(|uid| cache.clusters.get(uid)).cloned()
    }

    /// Adds a cluster together with the token by which it joins; both or neither.
    pub fn add_cluster(
        &self,
        name: ClusterName,
        labels: Labels,
        token: NewToken,
        now: Timestamp,
    ) -> Result<ClusterRecord, Error> {
        let _names = lock(&self.0.names);
        if self.read().by_name.contains_key(&name) {
            return Err(Error::AlreadyExists { kind: "cluster", name: name.to_string() });
        }
        self.room_for_a_token(now)?;
        let cluster = ClusterRecord {
            uid: new_uid(),
            name,
            labels,
            state: ClusterState::Pending,
            active_serial: None,
            pending_serial: None,
            recovery_key: None,
            join_seq: 0,
            recovered_key: None,
            recoveries: Vec::new(),
            not_after: None,
            created_at: now,
            sessions: 0,
            cordon: None,
            pins: BTreeMap::new(),
        };
        let token = token.record(cluster.uid.clone(), now);
        let batch = put_cluster(self.batch(), &cluster)
            .guard(Guard::Absent(Table::Cluster, key(&cluster.uid)))
            .guard(Guard::Absent(Table::Token, token.id.to_vec()))
            .put(Table::Token, token.id, record::encode(&token));
        self.0.store.commit(batch)?;
        let mut cache = self.write();
        cache.tokens.insert(token.id, token);
        cache.by_name.insert(cluster.name.clone(), cluster.uid.clone());
        Arc::make_mut(&mut cache.clusters).insert(cluster.uid.clone(), cluster.clone());
        drop(cache);
        self.tell();
        Ok(cluster)
    }

    /// Replaces the labels of a cluster.
    pub fn set_labels(&self, uid: &ClusterUid, labels: &Labels) -> Result<ClusterRecord, Error> {
        self.update_cluster(uid, |cluster| cluster.labels.clone_from(labels))
    }

    /// Forgets a cluster and its tokens. Adding the same name again makes another cluster.
    pub fn delete_cluster(&self, uid: &ClusterUid) -> Result<ClusterRecord, Error> {
        let _shard = self.shard(uid);
        let cluster = self.cluster(uid).ok_or_else(|| not_found(uid))?;
        let tokens: Vec<_> = self.tokens_of(uid).into_iter().map(|token| token.id).collect();
        let batch = self.batch().delete(Table::Cluster, key(uid));
        let batch = tokens.iter().fold(batch, |batch, id| batch.delete(Table::Token, *id));
        self.0.store.commit(batch)?;
        let mut cache = self.write();
        cache.tokens.retain(|id, _| !tokens.contains(id));
        cache.by_name.remove(&cluster.name);
        Arc::make_mut(&mut cache.clusters).remove(uid);
        drop(cache);
        self.tell();
        Ok(cluster)
    }

    /// Changes a cluster. `change` sees the newest record and may run more than once; uid and name stay
    /// what they are. Writes nothing when it changes nothing.
    pub fn update_cluster(
        &self,
        uid: &ClusterUid,
        change: impl Fn(&mut ClusterRecord),
    ) -> Result<ClusterRecord, Error> {
        let _shard = self.shard(uid);
        self.change_cluster(uid, |cluster, batch| {
            change(cluster);
            Ok(batch)
        })
    }

    /// The epoch of a new session of a cluster: higher than any before, also across restarts.
    pub fn next_session(&self, uid: &ClusterUid) -> Result<u64, Error> {
        Ok(self.update_cluster(uid, |cluster| cluster.sessions += 1)?.sessions)
    }

    /// A certificate was used. The first use of the pending one makes it the active one (the former is
    /// refused from then on), its token used, and a pending cluster active. Any serial but these two
    /// is an error.
    pub fn activate(&self, uid: &ClusterUid, serial: &[u8]) -> Result<ClusterRecord, Error> {
        // the usual connection: nothing to write, nobody to wait for
        if let Some(cluster) = self.cluster(uid)
            && cluster.state != ClusterState::Revoked
            && cluster.active_serial.as_deref() == Some(serial)
        {
            return Ok(cluster);
        }
        let _shard = self.shard(uid);
        let used: Vec<_> = self.tokens_of(uid).into_iter().filter_map(TokenRecord::used).collect();
        let mut promoted = false;
        let cluster = self.change_cluster(uid, |cluster, mut batch| {
            if cluster.state == ClusterState::Revoked {
                return Err(Error::Revoked(cluster.name.clone()));
            }
            promoted = cluster.pending_serial.as_deref() == Some(serial);
            if !promoted {
                let active = cluster.active_serial.as_deref() == Some(serial);
                let serial = hex::encode(serial);
                let fault = || Error::NotCurrent { cluster: cluster.name.clone(), serial };
                return if active { Ok(batch) } else { Err(fault()) };
            }
            cluster.active_serial = cluster.pending_serial.take();
            if cluster.state == ClusterState::Pending {
                cluster.state = ClusterState::Active;
            }
            for token in &used {
                batch = batch.put(Table::Token, token.id, record::encode(token));
            }
            Ok(batch)
        })?;
        if promoted {
            self.write().tokens.extend(used.into_iter().map(|token| (token.id, token)));
        }
        Ok(cluster)
    }

    /// One compare-and-set of a cluster, with whatever `change` adds to the batch. The caller holds the
    /// cluster's lock.
    pub(super) fn change_cluster(
        &self,
        uid: &ClusterUid,
        mut change: impl FnMut(&mut ClusterRecord, Batch) -> Result<Batch, Error>,
    ) -> Result<ClusterRecord, Error> {
        let mut tries = 0;
        loop {
            let bytes = self.0.store.get(Table::Cluster, &key(uid))?;
            let bytes = bytes.ok_or_else(|| not_found(uid))?;
            let before: ClusterRecord = record::decode(Table::Cluster, &key(uid), &bytes)?;
            let mut after = before.clone();
            let batch = change(&mut after, self.batch())?;
            after.uid.clone_from(&before.uid);
            after.name.clone_from(&before.name);
            if after == before && batch.puts.is_empty() {
                return Ok(after);
            }
            let batch =
                put_cluster(batch, &after).guard(Guard::Equals(Table::Cluster, key(uid), bytes));
            tries += 1;
            match self.0.store.commit(batch) {
                Ok(()) => {
                    let mut cache = self.write();
                    Arc::make_mut(&mut cache.clusters).insert(uid.clone(), after.clone());
                    drop(cache);
                    self.tell();
                    return Ok(after);
                }
                Err(store::Error::Conflict(_)) if tries < TRIES_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl TokenRecord {
    /// The token after its certificate was used; `None` when it led to none.
    fn used(mut self) -> Option<TokenRecord> {
        let TokenState::Bound { spki, recovery, .. } = self.state else { return None };
        self.state = TokenState::Used { spki, recovery };
        Some(self)
    }
}

fn new_uid() -> ClusterUid {
    let uuid = uuid::Uuid::new_v4().as_hyphenated().to_string();
    ClusterUid::parse(&uuid).expect("a hyphenated lower-case UUID is a cluster uid")
}

fn key(uid: &ClusterUid) -> Vec<u8> {
    uid.to_string().into_bytes()
}

fn not_found(uid: &ClusterUid) -> Error {
    Error::NotFound { kind: "cluster", name: uid.to_string() }
}

fn put_cluster(batch: Batch, cluster: &ClusterRecord) -> Batch {
    batch.put(Table::Cluster, key(&cluster.uid), record::encode(cluster))
}

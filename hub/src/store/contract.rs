//! What every store must hold; one set of tests, run against each.

use std::{collections::BTreeMap, path::Path, sync::Arc, thread};

use model::LeaseEpoch;
use proptest::prelude::*;

use super::{
    BATCH_BYTES_MAX, Batch, Error, Guard, KEY_BYTES_MAX, Memory, SledStore, Store, Table,
    VALUE_BYTES_MAX,
};

const LEASE: LeaseEpoch = LeaseEpoch(1);

fn batch() -> Batch {
    Batch::new(LEASE)
}

fn key(table: Table, key: &str) -> (Table, Vec<u8>) {
    (table, key.as_bytes().to_vec())
}

fn get(store: &dyn Store, key: &str) -> Option<Vec<u8>> {
    store.get(Table::Cluster, key.as_bytes()).unwrap()
}

fn what_was_put_is_there_and_what_was_deleted_is_not(store: &dyn Store) {
    assert_eq!(get(store, "a"), None);
    store.commit(batch().put(Table::Cluster, "a", "1").put(Table::Cluster, "b", "")).unwrap();
    store.commit(batch().put(Table::Cluster, "a", "2").delete(Table::Cluster, "c")).unwrap();
    assert_eq!(get(store, "a"), Some(b"2".to_vec()));
    assert_eq!(get(store, "b"), Some(Vec::new()), "an empty value is a value");
    assert_eq!(store.get(Table::Token, b"a").unwrap(), None, "tables are apart");
    store.commit(batch().delete(Table::Cluster, "a").delete(Table::Cluster, "b")).unwrap();
    assert_eq!(store.scan(Table::Cluster, b"").unwrap(), []);
}

fn in_a_batch_the_last_put_holds_and_a_delete_over_it(store: &dyn Store) {
    let twice = batch().put(Table::Cluster, "a", "1").put(Table::Cluster, "a", "2");
    store.commit(twice).unwrap();
    assert_eq!(get(store, "a"), Some(b"2".to_vec()));
    store.commit(batch().delete(Table::Cluster, "a").put(Table::Cluster, "a", "3")).unwrap();
    assert_eq!(get(store, "a"), None);
}

fn a_guard_that_does_not_hold_refuses_all_of_the_batch(store: &dyn Store) {
    store.commit(batch().put(Table::Cluster, "a", "1")).unwrap();
    let (t, a) = key(Table::Cluster, "a");
    let b = b"b".to_vec();
    let refused = [
        Guard::Absent(t, a.clone()),
        Guard::Present(t, b.clone()),
        Guard::Equals(t, a.clone(), b"2".to_vec()),
        Guard::Equals(t, b.clone(), Vec::new()),
    ];
    for guard in refused {
        let batch = batch().put(Table::Token, "x", "1").delete(t, "a").guard(guard.clone());
        let error = store.commit(batch).unwrap_err();
        assert!(matches!(error, Error::Conflict(Table::Cluster)), "{guard:?}: {error}");
    }
    assert_eq!(store.get(Table::Token, b"x").unwrap(), None);
    assert_eq!(get(store, "a"), Some(b"1".to_vec()));
    let accepted =
        [Guard::Absent(t, b), Guard::Present(t, a.clone()), Guard::Equals(t, a, b"1".to_vec())];
    store.commit(accepted.into_iter().fold(batch(), Batch::guard)).unwrap();
}

fn only_the_newest_lease_writes(store: &dyn Store) {
    let first = store.take_lease().unwrap();
    store.commit(Batch::new(first).put(Table::Cluster, "a", "1")).unwrap();
    let second = store.take_lease().unwrap();
    assert!(second > first);
    assert_eq!(store.newest_lease().unwrap(), second);
    let error = store.commit(Batch::new(first).put(Table::Cluster, "a", "2")).unwrap_err();
    assert!(
        matches!(error, Error::LeaseLost { ours, newest } if ours == first && newest == second),
        "{error}"
    );
    assert_eq!(get(store, "a"), Some(b"1".to_vec()));
    store.commit(Batch::new(second).put(Table::Cluster, "a", "3")).unwrap();
    let third = store.take_lease_above(LeaseEpoch(100)).unwrap();
    assert_eq!(third, LeaseEpoch(101));
    assert_eq!(store.take_lease_above(LeaseEpoch(5)).unwrap(), LeaseEpoch(102));
}

fn a_scan_is_sorted_and_stays_within_its_prefix_and_table(store: &dyn Store) {
    let keys: [&[u8]; 7] = [b"web\0\x02", b"web", b"web\0\x01", b"we", b"web\xff", b"web\0", b"x"];
    let all = keys.iter().fold(batch(), |batch, key| batch.put(Table::Event, *key, *key));
    store.commit(all.put(Table::Meta, "web\0", "m").put(Table::Snapshot, "web\0", "s")).unwrap();
    let scan = |prefix: &[u8], from: &[u8], limit| {
        let rows = store.scan_from(Table::Event, prefix, from, limit).unwrap();
        assert!(rows.iter().all(|(key, value)| key == value));
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let web: [&[u8]; 3] = [b"web\0", b"web\0\x01", b"web\0\x02"];
    assert_eq!(scan(b"web\0", b"", usize::MAX), web);
    assert_eq!(scan(b"web\0", b"web\0\x01", usize::MAX), web[1..]);
    assert_eq!(scan(b"web\0", b"", 2), web[..2]);
    assert_eq!(scan(b"web\0", b"x", usize::MAX), web[..0]);
    assert_eq!(scan(b"", b"", usize::MAX).len(), keys.len());
    assert_eq!(store.scan(Table::Event, b"web\0").unwrap().len(), 3);
}

fn values_of_any_size_up_to_the_limit_come_back_whole(store: &dyn Store) {
    let value = |bytes: usize| (0..=250_u8).cycle().take(bytes).collect::<Vec<_>>();
    let sizes = [1, 4095, 4096, 4097, 8192, 70_000, 1 << 20, 4097, 0, 9000];
    for bytes in sizes {
        let put = batch().put(Table::Snapshot, "big", value(bytes)).put(Table::Meta, "m", "1");
        store.commit(put).unwrap();
        assert_eq!(store.get(Table::Snapshot, b"big").unwrap(), Some(value(bytes)), "{bytes}");
        assert_eq!(store.scan(Table::Snapshot, b"").unwrap().len(), 1, "pieces do not show");
    }
    let same = Guard::Equals(Table::Snapshot, b"big".to_vec(), value(9000));
    store.commit(batch().guard(same)).unwrap();
    let other = Guard::Equals(Table::Snapshot, b"big".to_vec(), value(9001));
    assert!(matches!(store.commit(batch().guard(other)), Err(Error::Conflict(_))));
    store.commit(batch().delete(Table::Snapshot, "big")).unwrap();
    assert_eq!(store.get(Table::Snapshot, b"big").unwrap(), None);
}

fn what_is_too_large_is_refused(store: &dyn Store) {
    let refused = |batch: Batch| matches!(store.commit(batch), Err(Error::TooLarge { .. }));
    assert!(refused(batch().put(Table::Meta, "big", vec![0; VALUE_BYTES_MAX + 1])));
    assert!(refused(batch().put(Table::Meta, vec![0; KEY_BYTES_MAX + 1], "")));
    let half = vec![0; BATCH_BYTES_MAX / 2];
    assert!(refused(batch().put(Table::Meta, "a", half.clone()).put(Table::Meta, "b", half)));
    assert_eq!(store.scan(Table::Meta, b"").unwrap(), []);
    let longest = vec![0xfe; KEY_BYTES_MAX];
    store.commit(batch().put(Table::Meta, longest.clone(), vec![7; VALUE_BYTES_MAX])).unwrap();
    let back = store.get(Table::Meta, &longest).unwrap().unwrap();
    assert!(back.len() == VALUE_BYTES_MAX && back.iter().all(|b| *b == 7));
}

fn of_many_that_race_for_a_key_exactly_one_wins(store: &dyn Store) {
    let wins = thread::scope(|scope| {
        let race = |i: u8| {
            let free = Guard::Absent(Table::Event, b"web\x01".to_vec());
            store.commit(batch().guard(free).put(Table::Event, "web\x01", [i])).is_ok()
        };
        let racers: Vec<_> = (0..32).map(|i| scope.spawn(move || race(i))).collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
}

const RULES: [fn(&dyn Store); 8] = [
    what_was_put_is_there_and_what_was_deleted_is_not,
    in_a_batch_the_last_put_holds_and_a_delete_over_it,
    a_guard_that_does_not_hold_refuses_all_of_the_batch,
    only_the_newest_lease_writes,
    a_scan_is_sorted_and_stays_within_its_prefix_and_table,
    values_of_any_size_up_to_the_limit_come_back_whole,
    what_is_too_large_is_refused,
    of_many_that_race_for_a_key_exactly_one_wins,
];

#[test]
fn the_memory_store_holds_the_contract() {
    for rule in RULES {
        rule(&Memory::new());
    }
}

#[test]
fn the_store_on_disk_holds_the_contract() {
    for rule in RULES {
        let dir = tempfile::tempdir().unwrap();
        rule(&SledStore::open(dir.path()).unwrap());
        let blobs = dir.path().join("sled/blobs").read_dir().unwrap().count();
        assert_eq!(blobs, 0, "no value became a file that nobody syncs");
    }
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    Guarded(u8, Option<u16>, u16),
    Lease,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = || prop_oneof![4 => 0..300_u16, 1 => 4000..20_000_u16];
    let step = prop_oneof![
        8 => (0..12_u8, size()).prop_map(|(key, size)| Step::Put(key, size)),
        3 => (0..12_u8).prop_map(Step::Delete),
        3 => (0..12_u8, prop::option::of(size()), size()).prop_map(|(k, g, s)| Step::Guarded(k, g, s)),
        1 => Just(Step::Lease),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// Rows of a table whose keys share a prefix, spread over two tables.
fn place(key: u8) -> (Table, Vec<u8>) {
    let table = if key.is_multiple_of(2) { Table::Event } else { Table::Cluster };
    (table, vec![b'k', 0, key])
}

fn body(size: u16) -> Vec<u8> {
    (0..size).map(|i| (i ^ size).to_be_bytes()[1]).collect()
}

fn turn(step: &Step, lease: LeaseEpoch) -> Batch {
    match step {
        Step::Put(key, size) => {
            let (table, key) = place(*key);
            Batch::new(lease).put(table, key, body(*size))
        }
        Step::Delete(key) => {
            let (table, key) = place(*key);
            Batch::new(lease).delete(table, key)
        }
        Step::Guarded(key, before, size) => {
            let (table, key) = place(*key);
            let guard = match before {
                Some(size) => Guard::Equals(table, key.clone(), body(*size)),
                None => Guard::Absent(table, key.clone()),
            };
            Batch::new(lease).guard(guard).put(table, key, body(*size))
        }
        Step::Lease | Step::Reopen => Batch::new(lease),
    }
}

fn rows(store: &dyn Store) -> BTreeMap<(Table, Vec<u8>), Vec<u8>> {
    let table = |table: Table| {
        store.scan(table, b"").unwrap().into_iter().map(move |(k, v)| ((table, k), v))
    };
    Table::ALL.into_iter().flat_map(table).collect()
}

fn reopen(store: SledStore, dir: &Path) -> SledStore {
    drop(store);
    SledStore::open(dir).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn disk_and_memory_answer_alike_through_any_history(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new();
        let mut disk = SledStore::open(dir.path()).unwrap();
        let mut lease = LeaseEpoch(0);
        for step in &steps {
            let answers = (memory.commit(turn(step, lease)), disk.commit(turn(step, lease)));
            prop_assert_eq!(answers.0.is_ok(), answers.1.is_ok(), "{:?}", step);
            match step {
                Step::Lease => {
                    lease = memory.take_lease().unwrap();
                    prop_assert_eq!(disk.take_lease().unwrap(), lease);
                }
                Step::Reopen => disk = reopen(disk, dir.path()),
                Step::Put(..) | Step::Delete(_) | Step::Guarded(..) => {}
            }
        }
        prop_assert_eq!(rows(&memory), rows(&disk));
        let disk = reopen(disk, dir.path());
        prop_assert_eq!(rows(&memory), rows(&disk));
        prop_assert_eq!(disk.newest_lease().unwrap(), lease);
    }
}

#[test]
fn a_second_opener_is_told_that_the_folder_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    assert!(matches!(SledStore::open(dir.path()), Err(Error::Locked)));
    drop(store);
    SledStore::open(dir.path()).unwrap();
}

#[test]
fn threads_that_commit_at_once_share_groups_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path()).unwrap());
    let write = |thread: u16| {
        let store = store.clone();
        move || {
            for n in 0..50_u16 {
                let key = [thread.to_be_bytes(), n.to_be_bytes()].concat();
                store.commit(Batch::default().put(Table::Event, key, "x")).unwrap();
            }
        }
    };
    let threads: Vec<_> = (0..16).map(|i| thread::spawn(write(i))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let store = reopen(Arc::into_inner(store).unwrap(), dir.path());
    assert_eq!(store.scan(Table::Event, b"").unwrap().len(), 800);
}

//! What a bug of the database would do: rows that change below the guards are found and named.

use super::*;
use crate::store::sled::Disk;

fn fill(dir: &Path) {
    let store = SledStore::open(dir).unwrap();
    for n in 0..40_u8 {
        let table = Table::ALL[usize::from(n) % Table::ALL.len()];
        store.commit(Batch::default().put(table, [n], [n; 50])).unwrap();
    }
    store.commit(Batch::default().put(Table::Snapshot, "web", vec![1; 9_000])).unwrap();
}

/// The first row whose key begins so.
fn row(disk: &Disk, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut found = None;
    let mut take = |key: &[u8], raw: &[u8]| {
        if key.starts_with(prefix) && found.is_none() {
            found = Some((key.to_vec(), raw.to_vec()));
        }
    };
    disk.each(&mut take).unwrap();
    found.unwrap()
}

/// What the next opener hears after `change`.
fn fault(change: impl FnOnce(&Disk)) -> String {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    change(&Disk::open(&dir.path().join("sled")).unwrap());
    SledStore::open(dir.path()).unwrap_err().to_string()
}

#[test]
fn a_record_that_is_gone_is_found_and_its_table_named() {
    let text = fault(|disk| disk.apply(vec![(row(disk, b"token\0").0, None)]).unwrap());
    assert!(text.contains("table token: holds 4 of 5 records: some are missing"), "{text}");
}

#[test]
fn a_record_under_another_key_is_found_and_named() {
    let text = fault(|disk| {
        let (to, _) = row(disk, b"cluster\0");
        disk.apply(vec![(to, Some(row(disk, b"token\0").1))]).unwrap();
    });
    assert!(text.contains(r"cluster `\x01`: was changed"), "{text}");
}

#[test]
fn a_record_that_nobody_wrote_is_found_and_named() {
    let text = fault(|disk| disk.apply(vec![(b"what\0is".to_vec(), Some(vec![1]))]).unwrap());
    assert!(text.contains("what `is`: is cut off"), "{text}");
    let text = fault(|disk| {
        let sealed = seal::seal(b"cluster\0x", seal::Kind::Whole, b"forged");
        disk.apply(vec![(b"cluster\0x".to_vec(), Some(sealed.raw))]).unwrap();
    });
    assert!(text.contains("table cluster: holds 6 records"), "{text}");
}

#[test]
fn a_piece_that_is_gone_is_found_and_its_record_named() {
    let text = fault(|disk| disk.apply(vec![(row(disk, b"~piece\0").0, None)]).unwrap());
    assert!(text.contains("snapshot `web`: lacks piece 1 of 3"), "{text}");
}

#[test]
fn a_head_that_is_gone_is_found() {
    let text = fault(|disk| disk.apply(vec![(value::HEAD_KEY.to_vec(), None)]).unwrap());
    assert!(text.contains("the head of the store: is missing"), "{text}");
}

#[test]
fn an_old_value_is_found_at_open_and_while_running() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    store.commit(Batch::default().put(Table::Source, "fleet", "old")).unwrap();
    let key = value::row_key(Table::Source, b"fleet");
    let behind = |change: Option<Vec<u8>>| {
        let rows = store.shared.read();
        let disk = rows.disk_for_tests();
        let before = disk.get(&key).unwrap();
        disk.apply(vec![(key.clone(), change)]).unwrap();
        before
    };
    let get = || store.get(Table::Source, b"fleet").unwrap_err().to_string();
    let old = behind(None);
    assert!(get().contains("source `fleet`: is missing"), "{}", get());
    store.commit(Batch::default().put(Table::Source, "fleet", "new")).unwrap();
    behind(old);
    assert!(get().contains("source `fleet`: is an older one"), "{}", get());
    drop(store);
    let text = SledStore::open(dir.path()).unwrap_err().to_string();
    assert!(text.contains("table source: holds 1 records that are not the newest"), "{text}");
}

#[test]
fn a_group_that_arrived_but_was_not_acknowledged_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let put = |text: &str, bytes| {
        let batch = Batch::default().put(Table::Snapshot, "web", vec![bytes; 9_000]);
        store.commit(batch.put(Table::Source, text, "").delete(Table::Meta, "m"))
    };
    store.commit(Batch::default().put(Table::Meta, "m", "1")).unwrap();
    put("a", 1).unwrap();
    store.commit(Batch::default().put(Table::Meta, "m", "2")).unwrap();
    // the database takes the group, the anchor after it does not
    let read_only = File::open(dir.path().join("anchor")).unwrap();
    let file = store.shared.write().anchor_for_tests().replace_file_for_tests(read_only);
    assert!(matches!(put("b", 2), Err(Error::Io(_))));
    let as_before = || {
        assert_eq!(store.get(Table::Snapshot, b"web").unwrap(), Some(vec![1; 9_000]));
        assert_eq!(store.get(Table::Meta, b"m").unwrap(), Some(b"2".to_vec()));
        assert_eq!(store.scan(Table::Source, b"").unwrap(), [(b"a".to_vec(), Vec::new())]);
    };
    as_before();
    assert!(matches!(put("b", 2), Err(Error::Io(_))), "the fault is still there");
    as_before();
    drop(store.shared.write().anchor_for_tests().replace_file_for_tests(file));
    store.commit(Batch::default()).unwrap();
    as_before();
    store.take_lease().unwrap();
    as_before();
    drop(store);
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(store.get(Table::Snapshot, b"web").unwrap(), Some(vec![1; 9_000]));
    assert_eq!(store.scan(Table::Source, b"b").unwrap(), []);
}

#[test]
fn a_value_that_shrinks_or_goes_leaves_no_piece_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let rows_after = |bytes| {
        store.commit(Batch::default().put(Table::Meta, "m", vec![1; bytes])).unwrap();
        store.shared.read().len_for_tests()
    };
    assert_eq!(rows_after(9_000), 1 + 3);
    assert_eq!(rows_after(5_000), 1 + 2);
    assert_eq!(rows_after(5), 1);
    assert_eq!(rows_after(20_000), 1 + 5);
    store.commit(Batch::default().delete(Table::Meta, "m")).unwrap();
    assert_eq!(store.shared.read().len_for_tests(), 0);
}

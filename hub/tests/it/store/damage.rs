//! A disk that lies: every flipped bit, cut file and lost record is found at open and named, or harmless.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hub::store::{Batch, Error, SledStore, Store, Table};

use super::{Dice, Rows, rows};

/// The files of a store that was closed, by path within its folder.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn fill(dir: &Path) {
    let store = SledStore::open(dir).unwrap();
    for n in 0..400_u32 {
        let table = Table::ALL[n as usize % Table::ALL.len()];
        let value = vec![n.to_be_bytes()[3]; (n as usize * 37) % 900];
        let batch = Batch::default()
            .put(table, n.to_be_bytes(), value)
            .put(Table::Snapshot, "web", vec![n.to_be_bytes()[3]; 9_000])
            .delete(table, (n / 2).to_be_bytes());
        store.commit(batch).unwrap();
    }
    drop(store);
    // a second life, so that there is a snapshot of sled's too
    drop(SledStore::open(dir).unwrap());
}

fn read_folder(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn write_folder(dir: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A store that was filled and closed, and what was in it.
fn closed_store() -> (Files, Rows) {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let before = rows(&SledStore::open(dir.path()).unwrap());
    assert!(before.len() > 150, "{}", before.len());
    (read_folder(dir.path()), before)
}

/// What an opener hears about these files; `None` when all is as it was. Panics on a silent change.
fn fault(files: &Files, before: &Rows, story: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    write_folder(dir.path(), files);
    match SledStore::open(dir.path()) {
        Ok(opened) => {
            assert!(rows(&opened) == *before, "{story}: changed in silence");
            None
        }
        Err(Error::Corrupt { place, what }) => {
            assert!(!place.is_empty() && !what.is_empty(), "{story}");
            Some(format!("{place}: {what}"))
        }
        Err(error) => panic!("{story}: {error:?}"),
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named_or_harmless() {
    let (files, before) = closed_store();
    let mut dice = Dice(0x6761_7465);
    let mut found = 0;
    for round in 0..300 {
        let mut files = files.clone();
        // two of three in the database, the others in any file, however small
        let nth = dice.below(files.len());
        let any = files.keys().filter(|path| !files[*path].is_empty()).cycle().nth(nth);
        let path = if round % 3 == 2 { any.unwrap().clone() } else { PathBuf::from("sled/db") };
        let bytes = files.get_mut(&path).unwrap();
        // most of the file is free space: half of the flips go where something stands
        let mut at = dice.below(bytes.len());
        while round % 2 == 0 && bytes[at] == 0 {
            at = dice.below(bytes.len());
        }
        bytes[at] ^= 1 << dice.below(8);
        let story = format!("round {round}: byte {at} of {}", path.display());
        found += u32::from(fault(&files, &before, &story).is_some());
    }
    assert!(found > 30, "only {found} flips hit anything: that proves little");
}

#[test]
fn a_page_of_zeros_or_of_noise_is_found_or_harmless() {
    let (files, before) = closed_store();
    let mut dice = Dice(0x7061_6765);
    for round in 0..40 {
        let mut files = files.clone();
        let bytes = files.get_mut(Path::new("sled/db")).unwrap();
        let start = dice.below(bytes.len() / 512) * 512;
        let noise = round % 2 == 0;
        for byte in bytes.iter_mut().skip(start).take(4096) {
            *byte = if noise { dice.below(256).to_be_bytes()[7] } else { 0 };
        }
        fault(&files, &before, &format!("round {round}: page at {start}"));
    }
}

#[test]
fn a_database_that_was_cut_is_found() {
    let (files, before) = closed_store();
    let mut dice = Dice(0x0063_7574);
    let end = files[Path::new("sled/db")].iter().rposition(|b| *b != 0).unwrap();
    for round in 0..30 {
        let mut files = files.clone();
        let length = if round == 0 { 0 } else { dice.below(end) };
        files.get_mut(Path::new("sled/db")).unwrap().truncate(length);
        let story = format!("cut to {length} of {end} bytes");
        assert!(fault(&files, &before, &story).is_some(), "{story}: not found");
    }
}

#[test]
fn a_file_that_is_gone_is_found() {
    let (files, before) = closed_store();
    for name in ["sled/db", "anchor"] {
        let mut files = files.clone();
        files.remove(Path::new(name)).unwrap();
        let fault = fault(&files, &before, name).unwrap();
        assert!(fault.contains("missing"), "{fault}");
    }
}

#[test]
fn a_database_of_yesterday_is_found() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let yesterday = read_folder(dir.path());
    let store = SledStore::open(dir.path()).unwrap();
    store.commit(Batch::default().put(Table::Meta, "today", "x")).unwrap();
    drop(store);
    let mut mixed = read_folder(dir.path());
    mixed.retain(|path, _| !path.starts_with("sled"));
    mixed.extend(yesterday.into_iter().filter(|(path, _)| path.starts_with("sled")));
    let fault = fault(&mixed, &Rows::new(), "yesterday").unwrap();
    assert!(fault.contains("was acknowledged"), "{fault}");
}

#[test]
fn a_snapshot_that_a_kill_left_unfinished_is_in_nobodys_way() {
    let (files, before) = closed_store();
    for left in [&b""[..], b"\x01\x02\x03", &[0xff; 200]] {
        let mut files = files.clone();
        files.insert(PathBuf::from("sled/snap.7FFFFFFFFFFFFFFF.generating"), left.to_vec());
        assert_eq!(fault(&files, &before, "unfinished snapshot"), None);
    }
}

//! `kill -9` at random moments: what was acknowledged is there, and a batch is there whole or not at all.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use hub::store::{Batch, SledStore, Store, Table};

use super::Dice;

/// Names the folder for the child; its absence makes the child's test do nothing.
const DIR: &str = "TIDEGATE_TEST_STORE";

const ROUNDS: u32 = 100;

/// Threads that write at once in the child, so that groups form.
const WRITERS: u8 = 4;

/// The value of write `n`: of all sizes, some in pieces.
fn value(writer: u8, n: u32) -> Vec<u8> {
    let bytes = match n % 16 {
        0 => 20_000,
        5 => 5_000,
        other => 40 * other as usize,
    };
    [&[writer][..], &n.to_be_bytes(), &vec![n.to_be_bytes()[3]; bytes]].concat()
}

fn key(writer: u8, n: u32) -> Vec<u8> {
    [&[writer][..], &n.to_be_bytes()].concat()
}

/// The number in a snapshot row: the newest write of its writer.
fn newest(store: &dyn Store, writer: u8) -> u32 {
    let row = store.get(Table::Snapshot, &[writer]).unwrap();
    row.map_or(0, |row| u32::from_be_bytes(row[1..5].try_into().unwrap()))
}

/// One batch over two tables: an event, and the newest event in place of the one before.
fn write(store: &dyn Store, writer: u8, n: u32) {
    let value = value(writer, n);
    let batch = Batch::default().put(Table::Event, key(writer, n), value.clone()).put(
        Table::Snapshot,
        [writer],
        value,
    );
    store.commit(batch).unwrap();
    // unbuffered by line: an acknowledgement is out before the next write begins
    writeln!(stdout().lock(), "\nack {writer} {n}").unwrap();
}

/// Runs only as a child of the test below: writes until it is killed.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = env::var_os(DIR) else { return };
    writeln!(stdout().lock(), "\nopening").unwrap();
    let store = SledStore::open(Path::new(&dir)).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for n in newest(store, writer) + 1.. {
                    write(store, writer, n);
                }
            });
        }
    });
}

fn start(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::kill::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets the child go until `acks` acknowledgements were seen (or, for 0, until it opens), then for
/// `moment`, and kills it. Gives the newest acknowledged write of each writer.
fn kill_after(mut child: Child, acks: usize, moment: Duration) -> BTreeMap<u8, u32> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acked = BTreeMap::new();
    let mut note = |line: &str| {
        let mut words = line.strip_prefix("ack ")?.split(' ');
        let writer: u8 = words.next()?.parse().ok()?;
        acked.insert(writer, words.next()?.parse::<u32>().ok()?);
        Some(())
    };
    if acks == 0 {
        assert!(lines.any(|line| line == "opening"));
    }
    let seen = (&mut lines).filter_map(|line| note(&line)).take(acks);
    assert_eq!(seen.count(), acks, "the child writes until it is killed");
    // not to wait for anything: the moment of the kill is to be any
    thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
    // a line that the kill cut off has no end and is no acknowledgement
    for line in lines {
        note(&line);
    }
    acked
}

#[test]
fn a_hundred_kills_lose_no_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x7469_6465);
    let mut acked: BTreeMap<u8, u32> = BTreeMap::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        // every fourth is killed while it opens
        let acks = if round % 4 == 0 { 0 } else { 1 + dice.below(60) };
        let moment = Duration::from_micros(dice.below(15_000) as u64);
        acked.extend(kill_after(start(dir.path()), acks, moment));

        let store = SledStore::open(dir.path()).unwrap();
        for writer in 0..WRITERS {
            let newest = newest(&store, writer);
            let promised = acked.get(&writer).copied().unwrap_or(0);
            assert!(
                newest >= promised,
                "round {round}: {promised} was acknowledged, {newest} is there"
            );
            let events = store.scan(Table::Event, &[writer]).unwrap();
            assert_eq!(events.len(), newest as usize, "round {round}: a batch came in part");
            for ((found_key, found), n) in events.iter().zip(1..) {
                assert!(
                    *found_key == key(writer, n) && *found == value(writer, n),
                    "round {round}"
                );
            }
        }
        total = (0..WRITERS).map(|writer| newest(&store, writer)).sum();
    }
    assert!(total > 1_000, "only {total} writes: that proves little");
}

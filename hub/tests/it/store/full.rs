//! A disk without room: nothing is acknowledged that is not kept, reads go on, and writes go on as soon as
//! there is room again, in the same process.
//!
//! Two kinds of "no room": a small file system of its own, where the store sees it coming, and a limit on
//! the size of files, which hits the database in the middle of a write.

use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write, stderr},
    path::{Path, PathBuf},
    process::{self, Command},
};

use hub::{
    content::{self, Content},
    store::{Batch, Error, SledStore, Store, Table},
};

/// Names the folder for the children; its absence makes their tests do nothing.
const DIR: &str = "TIDEGATE_TEST_FULL";

fn dir() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// This program again, to run one test in `dir`; `prefix` is the program that starts it, with arguments.
fn again(prefix: &[&str], test: &str, dir: &Path) -> process::Output {
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(DIR, dir);
    command.output().unwrap()
}

fn assert_passed(output: &process::Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
}

fn put(store: &dyn Store, n: u32) -> Result<(), Error> {
    let value = vec![n.to_be_bytes()[3]; 50_000];
    let latest = Batch::default().put(Table::Meta, "latest", n.to_be_bytes());
    store.commit(latest.put(Table::Event, n.to_be_bytes(), value))
}

/// Writes until it fails; gives the number of the first write that failed.
fn fill(store: &dyn Store, from: u32) -> (u32, Error) {
    for n in from..100_000 {
        if let Err(error) = put(store, n) {
            return (n, error);
        }
    }
    panic!("the disk never got full");
}

/// Exactly the writes below `end` are there, whole.
fn assert_holds(store: &dyn Store, end: u32) {
    for n in 0..end {
        let value = store.get(Table::Event, &n.to_be_bytes()).unwrap().unwrap();
        assert!(value.len() == 50_000 && value.iter().all(|b| *b == n.to_be_bytes()[3]), "{n}");
    }
    assert_eq!(store.get(Table::Event, &end.to_be_bytes()).unwrap(), None);
    let latest = store.get(Table::Meta, b"latest").unwrap().unwrap();
    assert_eq!(latest, (end - 1).to_be_bytes());
}

#[test]
fn child_on_a_small_file_system() {
    let Some(dir) = dir() else { return };
    let content = Content::open(&dir.join("content")).unwrap();
    let store = SledStore::open(&dir.join("store")).unwrap();
    for n in 0..20 {
        put(&store, n).unwrap();
    }
    let ballast = dir.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);

    let (end, error) = fill(&store, 20);
    assert_eq!(end, 20);
    assert!(matches!(&error, Error::Io(e) if e.kind() == ErrorKind::StorageFull), "{error:?}");
    let object = content.put(content::Kind::Object, &vec![7; 100_000]).unwrap_err();
    assert!(matches!(object, content::Error::Io { .. }), "{object:?}");
    for _ in 0..50 {
        put(&store, 20).unwrap_err();
        assert_holds(&store, 20);
    }

    fs::remove_file(&ballast).unwrap();
    put(&store, 20).unwrap();
    content.put(content::Kind::Object, &vec![7; 100_000]).unwrap();
    // and now until its own records fill it
    let (end, _) = fill(&store, 21);
    assert_holds(&store, end);
    drop(store);
    assert_holds(&SledStore::open(&dir.join("store")).unwrap(), end);
}

/// A small file system, and somebody else who takes the last bytes between the look and the write.
#[test]
fn child_that_hits_the_end_of_a_small_file_system() {
    let Some(dir) = dir() else { return };
    let store = SledStore::open_with_headroom(&dir.join("store"), 0).unwrap();
    for n in 0..20 {
        put(&store, n).unwrap();
    }
    let ballast = dir.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while fs4::available_space(&dir).unwrap() > 1 << 20 {
        file.write_all(&[1; 4096]).unwrap();
    }
    drop(file);
    let (end, error) = fill(&store, 20);
    assert!(matches!(&error, Error::Io(e) if e.kind() == ErrorKind::StorageFull), "{error:?}");
    for _ in 0..20 {
        assert_holds(&store, end);
        put(&store, end).unwrap_err();
    }
    drop(store);
    let store = SledStore::open_with_headroom(&dir.join("store"), 0).unwrap();
    let end = if store.get(Table::Event, &end.to_be_bytes()).unwrap().is_some() {
        end + 1 // all of the last write had arrived; nobody took it back before the restart
    } else {
        end
    };
    assert_holds(&store, end);

    fs::remove_file(&ballast).unwrap();
    for n in end..end + 20 {
        put(&store, n).unwrap();
    }
    assert_holds(&store, end + 20);
}

#[test]
fn a_full_file_system_refuses_writes_and_nothing_else_until_there_is_room() {
    let mount = "mount -t tmpfs -o size=64m tmpfs \"$TIDEGATE_TEST_FULL\" && exec \"$0\" \"$@\"";
    let own = ["unshare", "--user", "--map-root-user", "--mount"];
    let mut may = Command::new(own[0]);
    may.args(&own[1..]).args(["mount", "-t", "tmpfs", "x", "/mnt"]);
    if !may.output().is_ok_and(|output| output.status.success()) {
        // the test with a limit on the size of files shows the harder half of it on any machine
        writeln!(stderr(), "not shown here: this machine lets us mount nothing").unwrap();
        return;
    }
    let prefix = [&own[..], &["sh", "-c", mount]].concat();
    for child in ["child_on_a_small_file_system", "child_that_hits_the_end_of_a_small_file_system"]
    {
        let dir = tempfile::tempdir().unwrap();
        assert_passed(&again(&prefix, &format!("store::full::{child}"), dir.path()));
    }
}

#[test]
fn child_with_a_limit_on_the_size_of_files() {
    let Some(dir) = dir() else { return };
    let store = SledStore::open(&dir).unwrap();
    let (end, error) = fill(&store, 0);
    assert!(end > 5, "only {end} writes before the limit");
    assert!(matches!(&error, Error::Io(e) if e.kind() == ErrorKind::FileTooLarge), "{error:?}");
    let mut end = end;
    for _ in 0..5 {
        match put(&store, end) {
            // What the failed write left free may be room enough for this one; then it counts.
            Ok(()) => {
                end += 1;
                continue;
            }
            Err(error) => assert!(matches!(error, Error::Io(_)), "{error:?}"),
        }
        // the reserve is of no use against this limit: reads may fail, but never lie
        let read = store.get(Table::Event, &end.to_be_bytes());
        assert!(matches!(read, Ok(None) | Err(Error::Io(_))), "{read:?}");
    }

    let pid = process::id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(lifted.unwrap().success());
    put(&store, end).unwrap();
    assert_holds(&store, end + 1);
    for n in end + 1..end + 50 {
        put(&store, n).unwrap();
    }
    drop(store);
    assert_holds(&SledStore::open(&dir).unwrap(), end + 50);
}

#[test]
fn a_write_that_fails_half_way_is_taken_back_and_the_next_one_works_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let ignore = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let prefix = ["prlimit", "--fsize=6000000:unlimited", "sh", "-c", ignore];
    assert_passed(&again(
        &prefix,
        "store::full::child_with_a_limit_on_the_size_of_files",
        dir.path(),
    ));
}

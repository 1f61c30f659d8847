//! What a program in the sandbox can not do. Each case does its harm when its layer is left out.

use std::{ffi::OsString, fs, net::TcpListener, time::Duration};

use sandbox::{Ended, Order};
use tempfile::TempDir;

use super::*;

/// A program in a room of its own.
struct Case {
    room: TempDir,
}

impl Case {
    fn new() -> Case {
        let room = tempfile::tempdir().unwrap();
        for folder in ["files", "home"] {
            fs::create_dir(room.path().join(folder)).unwrap();
        }
        fs::write(room.path().join("files/own.txt"), "own").unwrap();
        fs::write(room.path().join("secret.txt"), "secret").unwrap();
        Case { room }
    }

    fn order(&self, program: &str, arguments: &[&str]) -> Order {
        Order {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            folder: self.room.path().join("files"),
            home: self.room.path().join("home"),
        }
    }

    /// Runs a script of Python, which can call whatever it likes.
    fn python(&self, inside: &Sandbox, script: &str) -> Ended {
        inside.run(&self.order("/usr/bin/python3", &["-I", "-S", "-c", script])).unwrap()
    }
}

/// The script fails inside, and does its harm when `layers` are left out.
fn stopped_by(layers: &[&str], script: &str) {
    let case = Case::new();
    let inside = case.python(&shell_box(), script);
    assert!(!did(&inside), "it did its harm inside: {inside:?}");
    let weaker = layers.iter().fold(shell_box(), |weaker, layer| weaker.without(layer));
    let outside = case.python(&weaker, script);
    assert!(did(&outside), "without {layers:?} it must do its harm: {outside:?}");
}

/// The harm was done: the script came to its end and said so.
fn did(ended: &Ended) -> bool {
    matches!(ended, Ended::Well(out) if String::from_utf8_lossy(out).contains("DONE"))
}

#[test]
fn what_is_harmless_works() {
    let case = Case::new();
    let script = "
import os, threading
assert open('own.txt').read() == 'own'
open(os.environ['HOME'] + '/x', 'w').write('x')
t = threading.Thread(target=lambda: print('DONE')); t.start(); t.join()";
    let ended = case.python(&shell_box(), script);
    assert!(did(&ended), "{ended:?}");
}

#[test]
fn this_machine_has_every_layer() {
    let layers = Sandbox::new(launcher()).layers().unwrap();
    assert!(
        layers.files && layers.namespaces,
        "{layers:?}: some tests here prove less than they say"
    );
}

#[test]
fn no_file_outside_of_the_room_is_read() {
    stopped_by(&["files"], "open('../secret.txt').read(); print('DONE')");
    stopped_by(&["files"], "open('/etc/passwd').read(); print('DONE')");
    stopped_by(&["files"], "import os; os.listdir('/'); print('DONE')");
    stopped_by(&["files"], "open('/proc/self/environ').read(); print('DONE')");
    stopped_by(&["files"], "open('/proc/1/cmdline').read(); print('DONE')");
    stopped_by(
        &["files"],
        "open('/sys/kernel/mm/transparent_hugepage/enabled').read(); print('DONE')",
    );
}

#[test]
fn a_link_out_of_the_room_leads_nowhere() {
    let script = "
import os
os.symlink('../secret.txt', os.environ['HOME'] + '/link')
open(os.environ['HOME'] + '/link').read()
print('DONE')";
    stopped_by(&["files", "syscalls"], script);
}

#[test]
fn nothing_is_written_but_in_home() {
    stopped_by(&["files"], "open('new.txt', 'w').write('x'); print('DONE')");
    stopped_by(&["files"], "open('own.txt', 'a').write('x'); print('DONE')");
    stopped_by(&["files"], "import os; os.unlink('own.txt'); print('DONE')");
    stopped_by(&["files"], "import os; os.mkdir('../made'); print('DONE')");
}

#[test]
fn nothing_of_the_environment_is_seen() {
    // Cargo sets this for every test; a hub's own holds tokens.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let case = Case::new();
    let script = "import os; print(sorted(os.environ))";
    let Ended::Well(out) = case.python(&shell_box(), script) else { panic!() };
    let seen = String::from_utf8(out).unwrap();
    assert_eq!(
        seen.trim(),
        "['GOMAXPROCS', 'GOMEMLIMIT', 'HELM_PLUGINS', 'HOME', 'LC_ALL', 'TMPDIR', 'TZ']"
    );
}

#[test]
fn there_is_no_network() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let connect = format!(
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5).close(); print('DONE')"
    );
    stopped_by(&["syscalls", "files", "namespaces"], &connect);
    stopped_by(
        &["syscalls"],
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print('DONE')",
    );
    stopped_by(&["syscalls"], "import socket; socket.socketpair(); print('DONE')");
    stopped_by(
        &["syscalls"],
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('DONE')",
    );
}

#[test]
fn no_process_is_started() {
    stopped_by(&["syscalls"], "import os\nif os.fork() == 0: os._exit(0)\nprint('DONE')");
    stopped_by(
        &["syscalls"],
        "import subprocess; subprocess.run(['/bin/true'], check=True); print('DONE')",
    );
    let vfork = "import os; os.posix_spawn('/bin/true', ['true'], {}); print('DONE')";
    stopped_by(&["syscalls"], vfork);
}

#[test]
fn another_program_does_not_take_its_place() {
    let case = Case::new();
    // Only the tool itself can be executed when nothing is shared; here a copy of it in the room.
    fs::copy("/bin/true", case.room.path().join("home/true")).unwrap();
    let script = "import os; os.execv(os.environ['HOME'] + '/true', ['true'])";
    let inside = case.python(&shell_box(), script);
    assert!(matches!(inside, Ended::Badly(_)), "{inside:?}");
    let outside = case.python(&shell_box().without("files"), script);
    assert!(matches!(outside, Ended::Well(_)), "{outside:?}");
}

#[test]
fn other_processes_are_out_of_reach() {
    let parent = std::process::id();
    stopped_by(&["syscalls", "files"], &format!("import os; os.kill({parent}, 0); print('DONE')"));
    let numbers = |name: &str, number: u32, arguments: &str| {
        format!(
            "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             r = libc.syscall({number}, {arguments})  # {name}\n\
             e = ctypes.get_errno()\nprint('DONE' if r >= 0 or e != 1 else 'no')"
        )
    };
    if cfg!(target_arch = "x86_64") {
        // Anything but "not permitted" means that the kernel has looked at the call.
        for (name, number, arguments) in [
            ("ptrace", 101, "0, 0, 0, 0"),
            ("process_vm_readv", 310, "0, 0, 0, 0, 0, 0"),
            ("pidfd_open", 434, "999999, 0"),
            ("io_uring_setup", 425, "0, 0"),
            ("keyctl", 250, "99, 0, 0, 0, 0"),
            ("userfaultfd", 323, "99"),
            ("memfd_create", 319, "0, 0"),
            ("unshare", 272, "0"),
            ("personality", 135, "0xffffffff"),
            ("perf_event_open", 298, "0, 0, 0, 0, 0"),
            ("add_key", 248, "0, 0, 0, 0, 0"),
            ("socket by its 32-bit sister", 0x4000_0029, "2, 1, 0"),
        ] {
            let script = numbers(name, number, arguments);
            let case = Case::new();
            let inside = case.python(&shell_box(), &script);
            assert!(!did(&inside), "{name}: {inside:?}");
        }
        for (name, number, arguments) in [
            ("memfd_create", 319, "0, 0"),
            ("unshare", 272, "0"),
            ("keyctl", 250, "99, 0, 0, 0, 0"),
        ] {
            stopped_by(&["syscalls"], &numbers(name, number, arguments));
        }
    }
}

#[test]
fn memory_is_bounded() {
    let hog = "x = []\nfor i in range(1400): x.append(bytearray(1 << 20))\nprint('DONE')";
    stopped_by(&["limits"], hog);
    let case = Case::new();
    assert_eq!(case.python(&shell_box(), hog), Ended::TooMuch("memory"));
}

#[test]
fn files_are_bounded() {
    let script = "import os; f = open(os.environ['HOME'] + '/big', 'wb')\n\
                  for i in range(40): f.write(bytes(1 << 20))\nf.flush()\nprint('DONE')";
    stopped_by(&["limits"], script);
    let open = "x = [open('own.txt') for i in range(400)]; print('DONE')";
    stopped_by(&["limits"], open);
}

#[test]
fn threads_are_bounded() {
    let script = "
import threading
go = threading.Event()
for i in range(200): threading.Thread(target=go.wait, daemon=True).start()
print('DONE', flush=True)
go.set()";
    stopped_by(&["limits"], script);
}

#[test]
fn output_is_bounded_and_the_writer_is_stopped() {
    let case = Case::new();
    let ended = case.python(&shell_box(), "import sys\nwhile True: sys.stdout.write('x' * 65536)");
    assert_eq!(ended, Ended::TooMuch("output"));
    // What it says in its defence is bounded too, and does not block it.
    let words = "import sys\nfor i in range(200): sys.stderr.write('y' * 65536)\nprint('DONE')";
    assert!(did(&case.python(&shell_box(), words)));
}

#[test]
fn time_is_bounded_and_nothing_of_the_group_is_left() {
    let case = Case::new();
    let brief = shell_box().within(Duration::from_millis(1500));
    let sleeper = "import time; time.sleep(600)";
    assert_eq!(case.python(&brief, sleeper), Ended::TooMuch("time"));
    // Without the layer that forbids it, it starts another process, which holds its output open.
    let marker = format!("sleep-{}", std::process::id());
    let family = format!(
        "import subprocess, time\nsubprocess.Popen(['/usr/bin/python3', '-c', 'import time; time.sleep(600) # {marker}'])\n\
         time.sleep(600)"
    );
    let open = brief.without("syscalls").without("limits");
    assert_eq!(case.python(&open, &family), Ended::TooMuch("time"));
    let left = fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&format!("# {marker}")))
    });
    assert!(!left, "a process of the group is left");
}

#[test]
fn what_cannot_be_locked_in_is_not_run() {
    let case = Case::new();
    let mut order = case.order("/bin/true", &[]);
    order.folder = case.room.path().join("files");
    order.home = case.room.path().join("nowhere");
    let error = shell_box().run(&order).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    let error = shell_box().run(&case.order("/bin/no-such-tool", &[])).unwrap_err().to_string();
    assert!(error.contains("no-such-tool"), "{error}");
    let missing = Sandbox::new("/nowhere/launcher".into());
    let error = missing.run(&case.order("/bin/true", &[])).unwrap_err().to_string();
    assert!(error.contains("/nowhere/launcher"), "{error}");
}

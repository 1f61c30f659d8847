//! The parent's side of one run: starts the launcher, counts bytes, keeps time, kills the whole group.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{launch, limits};

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The launcher could not be started.
    #[error("start the launcher `{program}`: {cause}")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The launcher could not lock itself in, or not start the tool.
    #[error("{0}")]
    Locked(String),
    /// Talk with the child broke.
    #[error("read what the tool says: {0}")]
    Read(#[from] io::Error),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, without a fault.
    Well(Vec<u8>),
    /// With a fault, and what it said.
    Badly(String),
    /// It was stopped, or stopped by the kernel: what was too much.
    TooMuch(&'static str),
}

/// What to run, and with what.
#[derive(Debug, Clone)]
pub struct Order {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it begins; the only files it can read.
    pub folder: PathBuf,
    /// The only folder it can write to.
    pub home: PathBuf,
}

/// Starts launchers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// A program of ours that understands `sandbox-exec`.
    launcher: PathBuf,
    /// Readable and executable beside the tool: loaders and libraries, for tools that need them.
    shared: Vec<PathBuf>,
    /// Layers to leave out.
    without: Vec<String>,
    wall: Duration,
    free: Arc<(Mutex<usize>, Condvar)>,
}

impl Sandbox {
    /// A sandbox whose launcher is this program.
    pub fn new(launcher: PathBuf) -> Sandbox {
        Sandbox {
            launcher,
            shared: Vec::new(),
            without: Vec::new(),
            wall: limits::WALL,
            free: Arc::new((Mutex::new(limits::CONCURRENT), Condvar::new())),
        }
    }

    /// Lets the tool read and execute what is below these folders too: for tools that are not static.
    #[must_use]
    pub fn sharing(mut self, folders: &[&str]) -> Sandbox {
        self.shared = folders.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
        self
    }

    /// Leaves a layer out (`limits`, `files`, `namespaces`, `syscalls`): shows what each is for.
    #[must_use]
    pub fn without(mut self, layer: &str) -> Sandbox {
        self.without.push(layer.to_owned());
        self
    }

    /// Another time on the wall.
    #[must_use]
    pub fn within(mut self, wall: Duration) -> Sandbox {
        self.wall = wall;
        self
    }

    /// Which layers this kernel gives.
    pub fn layers(&self) -> Result<launch::Layers, Error> {
        let folder = std::env::temp_dir();
        match self.finish(self.command(&folder, &[]))? {
            Ended::Well(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                Ok(launch::Layers {
                    files: text.contains("files=true"),
                    namespaces: text.contains("namespaces=true"),
                })
            }
            Ended::Badly(words) => Err(Error::Locked(words)),
            Ended::TooMuch(what) => Err(Error::Locked(format!("it took too much {what}"))),
        }
    }

    /// Runs a tool to its end. Blocks; at most [`limits::CONCURRENT`] at one time.
    pub fn run(&self, order: &Order) -> Result<Ended, Error> {
        let _turn = self.turn();
        let mut arguments = vec![
            OsString::from("--read"),
            order.folder.clone().into(),
            "--home".into(),
            order.home.clone().into(),
        ];
        for path in &self.shared {
            arguments.extend([OsString::from("--run"), path.clone().into()]);
        }
        arguments.extend([OsString::from("--"), order.program.clone().into()]);
        arguments.extend(order.arguments.iter().cloned());
        let mut command = self.command(&order.folder, &arguments);
        command.env("HOME", &order.home).env("TMPDIR", &order.home);
        self.finish(command)
    }

    fn command(&self, folder: &Path, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.launcher);
        command.arg(launch::COMMAND);
        for layer in &self.without {
            command.args(["--without", layer]);
        }
        command.args(arguments).current_dir(folder).env_clear();
        // Nothing of ours: where Go may work, and that it shall not look for anything.
        command.envs([
            ("GOMAXPROCS", "2"),
            ("GOMEMLIMIT", "900MiB"),
            ("HELM_PLUGINS", "/nonexistent"),
            ("TZ", "UTC"),
            ("LC_ALL", "C"),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that it can be killed with all that it started.
        command.process_group(0);
        command
    }

    fn finish(&self, mut command: Command) -> Result<Ended, Error> {
        let child = command.spawn().map_err(|cause| Error::Start {
            program: self.launcher.display().to_string(),
            cause,
        })?;
        let watched = Watched::new(child, self.wall);
        watched.end()
    }

    /// Waits until one of the places is free.
    fn turn(&self) -> Turn<'_> {
        let (free, bell) = &*self.free;
        let mut left = free.lock().unwrap_or_else(PoisonError::into_inner);
        while *left == 0 {
            left = bell.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        *left -= 1;
        Turn(&self.free)
    }
}

/// A place among the runs; given back when dropped.
struct Turn<'a>(&'a (Mutex<usize>, Condvar));

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (free, bell) = self.0;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        bell.notify_one();
    }
}

/// A child with a clock beside it.
struct Watched {
    child: Child,
    group: Pid,
    late: Arc<AtomicBool>,
    done: mpsc::Sender<()>,
}

impl Watched {
    fn new(child: Child, wall: Duration) -> Watched {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let late = Arc::new(AtomicBool::new(false));
        let (done, over) = mpsc::channel::<()>();
        let raised = Arc::clone(&late);
        std::thread::spawn(move || {
            if over.recv_timeout(wall) == Err(mpsc::RecvTimeoutError::Timeout) {
                raised.store(true, Ordering::Relaxed);
                kill(group);
            }
        });
        Watched { child, group, late, done }
    }

    fn end(mut self) -> Result<Ended, Error> {
        let words = self.child.stderr.take();
        let words = std::thread::spawn(move || bounded(words, limits::WORDS_BYTES, || {}));
        let group = self.group;
        let output = bounded(self.child.stdout.take(), limits::OUTPUT_BYTES, || kill(group));
        let status = self.child.wait();
        // Whoever is left of the group, before its number can belong to somebody else: `wait` frees only
        // the number of the child, and a group keeps its number as long as it has a member.
        kill(group);
        self.done.send(()).ok();
        let (words, _) = words.join().unwrap_or_else(|_| Ok((Vec::new(), false)))?;
        let (output, over) = output?;
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        Ok(match (over, self.late.load(Ordering::Relaxed)) {
            (true, _) => Ended::TooMuch("output"),
            (false, true) => Ended::TooMuch("time"),
            (false, false) => return judge(status?, output, words),
        })
    }
}

fn judge(status: ExitStatus, output: Vec<u8>, words: String) -> Result<Ended, Error> {
    if status.success() {
        return Ok(Ended::Well(output));
    }
    if status.code() == Some(i32::from(launch::FAILED))
        && let Some(why) = words.strip_prefix(launch::MARK)
    {
        return Err(Error::Locked(why.to_owned()));
    }
    let out_of_memory = ["out of memory", "cannot allocate memory", "MemoryError"];
    if out_of_memory.iter().any(|sign| words.contains(sign)) {
        return Ok(Ended::TooMuch("memory"));
    }
    Ok(match status.signal().map(Signal::try_from) {
        Some(Ok(Signal::SIGXCPU | Signal::SIGKILL)) => Ended::TooMuch("processor time"),
        Some(Ok(Signal::SIGXFSZ)) => Ended::TooMuch("disk"),
        Some(signal) => Ended::Badly(format!("it ended by signal {signal:?}; {words}")),
        None => Ended::Badly(words),
    })
}

/// Nobody there is as good.
fn kill(group: Pid) {
    killpg(group, Signal::SIGKILL).ok();
}

/// Reads to the end, keeps `most` bytes; whether there was more, of which `over` is told at once.
fn bounded(
    from: Option<impl Read>,
    most: usize,
    over: impl FnOnce(),
) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return Ok((kept, false)) };
    from.by_ref().take(most as u64).read_to_end(&mut kept)?;
    let mut one = [0];
    if kept.len() < most || from.read(&mut one)? == 0 {
        return Ok((kept, false));
    }
    over();
    io::copy(&mut from, &mut io::sink())?;
    Ok((kept, true))
}

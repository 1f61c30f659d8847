//! The child's side: our own program, started again, takes everything away from itself and becomes the tool.
//!
//! Order matters: namespaces first (they need rights that are then gone), limits, files, system calls last.
//! A layer that this kernel does not have is named and left out; system calls and limits are never left out.

mod syscalls;
mod files;

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::{
        resource::{Resource, setrlimit},
        signal::Signal,
    },
};

use crate::limits;

/// First argument that makes our programs a launcher.
pub const COMMAND: &str = "sandbox-exec";

/// How the launcher ends when it cannot lock itself in or cannot start the tool.
pub const FAILED: u8 = 125;

/// What is told in front of the reason, so that it is not taken for words of the tool.
pub const MARK: &str = "sandbox: ";

/// What the child is to become, and what is left to it.
#[derive(Debug, Default)]
struct Plan {
    /// Readable.
    read: Vec<PathBuf>,
    /// Readable and executable: loaders and libraries, when a tool needs them.
    run: Vec<PathBuf>,
    /// Writable.
    home: Option<PathBuf>,
    program: Option<PathBuf>,
    arguments: Vec<OsString>,
    /// Layers to leave out: tests show by it what each is for.
    without: Vec<String>,
}

/// Which layers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layers {
    /// Only the named files can be opened.
    pub files: bool,
    /// A network and user namespace of its own.
    pub namespaces: bool,
}

/// Runs as the launcher when the first argument says so; `None` when it does not. Does not come back when
/// it succeeds: this process has become the tool.
pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != OsStr::new(COMMAND) {
        return None;
    }
    let error = match plan(arguments) {
        Ok(plan) => become_tool(plan),
        Err(error) => error,
    };
    if error.is_empty() {
        return Some(ExitCode::SUCCESS);
    }
    // The parent reads it; when nobody does, the exit code is enough.
    drop(writeln!(std::io::stderr(), "{MARK}{error}"));
    Some(ExitCode::from(FAILED))
}

fn plan(mut arguments: impl Iterator<Item = OsString>) -> Result<Plan, String> {
    let mut plan = Plan::default();
    while let Some(argument) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| format!("`{}` needs a value", argument.display()));
        match argument.to_str() {
            Some("--read") => plan.read.push(value()?.into()),
            Some("--run") => plan.run.push(value()?.into()),
            Some("--home") => plan.home = Some(value()?.into()),
            Some("--without") => plan.without.push(value()?.to_string_lossy().into_owned()),
            Some("--") => {
                plan.program = Some(value()?.into());
                plan.arguments = arguments.collect();
                return Ok(plan);
            }
            _ => return Err(format!("`{}` is not known", argument.display())),
        }
    }
    Ok(plan)
}

/// Locks this process in and becomes the tool; what comes back is why not. Without a tool, which layers
/// hold is told on stdout.
fn become_tool(plan: Plan) -> String {
    let layers = match lock_in(&plan) {
        Ok(layers) => layers,
        Err(error) => return error,
    };
    let Some(program) = plan.program else {
        let text = format!("files={} namespaces={}\n", layers.files, layers.namespaces);
        let told = std::io::stdout().write_all(text.as_bytes());
        return told.map_or_else(|error| error.to_string(), |()| String::new());
    };
    let error = Command::new(&program).args(plan.arguments).exec();
    format!("start `{}`: {error}", program.display())
}

fn lock_in(plan: &Plan) -> Result<Layers, String> {
    let with = |layer: &str| !plan.without.iter().any(|w| w == layer);
    // Whoever started this is gone: so is this.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|e| format!("follow the parent: {e}"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let apart = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNS;
    let namespaces = with("namespaces") && unshare(apart).is_ok();
    if with("limits") {
        limit(namespaces)?;
    }
    let files = with("files") && files::only(plan)?;
    if with("syscalls") {
        syscalls::only_harmless()?;
    }
    Ok(Layers { files, namespaces })
}

fn limit(namespaces: bool) -> Result<(), String> {
    let mut limits = vec![
        (Resource::RLIMIT_CPU, limits::CPU_SECONDS),
        (Resource::RLIMIT_DATA, limits::MEMORY_BYTES),
        (Resource::RLIMIT_AS, limits::ADDRESS_BYTES),
        (Resource::RLIMIT_FSIZE, limits::FILE_BYTES),
        (Resource::RLIMIT_NOFILE, limits::FILES_OPEN),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_MSGQUEUE, 0),
    ];
    // Counted per user: only in a namespace of its own are these its own threads alone.
    if namespaces {
        limits.push((Resource::RLIMIT_NPROC, limits::THREADS));
    }
    for (resource, most) in limits {
        setrlimit(resource, most, most).map_err(|e| format!("limit {resource:?}: {e}"))?;
    }
    Ok(())
}

//! One child process that cannot outlive this one. A small shell sits between: it holds the read end of a pipe whose write
//! end only we hold, and kills the program when the pipe closes, which the system does however this process ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Error;

/// The supervisor. `$1` is a folder to remove when the pipe closes (empty: none), the rest is the program.
/// A program that ends by itself leaves the folder, so that its log can be read.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
folder=$1
closed=
shift
"$@" 3<&- &
child=$!
trap 'closed=1; kill -KILL "$child"' TERM INT HUP
( read -r nothing <&3; kill -TERM $$ ) &
watcher=$!
wait "$child"
code=$?
if [ -n "$closed" ]; then
  wait "$child"
  if [ -n "$folder" ]; then rm -rf "$folder"; fi
else
  kill "$watcher"
fi
exit "$code"
"#;

/// How long a killed process may take to be gone. The kernel needs milliseconds; the rest is a machine under load.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How often a condition that no event announces is looked at.
const POLL: Duration = Duration::from_millis(25);

/// How much of a log goes into an error.
const TAIL_BYTES: u64 = 4 * 1024;

/// Between asking for a free port and using it another process may take it. Three in a row is no accident.
const PORT_ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

/// What to start, and where its output goes.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) log: PathBuf,
    /// Removed when this process ends, in whatever way.
    pub(crate) remove: Option<&'a Path>,
}

impl Process {
    pub(crate) fn start(plan: Plan<'_>) -> Result<Self, Error> {
        let open = || File::options().create(true).append(true).open(&plan.log);
        let file = |source| Error::File { path: plan.log.clone(), source };
        let (output, errors) = (open().map_err(file)?, open().map_err(file)?);
        let child = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(plan.remove.unwrap_or(Path::new("")))
            .arg(&plan.program)
            .args(&plan.arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Start {
                name: plan.name.clone(),
                program: plan.program.clone(),
                source,
            })?;
        Ok(Self { name: plan.name, log: plan.log, child })
    }

    /// Waits until `ready` answers true; an end of the process or a passed deadline is an error that shows the log.
    pub(crate) async fn wait_until<F>(
        &mut self,
        what: &'static str,
        deadline: Duration,
        mut ready: impl FnMut() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = bool>,
    {
        let started = Instant::now();
        loop {
            self.still_runs()?;
            if tokio::time::timeout(deadline, ready()).await.unwrap_or(false) {
                return self.still_runs();
            }
            if started.elapsed() > deadline {
                return Err(Error::Slow {
                    name: self.name.clone(),
                    what,
                    waited: deadline,
                    log: self.log.clone(),
                    tail: tail(&self.log),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) fn still_runs(&mut self) -> Result<(), Error> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                name: self.name.clone(),
                status,
                log: self.log.clone(),
                tail: tail(&self.log),
            }),
        }
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Stop {
            name: self.name.clone(),
            pid: self.child.id(),
            source,
        })
    }

    /// The program's own process id: the supervisor's first child.
    pub(crate) fn pid(&self) -> Option<u32> {
        let supervisor = self.child.id();
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        let text = std::fs::read_to_string(children).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// Waits until the program has ended by itself.
    pub(crate) async fn ended(mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            if started.elapsed() > deadline {
                return Err(Error::Slow {
                    name: self.name.clone(),
                    what: "end",
                    waited: deadline,
                    log: self.log.clone(),
                    tail: tail(&self.log),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills the program and returns when it is gone.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        drop(self.child.stdin.take());
        let started = Instant::now();
        while self.exited()?.is_none() {
            if started.elapsed() > STOP_DEADLINE {
                return Err(Error::Slow {
                    name: self.name.clone(),
                    what: "die",
                    waited: STOP_DEADLINE,
                    log: self.log.clone(),
                    tail: tail(&self.log),
                });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let started = Instant::now();
        while started.elapsed() < STOP_DEADLINE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::Port { source })
}

/// Calls `start` with free ports until one was still free when the program came to it.
pub(crate) async fn on_a_free_port<T, F>(
    name: &str,
    mut start: impl FnMut(u16) -> F,
) -> Result<(u16, T), Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut attempts = 0;
    loop {
        let port = free_port()?;
        attempts += 1;
        match start(port).await {
            Ok(started) => return Ok((port, started)),
            Err(error) if !error.names_a_taken_port() => return Err(error),
            Err(error) if attempts == PORT_ATTEMPTS => {
                return Err(Error::PortTaken {
                    name: name.to_owned(),
                    attempts,
                    last: Box::new(error),
                });
            }
            Err(_) => {}
        }
    }
}

impl Error {
    pub(crate) fn names_a_taken_port(&self) -> bool {
        matches!(self, Self::Ended { tail, .. } if tail.contains("address already in use"))
    }
}

/// The last lines of a log, or why they cannot be shown.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
}

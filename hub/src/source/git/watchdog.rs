//! Ends a fetch that takes too long or brings too much.
//!
//! A fetch looks at its interrupt flag while it receives, and every wait for a server ends with the call. A
//! child process that serves `file://` and hangs before it says anything is not ended here.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use model::Reason;

use super::{SourceLimits, call::Call};
use crate::source::fault::Fault;

/// Pause between two looks at a running fetch.
const TICK: Duration = Duration::from_millis(50);

/// Watches one fetch.
pub(super) struct Guard<'a> {
    packs: std::path::PathBuf,
    limits: &'a SourceLimits,
    stop: &'a AtomicBool,
    call: &'a Call,
    verdict: Mutex<Option<Fault>>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        dir: &Path,
        limits: &'a SourceLimits,
        stop: &'a AtomicBool,
        call: &'a Call,
    ) -> Guard<'a> {
        Guard { packs: dir.join("objects/pack"), limits, stop, call, verdict: Mutex::new(None) }
    }

    /// Runs `work` with a flag that is raised when it must end.
    pub(super) fn watch<T>(&self, work: impl FnOnce(&AtomicBool) -> T) -> T {
        let interrupt = AtomicBool::new(false);
        let (done, end) = mpsc::sync_channel::<()>(1);
        std::thread::scope(|scope| {
            let interrupt = &interrupt;
            scope.spawn(move || self.patrol(interrupt, &end));
            let result = work(interrupt);
            drop(done);
            result
        })
    }

    /// Why the fetch was ended, when it was.
    pub(super) fn verdict(&self) -> Option<Fault> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn patrol(&self, interrupt: &AtomicBool, end: &mpsc::Receiver<()>) {
        let (begin, before) = (Instant::now(), self.bytes());
        while end.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
            let grown = self.bytes().saturating_sub(before);
            let verdict = if self.stop.load(Ordering::Relaxed) {
                Fault::new(Reason::Unavailable, "the source is no longer followed")
            } else if begin.elapsed() > self.limits.timeout {
                let seconds = self.limits.timeout.as_secs();
                Fault::new(Reason::GitTimeout, format!("not done after {seconds} s"))
            } else if grown > self.limits.fetch_bytes_max {
                let limit = self.limits.fetch_bytes_max;
                let message = format!("one fetch brings more than {limit} bytes");
                Fault::new(Reason::GitTooLarge, message)
            } else {
                continue;
            };
            *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
            interrupt.store(true, Ordering::Relaxed);
            self.call.give_up();
            return;
        }
    }

    /// Bytes of the packs, half-received ones included.
    fn bytes(&self) -> u64 {
        let files = fs::read_dir(&self.packs).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
    }
}

//! One look at a remote: whether it is given up, and what went wrong in it first.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    source::{fault::Fault, lock},
};

/// A look that goes on; cloning it gives another handle on the same one.
#[derive(Debug, Clone)]
pub(super) struct Call(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    end: CancellationToken,
    /// The first fault is the cause; what follows it is the echo.
    said: Mutex<Option<Fault>>,
    pause: Mutex<Option<Duration>>,
}

impl Call {
    pub(super) fn new(clock: Clock) -> Call {
        let end = CancellationToken::new();
        Call(Arc::new(Inner { clock, end, said: Mutex::default(), pause: Mutex::default() }))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Ends every wait for the server.
    pub(super) fn give_up(&self) {
        self.0.end.cancel();
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.end.is_cancelled()
    }

    pub(super) async fn given_up(&self) {
        self.0.end.cancelled().await;
    }

    /// Keeps a fault, and gives an error to hand through gix.
    pub(super) fn say(&self, fault: Fault) -> io::Error {
        let text = fault.message.clone();
        lock(&self.0.said).get_or_insert(fault);
        io::Error::other(text)
    }

    /// What went wrong first, if anything did.
    pub(super) fn said(&self) -> Option<Fault> {
        lock(&self.0.said).take()
    }

    /// The server answered, and asks to be left alone for a while.
    pub(super) fn ask_for_pause(&self, pause: Duration) {
        let mut asked = lock(&self.0.pause);
        *asked = (*asked).max(Some(pause));
    }

    /// How long the server asked to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        lock(&self.0.pause).take()
    }
}

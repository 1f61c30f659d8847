//! The parts of one cluster that its API, its controllers and its side door share.

use crate::{clock::Clock, faults::Faults, options::Options, requests::RequestLog, state::State};
use std::sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) version: String,
    pub(crate) faults: Faults,
    pub(crate) requests: Mutex<RequestLog>,
    pub(crate) controlled: AtomicBool,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Shared {
        let clock = Clock::new(options.start);
        let (name, version) = (options.name.clone(), options.version.clone());
        let mut state = State::new(options, clock);
        let token = format!("sim-{}", state.uid());
        Shared {
            name,
            token,
            version,
            faults: Faults::default(),
            requests: Mutex::default(),
            controlled: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Another cluster in the same state, with every fault switched off.
    pub(crate) fn copy(&self) -> Shared {
        Shared {
            name: self.name.clone(),
            token: self.token.clone(),
            version: self.version.clone(),
            faults: Faults::default(),
            requests: Mutex::default(),
            controlled: AtomicBool::new(false),
            state: Mutex::new(self.state().copy()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, RequestLog> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Faults that a test switches on and off while the cluster runs.

use crate::requests::WRITES;
use crate::status::Status;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// How the network between client and cluster is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Requests and open streams are cut at once: a closed port, a firewall that answers.
    Reset,
    /// Nothing arrives and nothing is closed, until healed: a firewall that drops.
    Stall,
}

/// Requests to refuse.
#[derive(Clone, Debug)]
pub struct Reject {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`,
    /// `deletecollection`, `discovery`, or `*`.
    pub verb: String,
    /// `deployments.apps`, `configmaps`, `deployments.apps/status`, or `*`.
    pub resource: String,
    /// How often; `None` is always.
    pub times: Option<u32>,
    /// Only every so many of the requests that fit; 1 is each of them.
    pub every: u32,
    /// Requests that fitted.
    met: u32,
    /// The answer.
    pub answer: Status,
}

impl Reject {
    /// Refuses with this code, a fitting reason and this text, for ever.
    pub fn new(verb: &str, resource: &str, code: u16, message: &str) -> Reject {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            409 => "Conflict",
            410 => "Expired",
            413 => "RequestEntityTooLarge",
            // For `apply` of a resource: its API server cannot apply, as some aggregated ones cannot.
            415 => "UnsupportedMediaType",
            422 => "Invalid",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        Reject {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            times: None,
            every: 1,
            met: 0,
            answer: Status::new(code, reason, message),
        }
    }

    /// Refuses so often, then no more.
    #[must_use]
    pub fn times(mut self, times: u32) -> Reject {
        self.times = Some(times);
        self
    }

    /// Refuses one of so many.
    #[must_use]
    pub fn every(mut self, every: u32) -> Reject {
        self.every = every.max(1);
        self
    }

    /// Adds `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Reject {
        self.answer.retry_after = Some(seconds);
        self
    }
}

/// When a client loses its cluster, seen from one request of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request never arrives.
    Before,
    /// It is carried out, and its answer is lost.
    After,
}

/// What open watches are told to do, counted so that each watch acts once on each order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    pub(crate) partition: Option<Partition>,
    /// Watches opened before this many cuts end.
    pub(crate) cuts: u64,
    /// Watches opened before this many stalls go silent for ever.
    pub(crate) stalls: u64,
    /// Watches opened before this many errors receive `error` and end.
    pub(crate) errors: u64,
    pub(crate) error: Option<Status>,
}

#[derive(Debug, Default)]
struct Settings {
    slow: Duration,
    rejects: Vec<Reject>,
    expire_next: u32,
    no_initial_events: bool,
    /// Requests left until the network breaks, and whether the last of them arrives.
    crash: Option<(u64, Moment)>,
    /// Whether the request at which the network broke was one that may change something.
    crashed_a_write: bool,
}

/// The fault switches of one cluster.
#[derive(Debug)]
pub struct Faults {
    settings: Mutex<Settings>,
    orders: watch::Sender<Orders>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { settings: Mutex::default(), orders: watch::Sender::new(Orders::default()) }
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request waits this long before it is looked at; zero switches it off.
    pub fn slow(&self, delay: Duration) {
        self.lock().slow = delay;
    }

    /// Breaks the network, until `heal`.
    pub fn partition(&self, how: Partition) {
        self.orders.send_modify(|orders| orders.partition = Some(how));
    }

    /// Breaks the network at the `nth` request from now (1 is the next), until healed: as if the client died there.
    pub fn crash_at(&self, nth: u64, moment: Moment) {
        self.lock().crash = Some((nth, moment));
    }

    /// Resolves once the network broke at the request of [`Faults::crash_at`]; whether it was one that may change
    /// something.
    pub async fn crashed(&self) -> bool {
        let mut orders = self.orders.subscribe();
        // The sender lives as long as `self`.
        let _changed = orders.wait_for(|orders| orders.partition.is_some()).await;
        self.lock().crashed_a_write
    }

    /// Counts one request; breaks the network when it is the one.
    pub(crate) fn struck(&self, verb: &str) -> Option<Moment> {
        let mut settings = self.lock();
        let (left, moment) = settings.crash.as_mut()?;
        *left = left.saturating_sub(1);
        if *left > 0 {
            return None;
        }
        let moment = *moment;
        settings.crash = None;
        settings.crashed_a_write = WRITES.contains(&verb);
        drop(settings);
        if moment == Moment::Before {
            self.partition(Partition::Reset);
        }
        Some(moment)
    }

    /// Mends the network.
    pub fn heal(&self) {
        self.orders.send_modify(|orders| orders.partition = None);
    }

    /// Refuses requests. Several may be set; the first that fits answers.
    pub fn reject(&self, reject: Reject) {
        self.lock().rejects.push(reject);
    }

    /// Forgets all refusals.
    pub fn accept_all(&self) {
        self.lock().rejects.clear();
    }

    /// Ends every open watch as a restarted server does.
    pub fn cut_watches(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Makes every open watch silent for ever, without closing it: a half-open connection.
    pub fn stall_watches(&self) {
        self.orders.send_modify(|orders| orders.stalls += 1);
    }

    /// Sends an in-stream ERROR with this Status to every open watch, and ends it.
    pub fn fail_watches(&self, error: Status) {
        self.orders.send_modify(|orders| {
            orders.errors += 1;
            orders.error = Some(error);
        });
    }

    /// The next watches (so many) that name a resourceVersion answer 410 Gone in-stream.
    pub fn expire_watches(&self, times: u32) {
        self.lock().expire_next = times;
    }

    /// Watches that ask for `sendInitialEvents` get an in-stream ERROR 500, as from old servers.
    pub fn no_initial_events(&self, refuse: bool) {
        self.lock().no_initial_events = refuse;
    }

    /// Switches everything off.
    pub fn clear(&self) {
        *self.lock() = Settings::default();
        self.heal();
    }

    pub(crate) fn delay(&self) -> Duration {
        self.lock().slow
    }

    pub(crate) fn orders(&self) -> watch::Receiver<Orders> {
        self.orders.subscribe()
    }

    pub(crate) fn refusal(&self, verb: &str, resource: &str) -> Option<Status> {
        let fits = |wanted: &str, got: &str| wanted == "*" || wanted == got;
        let mut settings = self.lock();
        let found = settings.rejects.iter_mut().find(|reject| {
            reject.times != Some(0) && fits(&reject.verb, verb) && fits(&reject.resource, resource)
        })?;
        found.met = found.met.wrapping_add(1);
        if !found.met.is_multiple_of(found.every) {
            return None;
        }
        if let Some(times) = &mut found.times {
            *times -= 1;
        }
        Some(found.answer.clone())
    }

    pub(crate) fn refuses_initial_events(&self) -> bool {
        self.lock().no_initial_events
    }

    pub(crate) fn expires_now(&self) -> bool {
        let mut settings = self.lock();
        let expires = settings.expire_next > 0;
        settings.expire_next = settings.expire_next.saturating_sub(1);
        expires
    }
}

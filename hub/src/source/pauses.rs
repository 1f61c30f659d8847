//! Servers that asked to be left alone, and until when. All sources of a server obey, whoever was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use model::Reason;

use super::{fault::Fault, lock};

/// Servers that are left alone; cloning it gives another handle on the same list.
#[derive(Debug, Clone, Default)]
pub(super) struct Pauses(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Pauses {
    pub(super) fn set(&self, host: &str, pause: Duration) {
        if !host.is_empty() {
            lock(&self.0).insert(host.to_owned(), Instant::now() + pause);
        }
    }

    /// A fault while the server wants no question.
    pub(super) fn check(&self, host: &str, url: &str) -> Result<(), Fault> {
        let mut all = lock(&self.0);
        all.retain(|_, until| Instant::now() < *until);
        let Some(until) = all.get(host) else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        let message = format!("`{url}`: `{host}` asked for a pause, and is asked again after it");
        Err(Fault::new(Reason::SourceRateLimited, message).after(Some(left)))
    }
}

//! Objects that the API server refused for good: they are not sent again before their time, or before something about
//! them changed. Without it one wrong object would be sent with every round that another object asks for. No client.

use std::collections::BTreeMap;
use std::time::Duration;

use model::ObjectKey;
use plan::{Fingerprint, Sight};

use super::report::Trouble;

#[derive(Debug, Clone)]
struct Refusal {
    trouble: Trouble,
    /// What was sent.
    sent: Fingerprint,
    /// What was there: version of the live object, when there was one.
    onto: Option<String>,
    again: Duration,
}

/// What was refused, by object.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    all: BTreeMap<ObjectKey, Refusal>,
}

fn version(live: Sight<'_>) -> Option<String> {
    match live {
        Sight::Present(meta) => Some(meta.resource_version.clone()),
        Sight::Absent | Sight::Unknown => None,
    }
}

impl Refusals {
    /// The refusal that still stands, with the time that is left of it.
    pub(super) fn standing(
        &self,
        key: &ObjectKey,
        sent: Fingerprint,
        live: Sight<'_>,
        now: Duration,
    ) -> Option<Trouble> {
        let refusal = self.all.get(key)?;
        let same = refusal.sent == sent && refusal.onto == version(live) && now < refusal.again;
        same.then(|| Trouble {
            retry: refusal.again.saturating_sub(now),
            ..refusal.trouble.clone()
        })
    }

    /// Notes a refusal; only one that waiting does not cure is worth it.
    pub(super) fn note(
        &mut self,
        key: &ObjectKey,
        sent: Fingerprint,
        live: Sight<'_>,
        trouble: &Trouble,
        now: Duration,
    ) {
        if trouble.terminal {
            let (trouble, again) = (trouble.clone(), now + trouble.retry);
            let refusal = Refusal { trouble, sent, onto: version(live), again };
            self.all.insert(key.clone(), refusal);
        }
    }

    /// Everything may be tried again: other kinds are served, or somebody else is asked.
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }
}

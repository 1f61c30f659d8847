//! Which App hands which objects over to which other one, as far as the sets of this cluster's Apps say it themselves.
//! No client.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::{AppName, ObjectKey};
use plan::Desired;

/// By the App that takes: what, and from whom.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    taken: Mutex<BTreeMap<AppName, BTreeMap<ObjectKey, AppName>>>,
}

impl Handovers {
    /// Notes what the set of `app` says that it takes from others.
    pub(super) fn note(&self, app: &AppName, desired: &Desired) {
        let takes = desired.objects().values();
        let takes: BTreeMap<ObjectKey, AppName> = takes
            .filter_map(|object| Some((object.key.clone(), object.choices.transfer_from.clone()?)))
            .collect();
        let mut known = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if takes.is_empty() {
            known.remove(app);
        } else {
            known.insert(app.clone(), takes);
        }
    }

    /// What other Apps take from `app`, and which.
    pub(super) fn leaving(&self, app: &AppName) -> BTreeMap<ObjectKey, AppName> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut leaving = BTreeMap::new();
        for (taker, objects) in taken.iter().filter(|(taker, _)| *taker != app) {
            let ours = objects.iter().filter(|(_, from)| *from == app);
            leaving.extend(ours.map(|(key, _)| (key.clone(), taker.clone())));
        }
        leaving
    }
}

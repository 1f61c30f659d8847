//! What makes a cluster move: the work of the controller manager, the scheduler and the kubelets,
//! on tokio's clock. Each pass looks at the whole state and takes one step for every object.

mod definitions;

mod deployment;

mod stateful;

mod daemon;

mod job;

mod replicas;

mod pods;

mod volumes;

mod quotas;

mod endpoints;

mod namespaces;

mod collector;

mod pass;

use crate::shared::Shared;
use pass::Pass;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// Starts the controllers once, when there is a runtime to run them on.
pub(crate) fn ensure(shared: &Arc<Shared>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if shared.controlled.swap(true, Ordering::SeqCst) {
        return;
    }
    let (tick, wanted) = {
        let state = shared.state();
        (state.options.tick, state.options.controllers)
    };
    // Detached on purpose: the task holds only a weak handle and ends with the cluster.
    drop(runtime.spawn(run(Arc::downgrade(shared), tick, wanted)));
}

/// Sleeps while nothing changes and nothing is due, so that an idle cluster costs nothing.
async fn run(shared: Weak<Shared>, tick: Duration, all: bool) {
    let Some(mut changed) = shared.upgrade().map(|shared| shared.state().changed.subscribe())
    else {
        return;
    };
    let mut since = BTreeMap::new();
    loop {
        let due = {
            let Some(shared) = shared.upgrade() else { return };
            changed.mark_unchanged();
            let mut state = shared.state();
            let mut pass = Pass::new(&mut state, &mut since);
            step(&mut pass, all);
            pass.finish()
        };
        let woken = match due {
            None => changed.changed().await.is_ok(),
            Some(at) => tokio::select! {
                woken = changed.changed() => woken.is_ok(),
                () = tokio::time::sleep_until(at) => true,
            },
        };
        if !woken {
            return;
        }
        tokio::time::sleep_until(Instant::now() + tick).await;
    }
}

fn step(pass: &mut Pass<'_>, all: bool) {
    definitions::step(pass);
    namespaces::step(pass, all);
    if !all {
        return;
    }
    collector::step(pass);
    deployment::step(pass);
    stateful::step(pass);
    daemon::step(pass);
    job::step(pass);
    replicas::step(pass);
    pods::step(pass);
    volumes::step(pass);
    endpoints::step(pass);
    quotas::step(pass);
}

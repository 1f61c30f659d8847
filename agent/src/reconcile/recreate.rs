//! Replaces an object whose change a live object does not take, when its author allows it: noted in the inventory first,
//! deleted with the uid and the version that were judged, awaited, made again. Not cut short by a newer grant: what is
//! deleted here must come back. Uses the client.

use std::time::Duration;

use model::{ObjectKey, Reason};
use plan::{Failure, LiveMeta, Ownership, Recreate, Spread, Verb, Why, recreate_decision};
use tokio::time::Instant;

use super::answer::understand;
use super::apply::{Applied, Stop, apply, served};
use super::report::Trouble;
use super::stage::{Ledger, Stage};
use super::terminating::terminating;
use crate::cluster::{Propagation, Resource};

/// First pause between two looks whether it is gone; doubles.
const LOOK_MIN: Duration = Duration::from_millis(20);
/// Longest pause.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// Replaces `key`, whose update failed with `failure`.
pub(super) async fn recreate(
    stage: Stage<'_>,
    key: &ObjectKey,
    failure: &Failure,
    ledger: &mut Ledger<'_>,
) -> Result<Applied, Trouble> {
    let (Some(object), Some(entry)) =
        (stage.release.desired.get(key), ledger.inventory.get(key).cloned())
    else {
        return Err(Trouble::of(failure));
    };
    let place = served(stage, key, object).await?;
    let reply = stage.shared.cluster.metadata(&place, key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    let Some(meta) = LiveMeta::read(&reply.body, &Ownership::of(stage.app)) else {
        return Err(Trouble::of(failure));
    };
    let allowed = stage.choices.recreate;
    let decision = recreate_decision(object, &entry, &meta, stage.app, allowed, failure);
    let (uid, version, spread) = match decision {
        Recreate::Refuse(why) => {
            let trouble = Trouble::of(failure);
            let message = format!("{} (not replaced: {why})", trouble.message);
            return Err(Trouble { message, ..trouble });
        }
        Recreate::Do { uid, resource_version, spread } => (uid, resource_version, spread),
    };
    ledger.inventory.recreating(key);
    ledger.store(stage.shared).await?;
    tracing::warn!(app = %stage.app, %key, "replaced, because a field changed that cannot change");
    let propagation = match spread {
        Spread::Background => Propagation::Background,
        Spread::Foreground => Propagation::Foreground,
        Spread::Orphan => Propagation::Orphan,
    };
    let reply = stage.writer.delete(&place, key, (&uid, Some(&version)), propagation).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    if !reply.is_success() && reply.code != 404 {
        stage.shared.mirror.doubt(key);
        return Err(Trouble::of(&understand(stage, key, Verb::Delete, &reply)));
    }
    gone(stage, key, &place, &uid).await?;
    match apply(stage, key, &Why::Recreate, None).await {
        Ok(applied) => Ok(applied),
        Err(Stop::Trouble(trouble)) => Err(trouble),
        Err(Stop::Immutable(failure)) => Err(Trouble::of(&failure)),
    }
}

/// Waits until it is gone; what takes longer is taken up again in a later round, because the inventory remembers.
async fn gone(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    uid: &str,
) -> Result<(), Trouble> {
    let until = Instant::now() + stage.shared.limits.wait;
    let mut pause = LOOK_MIN;
    loop {
        let reply = stage.shared.cluster.metadata(place, key).await;
        let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
        let meta = LiveMeta::read(&reply.body, &Ownership::of(stage.app));
        match meta.filter(|meta| reply.code == 200 && meta.uid == uid) {
            None => {
                stage.shared.mirror.found(key, None);
                return Ok(());
            }
            Some(meta) if Instant::now() >= until => {
                let held = terminating(stage, key, &meta.finalizers).await;
                return Err(Trouble::not_yet(Reason::ObjectTerminating, held));
            }
            Some(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

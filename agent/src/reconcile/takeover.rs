//! Before the first apply of an object that somebody else made or owned: its fields change hands, so that what a later
//! release drops really goes. Uses the client.

use model::{ObjectKey, Reason};
use plan::{Adopt, DiffOptions, Migrate, Ownership, Schemas, Verb, Why, identical};
use serde_json::Value;

use super::answer::understand;
use super::report::Trouble;
use super::stage::Stage;
use crate::cluster::{Reply, Resource};

/// Tries when somebody else writes at the same time.
const RACES_MAX: usize = 5;

/// Moves the fields of client-side apply, of an adopted tool, or of the App that hands the object over.
pub(super) async fn take_over(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    why: &Why,
    adopt: Adopt,
) -> Result<(), Trouble> {
    let ownership = Ownership::of(stage.app);
    let migrate = Migrate { managers: Vec::new(), delivery_tools: adopt == Adopt::Always };
    let patch_for = |live: &Value| match why {
        Why::Transfer(from) => plan::transfer_patch(live, &ownership, from),
        Why::Adopt | Why::Resume => plan::migrate_patch(live, &ownership, &migrate),
        Why::Create | Why::Update | Why::Drift(_) | Why::Recreate => None,
    };
    if !matches!(why, Why::Transfer(_) | Why::Adopt | Why::Resume) {
        return Ok(());
    }
    for _ in 0..RACES_MAX {
        let live = read(stage, key, place).await?;
        let Some(patch) = patch_for(&live.body).filter(|_| live.is_success()) else {
            return Ok(());
        };
        let patch = Value::Array(patch);
        let reply = stage.writer.patch(place, key, &patch, ownership.manager()).await;
        let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
        match reply.code {
            _ if reply.is_success() => {
                stage.shared.mirror.wrote(key, &reply.body);
                return Ok(());
            }
            409 => {}
            _ => return Err(Trouble::of(&understand(stage, key, Verb::Apply, &reply))),
        }
    }
    Err(Trouble::waiting(Reason::FieldConflict, "it changes faster than its owner can be changed"))
}

/// The whole object as it is; 404 counts as an answer.
pub(super) async fn read(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
) -> Result<Reply, Trouble> {
    let reply = stage.shared.cluster.object(place, key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    if reply.is_success() || reply.code == 404 {
        Ok(reply)
    } else {
        Err(Trouble::of(&understand(stage, key, Verb::Read, &reply)))
    }
}

/// Whether applying would change nothing but our marks; else says what it would change.
pub(super) async fn compare(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    body: &Value,
) -> Result<(), Trouble> {
    let ownership = Ownership::of(stage.app);
    let live = read(stage, key, place).await?;
    let answer = stage.writer.rehearse(place, key, body, ownership.manager()).await;
    let answer = answer.map_err(|fault| Trouble::unreachable(&fault))?;
    if !answer.is_success() {
        return Err(Trouble::of(&understand(stage, key, Verb::Apply, &answer)));
    }
    if identical(&live.body, &answer.body) {
        return Ok(());
    }
    let (schemas, migrate) = (Schemas::new(), Migrate::default());
    let options = DiffOptions::new(&ownership, &schemas, stage.shared.state.key(), &migrate);
    let diff = plan::summary(key, &plan::diff(body, &live.body, &options));
    let why = format!("it exists already and is not identical, so it was not touched: {diff}");
    Err(Trouble::terminal(Reason::ExistsUnowned, why))
}

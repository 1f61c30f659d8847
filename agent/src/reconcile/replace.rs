//! For kinds whose API server cannot apply (405, 415: some aggregated ones): read, merge, and write under the version that
//! was read. Whose object it is, is asked of what was read; who owns which field, such a server does not tell. Uses the
//! client.

use model::{ObjectKey, Reason};
use plan::{Class, LiveMeta, Ownership, Verb, three_way};
use serde_json::Value;

use super::answer::understand;
use super::report::Trouble;
use super::stage::Stage;
use super::takeover::read;
use crate::cluster::{Reply, Resource, Validation};

/// Tries when somebody else writes at the same time.
const RACES_MAX: usize = 5;

/// What came of it.
pub(super) enum Replaced {
    /// Written.
    Written(Reply),
    /// Everything is as it shall be; as read.
    Unchanged(Reply),
    /// Refused by the API server.
    Refused(Reply),
}

/// Makes `key` what `body` says. `wanted` is the body before fields were left to others, `uid` the object that is meant:
/// `None` makes a new one, and nothing else.
pub(super) async fn replace(
    stage: Stage<'_>,
    key: &ObjectKey,
    place: &Resource,
    (body, wanted): (&Value, &Value),
    uid: Option<&str>,
    validation: Validation,
) -> Result<Replaced, Trouble> {
    let ownership = Ownership::of(stage.app);
    let manager = ownership.manager();
    for _ in 0..RACES_MAX {
        let live = read(stage, key, place).await?;
        let reply = if live.code == 404 {
            if uid.is_some() {
                return Err(changed(stage, key));
            }
            let first = three_way(&Value::Object(serde_json::Map::new()), body, wanted, &ownership);
            stage.writer.create(place, key, &first, manager, validation).await
        } else {
            let meta = LiveMeta::read(&live.body, &ownership).unwrap_or_default();
            if uid != Some(&meta.uid) {
                return Err(changed(stage, key));
            }
            if let Some(owner) = meta.owner.as_deref().filter(|owner| *owner != ownership.label()) {
                let why = format!("{key} belongs to App `{owner}`");
                return Err(Trouble::terminal(Reason::OwnedByAnotherApp, why));
            }
            if meta.deleting {
                let why = "it is being deleted";
                return Err(Trouble::not_yet(Reason::ObjectTerminating, why));
            }
            let merged = three_way(&live.body, body, wanted, &ownership);
            if merged == live.body {
                return Ok(Replaced::Unchanged(live));
            }
            stage.writer.replace(place, key, &merged, manager, validation).await
        };
        let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
        if reply.is_success() {
            return Ok(Replaced::Written(reply));
        }
        if understand(stage, key, Verb::Apply, &reply).class != Class::Race {
            return Ok(Replaced::Refused(reply));
        }
    }
    Err(Trouble::waiting(Reason::FieldConflict, "it changes faster than it can be written"))
}

/// It is not what was planned for: looked at again, and decided again.
fn changed(stage: Stage<'_>, key: &ObjectKey) -> Trouble {
    stage.shared.mirror.doubt(key);
    Trouble::not_yet(Reason::Applying, "it changed since it was looked at")
}

//! Applies one object: not forced, refused on conflict unless the policy takes or yields the field.

use model::{ObjectKey, Reason};
use plan::{
    Class, ConflictCause, DesiredObject, Failure, LiveMeta, Ownership, Resolution, Verb, Why,
    Written, conflict_policy,
};
use serde_json::Value;

use super::answer::{planned, understand};
use super::replace::{Replaced, replace};
use super::report::Trouble;
use super::stage::Stage;
use super::takeover::{read, take_over};
use crate::cluster::{Force, Found, Reply, Resource, Validation};

/// Requests for one object in one round: apply, yield, force, and once more.
const TRIES_MAX: usize = 4;

/// A write that was answered.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) written: Written,
    /// Whose field was taken back.
    pub(super) taken_from: Option<String>,
    /// It was looked at whole, and nothing had to be written.
    pub(super) unchanged: bool,
}

/// Why an object was not applied.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something stands in the way.
    Trouble(Trouble),
    /// The manifest is right, and the change is one that a live object does not take.
    Immutable(Failure),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::Trouble(trouble)
    }
}

/// Applies `key`. `uid` makes the server refuse when the object has become another one.
pub(super) async fn apply(
    stage: Stage<'_>,
    key: &ObjectKey,
    why: &Why,
    uid: Option<&str>,
) -> Result<Applied, Stop> {
    let Some(object) = stage.release.desired.get(key) else {
        let why = "it is in the plan and not desired";
        return Err(Trouble::terminal(Reason::Internal, why).into());
    };
    let resource = served(stage, key, object).await?;
    let adopt = object.choices.adopt.unwrap_or(stage.choices.adopt);
    take_over(stage, key, &resource, why, adopt).await?;
    let ownership = Ownership::of(stage.app);
    let validation = match why {
        Why::Drift(_) => Validation::Warn,
        Why::Create | Why::Update | Why::Resume | Why::Adopt | Why::Transfer(_) | Why::Recreate => {
            Validation::Strict
        }
    };
    let mut body = object.body_for(uid);
    if !matches!(why, Why::Create | Why::Recreate) {
        leave_to_others(stage, object, &resource, &mut body).await?;
    }
    let mut force = Force::No;
    let mut taken_from = None;
    for _ in 0..TRIES_MAX {
        let manager = ownership.manager();
        let reply = stage
            .writer
            .apply(&resource, key, &body, manager, (force, validation))
            .await
            .map_err(|fault| Trouble::unreachable(&fault))?;
        if reply.is_success() {
            return Ok(accepted(stage, key, object, &ownership, &reply, taken_from)?);
        }
        let failure = understand(stage, key, Verb::Apply, &reply);
        if failure.class == Class::NoSsa {
            return by_whole(stage, object, &resource, &body, uid, validation).await;
        }
        let Class::Conflict(causes) = &failure.class else {
            return Err(refused(stage, key, &resource, &body, uid, failure).await);
        };
        stage.shared.metrics.conflict(&key.kind);
        match resolve(causes, &reply.body) {
            Resolution::Fail => return Err(Trouble::of(&failure).into()),
            Resolution::Yield => {
                for cause in causes {
                    let through = through_scale(&reply.body, cause);
                    if conflict_policy(&cause.manager, &cause.field, through) == Resolution::Yield {
                        plan::yield_field(&mut body, &cause.field);
                    }
                }
                tracing::debug!(%key, "a field is shared with a scaler");
            }
            Resolution::Force => {
                force = Force::Yes;
                taken_from = causes.first().map(|cause| cause.manager.clone());
            }
        }
    }
    let why = "its fields change hands faster than we apply";
    Err(Trouble::waiting(Reason::FieldConflict, why).into())
}

/// Takes out of the body what the App leaves to others, by what is there now.
async fn leave_to_others(
    stage: Stage<'_>,
    object: &DesiredObject,
    place: &Resource,
    body: &mut Value,
) -> Result<(), Trouble> {
    let pointers = &object.choices.ignore;
    if pointers.is_empty() {
        return Ok(());
    }
    let live = read(stage, &object.key, place).await?;
    if live.is_success() {
        plan::shape_body(body, pointers, &live.body, &Ownership::of(stage.app));
    }
    Ok(())
}

/// Where the release wants it served.
pub(super) async fn served(
    stage: Stage<'_>,
    key: &ObjectKey,
    object: &DesiredObject,
) -> Result<Resource, Trouble> {
    let version = object.version();
    let mut found = stage.shared.cluster.kinds().find(&key.group, version, &key.kind);
    if !matches!(found, Found::Served(_)) {
        let kinds = stage.shared.cluster.refresh_kinds().await;
        let kinds = kinds.map_err(|fault| Trouble::unreachable(&fault))?;
        found = kinds.find(&key.group, version, &key.kind);
    }
    let api = &object.api_version;
    match found {
        Found::Served(resource) => Ok(resource),
        Found::Unknown => Err(Trouble::waiting(
            Reason::ApiServerUnreachable,
            format!("whether `{api}` is served cannot be told now"),
        )),
        Found::OtherVersions(versions) => Err(Trouble::terminal(
            Reason::KindMissing,
            format!("`{api}` is not served; served are: {}", versions.join(", ")),
        )),
        Found::No if planned(stage, key) => Err(Trouble::not_yet(
            Reason::DependencyFailed,
            format!("waits until `{api}` is served"),
        )),
        Found::No => Err(Trouble::terminal(
            Reason::KindMissing,
            format!("`{api}` {} is not served by this cluster", key.kind),
        )),
    }
}

/// Takes the answer of a write that worked.
fn accepted(
    stage: Stage<'_>,
    key: &ObjectKey,
    object: &DesiredObject,
    ownership: &Ownership,
    reply: &Reply,
    taken_from: Option<String>,
) -> Result<Applied, Trouble> {
    let Some(meta) = LiveMeta::read(&reply.body, ownership) else {
        stage.shared.mirror.doubt(key);
        return Err(Trouble::waiting(Reason::ApiServerUnreachable, "the answer has no metadata"));
    };
    stage.shared.mirror.wrote(key, &reply.body);
    if meta.deleting {
        // 200 onto an object on its way out means nothing: it vanishes all the same.
        return Err(Trouble::not_yet(Reason::ObjectTerminating, "it is being deleted"));
    }
    let version = object.version().to_owned();
    let written = Written { version, fingerprint: object.fingerprint, meta };
    Ok(Applied { written, taken_from, unchanged: false })
}

/// Where the API server cannot apply.
async fn by_whole(
    stage: Stage<'_>,
    object: &DesiredObject,
    place: &Resource,
    body: &Value,
    uid: Option<&str>,
    validation: Validation,
) -> Result<Applied, Stop> {
    let (key, ownership) = (&object.key, Ownership::of(stage.app));
    match replace(stage, key, place, (body, &object.body), uid, validation).await? {
        Replaced::Written(reply) => Ok(accepted(stage, key, object, &ownership, &reply, None)?),
        Replaced::Unchanged(reply) => {
            let applied = accepted(stage, key, object, &ownership, &reply, None)?;
            Ok(Applied { unchanged: true, ..applied })
        }
        Replaced::Refused(reply) => {
            let failure = understand(stage, key, Verb::Apply, &reply);
            Err(refused(stage, key, place, body, uid, failure).await)
        }
    }
}

/// What a refusal asks for before it is believed.
async fn refused(
    stage: Stage<'_>,
    key: &ObjectKey,
    resource: &Resource,
    body: &Value,
    uid: Option<&str>,
    failure: Failure,
) -> Stop {
    let class = failure.class.clone();
    let mut failure = failure;
    // Is the object wrong, or only the change? A dry-run under another name tells.
    if class == Class::Invalid && uid.is_some() {
        let probe = plan::probe_body(body, "tidegate-probe");
        let manager = Ownership::of(stage.app);
        let answer = stage.writer.probe(resource, key, &probe, manager.manager()).await;
        if let Ok(reply) = answer {
            failure = plan::probe_verdict(failure, reply.code);
        }
    }
    if matches!(class, Class::Race | Class::Ambiguous | Class::Gone) {
        stage.shared.mirror.doubt(key);
    }
    if class == Class::UnknownKind
        && let Err(fault) = stage.shared.cluster.refresh_kinds().await
    {
        tracing::debug!(fault = crate::fault::causes(&fault), "discovery failed");
    }
    if failure.class == Class::Immutable {
        Stop::Immutable(failure)
    } else {
        Stop::Trouble(Trouble::of(&failure))
    }
}

/// The worst of the resolutions: `Fail` over `Yield` over `Force`.
fn resolve(causes: &[ConflictCause], status: &Value) -> Resolution {
    let one = |c: &ConflictCause| conflict_policy(&c.manager, &c.field, through_scale(status, c));
    causes.iter().map(one).max().unwrap_or(Resolution::Fail)
}

/// Whether the server says that the field was set through the `scale` subresource.
fn through_scale(status: &Value, cause: &ConflictCause) -> bool {
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    causes.into_iter().flatten().any(|c| {
        let text = |name: &str| c.get(name).and_then(Value::as_str).unwrap_or("");
        text("field") == cause.field
            && text("message").contains(&format!("\"{}\"", cause.manager))
            && text("message").contains("subresource \"scale\"")
    })
}

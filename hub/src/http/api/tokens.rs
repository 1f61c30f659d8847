//! Named tokens: who may talk to the hub, and what their role lets them do. Only admins see and change them.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
};
use jiff::SignedDuration;
use model::{
    Digest, Reason,
    api::{AddToken, AddedToken, List, TokenItem},
};
use rollout::{Actor, Role};

use super::{blocking, body};
use crate::{
    http::{Parts, auth, problem::Problem},
    registry::AccessRecord,
};

/// Longest name of a person, and of a group, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Groups of one person.
const GROUPS_MAX: usize = 100;

/// Longest life in seconds that can be asked for: ten years; whoever means longer says no end.
const LIFE_SECONDS_MAX: u64 = 10 * 366 * 24 * 3_600;

pub(super) async fn list(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
) -> Result<Json<List<TokenItem>>, Problem> {
    auth::needs(&actor, Role::Admin)?;
    Ok(Json(List::new(parts.registry.people().iter().map(item).collect())))
}

pub(super) async fn add(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    document: Result<Json<AddToken>, JsonRejection>,
) -> Result<Json<AddedToken>, Problem> {
    auth::needs(&actor, Role::Admin)?;
    let asked = body(document)?;
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.chars().all(|c| c.is_alphanumeric() || "-_.@+".contains(c))
    };
    if !plain(&asked.name) || asked.name == auth::ADMIN {
        let text = format!("`{}` is not a name that a person can have", asked.name);
        return Err(Problem::bad(text).hint(
            "letters, digits, `-_.@+`, at most 100; `admin` is who has the hub's own token",
        ));
    }
    if asked.groups.len() > GROUPS_MAX || !asked.groups.iter().all(|group| plain(group)) {
        return Err(Problem::bad("a group has a name that no group can have")
            .hint("letters, digits, `-_.@+`, at most 100; at most 100 groups"));
    }
    let role = role(&asked.role)?;
    let now = parts.clock.now();
    let bad = || Problem::bad("no token lives so long").hint("at most ten years; or leave it out");
    let life = asked.for_seconds.map(|seconds| {
        let fits = (1..=LIFE_SECONDS_MAX).contains(&seconds);
        let seconds = i64::try_from(seconds).ok().filter(|_| fits).ok_or_else(bad)?;
        now.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| bad())
    });
    let expires_at = life.transpose()?;
    let token = auth::fresh_token()
        .map_err(|e| Problem::new(Reason::Internal, format!("no random bytes: {e}")))?;
    let hash = Digest::of(token.as_bytes());
    let AddToken { name, groups, .. } = asked;
    let person = AccessRecord { name, role, groups, hash, created_at: now, expires_at };
    let added = AddedToken { item: item(&person), token };
    let registry = parts.registry.clone();
    blocking(move || Ok(registry.add_person(person, &actor.name)?)).await?;
    Ok(Json(added))
}

pub(super) async fn remove(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<Json<TokenItem>, Problem> {
    auth::needs(&actor, Role::Admin)?;
    let (registry, now) = (parts.registry.clone(), parts.clock.now());
    let person = blocking(move || Ok(registry.delete_person(&name, &actor.name, now)?)).await?;
    Ok(Json(item(&person)))
}

/// Who the bearer of the request's token is.
pub(super) async fn me(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
) -> Json<serde_json::Value> {
    let expires = parts.registry.people().into_iter().find(|p| p.name == actor.name);
    Json(serde_json::json!({
        "apiVersion": model::api::API_VERSION,
        "name": actor.name,
        "role": actor.role.as_str(),
        "groups": actor.groups,
        "expiresAt": expires.and_then(|p| p.expires_at),
    }))
}

fn role(word: &str) -> Result<Role, Problem> {
    let known = [Role::Viewer, Role::Operator, Role::Admin];
    known.into_iter().find(|role| role.as_str() == word).ok_or_else(|| {
        Problem::bad(format!("`{word}` is not a role")).hint("it is viewer, operator or admin")
    })
}

fn item(person: &AccessRecord) -> TokenItem {
    TokenItem {
        name: person.name.clone(),
        role: person.role.as_str().to_owned(),
        groups: person.groups.clone(),
        created_at: person.created_at,
        expires_at: person.expires_at,
    }
}

//! Who sends a request, and what their role lets them do. The admin token is made at the first start and
//! kept in a file that only its owner can read; all others have a name, a role and groups in the registry.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use axum::{
    Extension,
    extract::{Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::Reason;
use rollout::{Actor, Role};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::{Parts, problem::Problem};

/// Name of the file below the data directory.
const FILE: &str = "admin.token";

/// Name of whoever bears the admin token.
pub(super) const ADMIN: &str = "admin";

/// Random bytes in a token: beyond guessing.
const TOKEN_BYTES: usize = 32;

/// Hash of the token that lets a person in. The token itself is in the file only.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(«redacted»)")
    }
}

/// The token cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("read or make the admin token `{path}`")]
pub struct TokenError {
    path: String,
    #[source]
    cause: io::Error,
}

impl AdminToken {
    /// Reads `DIR/admin.token`, or makes it with mode 0600.
    pub fn load_or_make(data_dir: &Path) -> Result<AdminToken, TokenError> {
        let path = data_dir.join(FILE);
        let fault = |cause| TokenError { path: path.display().to_string(), cause };
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(AdminToken::hash(text.trim())),
            Ok(_) => Err(fault(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is empty; delete it and start the hub again to get a new token",
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = fresh_token().map_err(fault)?;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                let mut file = options.open(&path).map_err(fault)?;
                file.write_all(token.as_bytes())
                    .and_then(|()| file.write_all(b"\n"))
                    .map_err(fault)?;
                file.sync_all().map_err(fault)?;
                Ok(AdminToken::hash(&token))
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn hash(token: &str) -> AdminToken {
        AdminToken(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in constant time.
    fn lets_in(&self, token: &str) -> bool {
        AdminToken::hash(token).0.ct_eq(&self.0).into()
    }
}

/// A new token, as a person gets it.
pub(super) fn fresh_token() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("tga1.{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Lets a request pass that carries a token, and says to the handlers who sent it. Whatever changes
/// something needs the role operator at least.
pub(super) async fn require(
    State(parts): State<Parts>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    let token = header.and_then(|h| h.strip_prefix("Bearer ")).map(str::trim);
    let Some(token) = token else { return refuse("the request carries no token") };
    let Some(actor) = who(&parts, token) else { return refuse("the token is not this hub's") };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && let Err(problem) = needs(&actor, Role::Operator) {
        return problem.into_response();
    }
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// Whose token it is.
fn who(parts: &Parts, token: &str) -> Option<Actor> {
    if parts.admin.lets_in(token) {
        let name = ADMIN.to_owned();
        return Some(Actor { name, role: Role::Admin, ..Actor::default() });
    }
    parts.registry.bearer(token, parts.clock.now())
}

/// Lets admins pass and nobody else.
pub(super) async fn admins_only(
    Extension(actor): Extension<Actor>,
    request: Request,
    next: Next,
) -> Response {
    match needs(&actor, Role::Admin) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refused to whoever has a lesser role.
pub(super) fn needs(actor: &Actor, role: Role) -> Result<(), Problem> {
    if actor.role >= role {
        return Ok(());
    }
    let (has, needs) = (actor.role.as_str(), role.as_str());
    let text = format!("{} has the role {has}, and this needs {needs}", actor.name);
    Err(Problem::new(Reason::NotAllowed, text).hint(format!("ask somebody with the role {needs}")))
}

fn refuse(why: &str) -> Response {
    Problem::new(Reason::Unauthorized, why)
        .hint("give a token with `--token-file FILE`; the first one is in `DIR/admin.token` of the hub")
        .into_response()
}

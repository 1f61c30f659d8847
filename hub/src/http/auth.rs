//! The admin token: made at the first start, kept in a file that only its owner can read.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::Reason;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::{Parts, problem::Problem};

/// Name of the file below the data directory.
const FILE: &str = "admin.token";

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
                let mut bytes = [0; TOKEN_BYTES];
                getrandom::fill(&mut bytes).map_err(|e| fault(io::Error::other(e.to_string())))?;
                let token = format!("tga1.{}", URL_SAFE_NO_PAD.encode(bytes));
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

/// Lets a request pass that carries the token.
pub(super) async fn require(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    let token = header.and_then(|h| h.strip_prefix("Bearer ")).map(str::trim);
    match token {
        Some(token) if parts.admin.lets_in(token) => next.run(request).await,
        Some(_) => refuse("the token is not this hub's"),
        None => refuse("the request carries no token"),
    }
}

fn refuse(why: &str) -> Response {
    Problem::new(Reason::Unauthorized, why)
        .hint("give the hub's admin token with `--token-file DIR/admin.token`")
        .into_response()
}

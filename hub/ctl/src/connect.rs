//! The hub's API over HTTP. The only file that knows there is a network.

use std::{path::PathBuf, time::Duration};

use model::api::Problem;
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Exit};

/// How long one request may take; the hub answers from memory.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the hub is and how we prove who we are.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    url: String,
    token: Option<Token>,
    client: reqwest::Client,
}

/// A bearer token; never printed.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("«redacted»")
    }
}

impl Hub {
    /// Prepares a client; nothing is sent yet.
    pub(crate) fn new(url: &str, token_file: Option<&PathBuf>) -> Result<Hub, Error> {
        // Fails only when a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let token = token_file.map(read_token).transpose()?;
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|e| Error::new(Exit::Internal, format!("prepare the HTTP client: {e}")))?;
        Ok(Hub { url: url.trim_end_matches('/').to_owned(), token, client })
    }

    /// Reads a document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// Sends a document, reads one.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Replaces a document.
    pub(crate) async fn put<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Removes a thing.
    pub(crate) async fn delete(&self, path: &str) -> Result<serde_json::Value, Error> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Error> {
        let mut request = self.client.request(method, format!("{}/api/v1/{path}", self.url));
        if let Some(Token(token)) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|e| self.not_a_hub(status, &e));
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Err(Error::from_problem(problem)),
            Err(e) => Err(self.not_a_hub(status, &e)),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let message = format!("reach the hub at {}: {cause}", self.url);
        Error::new(Exit::Unreachable, message)
            .hint("is the hub running? give its address with `--hub URL` or TIDEGATE_HUB")
    }

    fn not_a_hub(&self, status: StatusCode, error: &serde_json::Error) -> Error {
        let message =
            format!("{} answered {status}, but not as a Tidegate hub does ({error})", self.url);
        Error::new(Exit::Internal, message)
            .hint("check the address, and that no proxy answers in the hub's place")
    }
}

fn read_token(file: &PathBuf) -> Result<Token, Error> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Error::new(Exit::NotAllowed, format!("read the token file `{}`: {e}", file.display()))
            .hint("the hub writes it to `DIR/admin.token` at its first start")
    })?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("the token file `{}` holds no token", file.display());
        return Err(Error::new(Exit::NotAllowed, message));
    }
    Ok(Token(token.to_owned()))
}

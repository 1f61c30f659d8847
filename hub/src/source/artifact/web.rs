//! Asking a registry or a chart repository: bounded answers, bounded waits, credentials for their own server only.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use model::Reason;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};

use crate::source::{
    fault::{Fault, quote},
    lock,
    secret::Secret,
    throttle,
};

/// Life of a token whose maker says nothing, as the protocol has it.
const TOKEN_LIFE: Duration = Duration::from_mins(1);

/// Longest answer with a token, in bytes.
const TOKEN_BYTES_MAX: usize = 256 << 10;

/// A client for one look.
pub(super) struct Asker<'a> {
    pub(super) client: reqwest::Client,
    pub(super) basic: Option<HeaderValue>,
    pub(super) url: &'a str,
    pub(super) silence: Duration,
    pub(super) tokens: &'a Tokens,
    pub(super) now: Timestamp,
    /// What keyless signatures are checked against.
    pub(super) trusted_root: Option<Secret>,
}

/// Tokens that a registry made, by what they are for.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<BTreeMap<String, (Instant, Secret)>>);

impl Tokens {
    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Asker<'_> {
    /// Asks, signs in when the server wants it, and reads at most `max` bytes.
    pub(super) async fn ask(
        &self,
        method: reqwest::Method,
        url: &str,
        headers: &[(reqwest::header::HeaderName, String)],
        max: usize,
    ) -> Result<Answer, Fault> {
        let send = |authorization: Option<HeaderValue>| {
            let mut request = self.client.request(method.clone(), url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            self.wait(request.send())
        };
        let known = self.token(url);
        let mut answer = send(known).await?;
        if answer.status().as_u16() == 401 {
            let asked = answer.headers().get(WWW_AUTHENTICATE).and_then(|v| v.to_str().ok());
            let asked = asked.unwrap_or_default().to_owned();
            if let Some(value) = self.sign_in(url, &asked).await? {
                answer = send(Some(value)).await?;
            }
        }
        let code = answer.status().as_u16();
        if let 301 | 302 | 303 | 307 | 308 = code {
            // To where the bytes are, which may be another server: it gets no credentials.
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.unwrap_or_default().to_owned();
            let to = answer.url().join(&to).map_err(|_| self.moved(&to))?;
            if to.scheme() != "https" {
                return Err(self.moved(to.as_str()));
            }
            let mut request = self.client.request(method.clone(), to);
            if let Some((_, value)) = headers.iter().find(|(name, _)| *name == ACCEPT) {
                request = request.header(ACCEPT, value);
            }
            answer = self.wait(request.send()).await?;
        }
        self.receive(answer, max).await
    }

    async fn receive(&self, mut answer: reqwest::Response, max: usize) -> Result<Answer, Fault> {
        let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
        let url = self.url;
        if let Some(pause) = throttle::pause(code, &headers, self.now)
            && code != 200
        {
            let message = format!("`{url}`: the server limits how often it may be asked ({code})");
            return Err(Fault::new(Reason::SourceRateLimited, message).after(Some(pause)));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.wait(answer.chunk()).await? {
            if body.len() + chunk.len() > max {
                let message = format!("`{url}`: an answer has more than {max} bytes");
                return Err(Fault::new(Reason::OciTooLarge, message));
            }
            body.extend_from_slice(&chunk);
        }
        match code {
            200 | 304 => Ok(Answer { code, headers, body }),
            401 | 403 | 407 => {
                let why = if self.basic.is_some() { "refuses access" } else { "wants credentials" };
                let message = format!("`{url}`: the server {why} ({code})");
                Err(Fault::new(Reason::OciAuthFailed, message))
            }
            404 | 410 => Ok(Answer { code: 404, headers, body }),
            300..=399 => Err(self.moved("another place")),
            _ => {
                let text = quote(&String::from_utf8_lossy(&body));
                let message = format!("`{url}`: the server answers {code}: {text}");
                Err(Fault::new(Reason::OciUnreachable, message))
            }
        }
    }

    fn moved(&self, to: &str) -> Fault {
        let to = quote(to.split(['?', '#']).next().unwrap_or_default());
        Fault::new(Reason::SourceMoved, format!("`{}`: the server sends to `{to}`", self.url))
    }

    /// Waits for the server, no longer than it may be silent.
    async fn wait<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> Result<T, Fault> {
        match tokio::time::timeout(self.silence, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let fault = Fault::of_http(self.url, &error);
                // The words for Git fit; the place in the registry of reasons is another.
                let unreachable = fault.reason == Reason::GitUnreachable;
                let reason = if unreachable { Reason::OciUnreachable } else { fault.reason };
                Err(Fault { reason, ..fault })
            }
            Err(_) => {
                let seconds = self.silence.as_secs();
                let message = format!("`{}`: the server is silent for {seconds} s", self.url);
                Err(Fault::new(Reason::GitTimeout, message))
            }
        }
    }

    /// What a registry gave us for this before; only for the server of the source.
    fn token(&self, url: &str) -> Option<HeaderValue> {
        let tokens = lock(&self.tokens.0);
        let (until, token) = tokens.get(scope_of(url))?;
        (Instant::now() < *until).then(|| bearer(token)).flatten()
    }

    /// Does what the server asks for: credentials, or a token from the place that it names.
    async fn sign_in(&self, url: &str, asked: &str) -> Result<Option<HeaderValue>, Fault> {
        let (scheme, rest) = asked.split_once(' ').unwrap_or((asked, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(self.basic.clone());
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let wanted = parameters(rest);
        let refused = |why: &str| {
            let message = format!("`{}`: the server's way to sign in {why}", self.url);
            Fault::new(Reason::OciAuthFailed, message)
        };
        let realm = wanted.get("realm").map(String::as_str).unwrap_or_default();
        let mut realm = reqwest::Url::parse(realm).map_err(|_| refused("names no place"))?;
        if realm.scheme() != "https" {
            return Err(refused("does not begin with `https://`"));
        }
        for name in ["service", "scope"] {
            if let Some(value) = wanted.get(name) {
                realm.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut request = self.client.get(realm);
        if let Some(basic) = &self.basic {
            request = request.header(AUTHORIZATION, basic.clone());
        }
        let answer = self.wait(request.send()).await?;
        let answer = self.receive(answer, TOKEN_BYTES_MAX).await?;
        // What the parser says could quote the token.
        let made: Made = serde_json::from_slice(&answer.body).map_err(|_| refused("gives none"))?;
        let token = made.token.or(made.access_token).ok_or_else(|| refused("gives none"))?;
        let token = Secret::new(token.into_bytes());
        let life = made.expires_in.map_or(TOKEN_LIFE, Duration::from_secs);
        let until = Instant::now() + life.mul_f32(0.8).min(Duration::from_hours(1));
        let value = bearer(&token);
        lock(&self.tokens.0).insert(scope_of(url).to_owned(), (until, token));
        Ok(value)
    }
}

#[derive(serde::Deserialize)]
struct Made {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.line())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The server and repository that a URL of a registry is about.
fn scope_of(url: &str) -> &str {
    ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
        .iter()
        .find_map(|part| url.split_once(part).map(|(before, _)| before))
        .unwrap_or(url)
}

/// `key="value",…`.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        out.insert(name, value.to_owned());
        rest = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_asks_for_is_read() {
        let text = r#"realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#;
        let read = parameters(text);
        assert_eq!(read["realm"], "https://auth.example/token");
        assert_eq!(read["scope"], "repository:a/b:pull,push");
        assert_eq!(read.len(), 3);
        assert!(parameters("nonsense").is_empty());
    }
}

//! Tokens of a GitHub App: a short statement signed by the App's key, exchanged for a token that lives an hour.

use std::{fmt, sync::Mutex, time::Duration};

use base64::Engine;
use jiff::Timestamp;
use model::{Reason, source::GithubApp};
use ring::{rand::SystemRandom, signature};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

use super::{fault::Fault, lock, secret::Secret};
use crate::clock::Clock;

/// Where tokens are made unless the source says otherwise.
const API: &str = "https://api.github.com";

/// How long the statement counts; GitHub takes ten minutes at most.
const STATEMENT: i64 = 540;

/// How far our clock may be ahead of GitHub's.
const SKEW: i64 = 60;

/// How long before its end a token is renewed.
const EARLY: Duration = Duration::from_mins(5);

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A GitHub App that makes tokens.
pub(super) struct App {
    settings: GithubApp,
    clock: Clock,
    kept: Mutex<Option<(Timestamp, Secret)>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What is read of GitHub's answer.
#[derive(serde::Deserialize)]
struct Made {
    token: String,
    expires_at: Timestamp,
}

impl App {
    pub(super) fn new(settings: GithubApp, clock: Clock) -> App {
        App { settings, clock, kept: Mutex::new(None) }
    }

    pub(super) fn key_place(&self) -> &String {
        &self.settings.key
    }

    /// The next token is a new one.
    pub(super) fn forget(&self) {
        *lock(&self.kept) = None;
    }

    /// A token that still counts, made anew when it must be.
    pub(super) async fn token(
        &self,
        client: &reqwest::Client,
        key: &Secret,
        silence: Duration,
    ) -> Result<Secret, Fault> {
        let now = self.clock.now();
        if let Some((until, token)) = lock(&self.kept).as_ref()
            && *until > now
        {
            return Ok(token.clone());
        }
        let api = self.settings.api_url.as_deref().unwrap_or(API).trim_end_matches('/');
        let url =
            format!("{api}/app/installations/{}/access_tokens", self.settings.installation_id);
        let request = client
            .post(&url)
            .timeout(silence)
            .bearer_auth(self.statement(key, now)?)
            .header("accept", "application/vnd.github+json");
        let answer = request.send().await.map_err(|error| Fault::of_http(&url, &error))?;
        let code = answer.status().as_u16();
        if code != 201 {
            let words = match code {
                401 => "GitHub does not take the statement; compare `appId` and the key",
                404 => "the App has no such installation",
                _ => "GitHub makes no token",
            };
            return Err(Fault::new(Reason::GitAuthFailed, format!("`{url}`: {words} ({code})")));
        }
        let garbage =
            || Fault::new(Reason::GitAuthFailed, format!("`{url}`: the answer holds no token"));
        let mut answer = answer;
        let mut body = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|e| Fault::of_http(&url, &e))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(garbage());
            }
        }
        // What the parser says could quote the token.
        let made: Made = serde_json::from_slice(&body).map_err(|_| garbage())?;
        let token = Secret::new(made.token.into_bytes());
        let until = made.expires_at.checked_sub(EARLY).unwrap_or(made.expires_at);
        *lock(&self.kept) = Some((until, token.clone()));
        Ok(token)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "forms that come later cannot be used either"
    )]
    /// `header.claims.signature`, signed with RSA and SHA-256.
    fn statement(&self, key: &Secret, now: Timestamp) -> Result<String, Fault> {
        let bad = || {
            let message = format!("`{}` does not hold an RSA key in PEM form", self.settings.key);
            Fault::new(Reason::SecretUnreadable, message)
        };
        let pair = match PrivateKeyDer::from_pem_slice(key.bytes()).map_err(|_| bad())? {
            PrivateKeyDer::Pkcs1(der) => signature::RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(bad()),
        };
        let pair = pair.map_err(|_| bad())?;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let now = now.as_second();
        let claims = serde_json::json!({
            "iat": now - SKEW, "exp": now - SKEW + STATEMENT, "iss": self.settings.app_id,
        });
        let header = base64(br#"{"alg":"RS256","typ":"JWT"}"#);
        let text = format!("{header}.{}", base64(claims.to_string().as_bytes()));
        let mut made = vec![0; pair.public().modulus_len()];
        let random = SystemRandom::new();
        let signed = pair.sign(&signature::RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut made);
        signed.map_err(|_| bad())?;
        Ok(format!("{text}.{}", base64(&made)))
    }
}

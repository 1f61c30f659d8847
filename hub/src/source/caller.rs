//! Calls the API of a source's forge. Credentials are read for each call and stay in here: what comes back is free
//! of them, also when the forge repeats them.

use std::{sync::Arc, time::Duration};

use base64::Engine;
use jiff::Timestamp;
use model::source::Forge;
use reqwest::header::HeaderValue;

use super::{api::Api, fault::quote, secret::Secret, throttle, web::Web};

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Bytes of a token below which it is not looked for in answers: short words stand everywhere.
const TOKEN_BYTES_MIN: usize = 6;

/// The way to one forge.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    api: Api,
    web: Arc<Web>,
    silence: Duration,
}

/// What a forge answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Code of HTTP; nothing when there was no answer.
    pub(crate) code: Option<u16>,
    /// How long it asks us to stay away.
    pub(crate) pause: Option<Duration>,
    /// Its words, or why there was no answer; bounded, one line, without credentials.
    pub(crate) words: String,
}

impl Caller {
    pub(super) fn new(api: Api, web: Web, silence: Duration) -> Caller {
        Caller { api, web: Arc::new(web), silence }
    }

    pub(crate) fn forge(&self) -> Forge {
        self.api.forge
    }

    /// `owner/name`.
    pub(crate) fn repository(&self) -> &str {
        &self.api.repository
    }

    /// Posts a JSON document to a path below the API. Never fails otherwise than by its answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        now: Timestamp,
    ) -> Answer {
        let web = Arc::clone(&self.web);
        let ready = tokio::task::spawn_blocking(move || {
            let client = web.client()?;
            Ok::<_, super::fault::Fault>((client, web.credentials()?))
        });
        let none = |words: String| Answer { code: None, pause: None, words };
        let (client, secret) = match ready.await {
            Ok(Ok((client, Some(secret)))) => (client, secret),
            Ok(Ok((_, None))) => return none("the source has no credentials".to_owned()),
            Ok(Err(fault)) => return none(fault.to_string()),
            Err(error) => return none(format!("reading credentials panicked: {error}")),
        };
        let Some(authorization) = authorization(self.api.forge, &secret) else {
            return none("the credentials hold no token".to_owned());
        };
        let url = format!("{}{path}", self.api.base);
        let request = client
            .post(&url)
            .timeout(self.silence)
            .header("authorization", authorization)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(body.to_string());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return none(scrubbed(
                    super::fault::Fault::of_http(&url, &error).to_string(),
                    &secret,
                ));
            }
        };
        let code = response.status().as_u16();
        let pause = throttle::pause(code, response.headers(), now);
        let mut bytes = Vec::new();
        while bytes.len() < ANSWER_BYTES_MAX
            && let Ok(Some(more)) = response.chunk().await
        {
            bytes.extend_from_slice(&more);
        }
        bytes.truncate(ANSWER_BYTES_MAX);
        // What was refused may be renewed already.
        if matches!(code, 401 | 403) {
            self.web.forget();
        }
        let words = scrubbed(String::from_utf8_lossy(&bytes).into_owned(), &secret);
        Answer { code: Some(code), pause, words: quote(&words) }
    }
}

/// The header that each forge takes.
fn authorization(forge: Forge, secret: &Secret) -> Option<HeaderValue> {
    let line = secret.line();
    let account =
        line.split_once(':').filter(|(user, password)| !user.is_empty() && !password.is_empty());
    let basic =
        |line: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(line));
    let text = match (forge, account) {
        (_, None) if line.is_empty() => return None,
        // A token is a password to these, whatever the user is called.
        (Forge::Github | Forge::Gitlab, Some((_, token))) => format!("Bearer {token}"),
        (Forge::Gitea | Forge::Bitbucket, Some(_)) => basic(line),
        (Forge::Gitea, None) => format!("token {line}"),
        (Forge::Github | Forge::Gitlab | Forge::Bitbucket, None) => format!("Bearer {line}"),
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The text without anything of the credentials.
fn scrubbed(text: String, secret: &Secret) -> String {
    let line = secret.line();
    let password = line.split_once(':').map_or(line, |(_, password)| password);
    let encoded = base64::engine::general_purpose::STANDARD.encode(line);
    [line, password, &encoded]
        .into_iter()
        .filter(|part| part.len() >= TOKEN_BYTES_MIN)
        .fold(text, |text, part| text.replace(part, "«redacted»"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(forge: Forge, line: &str) -> Option<String> {
        let value = authorization(forge, &Secret::new(line.as_bytes().to_vec()))?;
        assert!(value.is_sensitive());
        value.to_str().ok().map(str::to_owned)
    }

    #[test]
    fn each_forge_gets_its_own_kind_of_header() {
        let basic = Some("Basic bWU6aHVudGVyMg==".to_owned());
        assert_eq!(header(Forge::Github, "ghp_x\n"), Some("Bearer ghp_x".to_owned()));
        assert_eq!(header(Forge::Gitlab, "me:hunter2"), Some("Bearer hunter2".to_owned()));
        assert_eq!(header(Forge::Gitea, "abc"), Some("token abc".to_owned()));
        assert_eq!(header(Forge::Gitea, "me:hunter2"), basic);
        assert_eq!(header(Forge::Bitbucket, "me:hunter2"), basic);
        assert_eq!(header(Forge::Bitbucket, ""), None);
    }

    #[test]
    fn a_forge_that_repeats_the_credentials_is_not_quoted() {
        let secret = Secret::new(b"me:hunter2hunter2".to_vec());
        let said =
            "bad: Basic bWU6aHVudGVyMmh1bnRlcjI= of me:hunter2hunter2, hunter2hunter2".to_owned();
        let shown = scrubbed(said, &secret);
        assert!(!shown.contains("hunter2") && !shown.contains("bWU6"), "{shown}");
    }
}

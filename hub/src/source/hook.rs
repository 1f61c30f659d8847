//! Hints from outside that there is something new. A hint is checked against the secret that both sides know,
//! and then only makes the hub look at once: nothing that it says is believed, so nothing else can be forged.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use base64::Engine;
use http::HeaderMap;
use jiff::Timestamp;
use model::source::WebhookProvider;
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// How far the time in a signed hint may be from ours, in either direction.
const WINDOW: Duration = Duration::from_mins(5);

/// Hints of one source in a minute that lead to a look; more would only repeat the poll of every 2 s.
const PER_MINUTE_MAX: usize = 10;

/// Hints that are remembered, to know one that comes again: more than an hour of the most that is taken.
const SEEN_MAX: usize = 1_000;

/// Why a hint leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// Said for an unknown source too, so that nobody learns which sources there are.
    #[error("there is no such webhook, or its signature does not fit the secret of the source")]
    Refused,
    /// Came before.
    #[error("this delivery was taken before")]
    Replayed,
    /// Too many in a minute.
    #[error("more than {PER_MINUTE_MAX} hints in a minute")]
    TooMany,
    /// The secret of the source cannot be read; its status says why.
    #[error("the hub cannot read the secret of this webhook")]
    Unreadable,
}

/// What was taken lately for one source.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What identifies a hint, in the order of arrival.
    order: VecDeque<[u8; 32]>,
    known: BTreeSet<[u8; 32]>,
    recent: VecDeque<Duration>,
}

impl Seen {
    /// Takes a hint that was checked, once. `now` only grows.
    pub(super) fn take(&mut self, mark: [u8; 32], now: Duration) -> Result<(), HookError> {
        if self.known.contains(&mark) {
            return Err(HookError::Replayed);
        }
        while self
            .recent
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= Duration::from_mins(1))
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= PER_MINUTE_MAX {
            return Err(HookError::TooMany);
        }
        self.recent.push_back(now);
        self.known.insert(mark);
        self.order.push_back(mark);
        if self.order.len() > SEEN_MAX
            && let Some(old) = self.order.pop_front()
        {
            self.known.remove(&old);
        }
        Ok(())
    }
}

/// Checks who sent a hint. Gives what identifies it, taken from signed bytes only.
pub(super) fn check(
    provider: WebhookProvider,
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<[u8; 32], HookError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = secret.line().as_bytes();
    let genuine = match provider {
        WebhookProvider::Github => prefixed(key, body, text("x-hub-signature-256")),
        WebhookProvider::Bitbucket => prefixed(key, body, text("x-hub-signature")),
        WebhookProvider::Gitea => {
            let own = ["x-gitea-signature", "x-forgejo-signature", "x-gogs-signature"];
            own.iter().any(|name| is_hmac(key, body, text(name)))
                || prefixed(key, body, text("x-hub-signature-256"))
        }
        WebhookProvider::Azure => {
            let given = text("authorization").and_then(|value| value.strip_prefix("Basic "));
            let engine = base64::engine::general_purpose::STANDARD;
            let given = given.and_then(|given| engine.decode(given).ok());
            given.is_some_and(|given| same(&given, key))
        }
        WebhookProvider::Gitlab if text("webhook-signature").is_none() => {
            text("x-gitlab-token").is_some_and(|given| same(given.as_bytes(), key))
        }
        WebhookProvider::Generic if text("webhook-signature").is_none() => {
            prefixed(key, body, text("x-signature"))
        }
        WebhookProvider::Gitlab | WebhookProvider::Generic => {
            return standard(secret.line(), headers, body, now);
        }
    };
    if genuine { Ok(mark(body)) } else { Err(HookError::Refused) }
}

/// Standard Webhooks: `v1,BASE64` over `id.timestamp.body`, with a key written `whsec_BASE64`.
fn standard(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<[u8; 32], HookError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let engine = base64::engine::general_purpose::STANDARD;
    let (Some(id), Some(at), Some(signatures)) =
        (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"))
    else {
        return Err(HookError::Refused);
    };
    let key = match secret.strip_prefix("whsec_") {
        Some(key) => engine.decode(key).map_err(|_| HookError::Refused)?,
        None => secret.as_bytes().to_vec(),
    };
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let fits = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| engine.decode(tag).ok());
        tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
    };
    if !signatures.split(' ').any(fits) {
        return Err(HookError::Refused);
    }
    let apart = at.parse::<i64>().ok().map(|at| (now.as_second() - at).unsigned_abs());
    if apart.is_none_or(|apart| apart > WINDOW.as_secs()) {
        return Err(HookError::Refused);
    }
    Ok(mark(id.as_bytes()))
}

/// `sha256=HEX`.
fn prefixed(key: &[u8], body: &[u8], given: Option<&str>) -> bool {
    is_hmac(key, body, given.and_then(|given| given.strip_prefix("sha256=")))
}

/// Compared in constant time by the library.
fn is_hmac(key: &[u8], body: &[u8], given: Option<&str>) -> bool {
    let Some(tag) = given.and_then(|given| hex::decode(given).ok()) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, body, &tag).is_ok()
}

/// Equal, in a time that tells neither where they differ nor how long they are.
fn same(one: &[u8], other: &[u8]) -> bool {
    mark(one).ct_eq(&mark(other)).into()
}

fn mark(bytes: &[u8]) -> [u8; 32] {
    let mut mark = [0; 32];
    mark.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"ref\":\"refs/heads/main\"}";

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn headers(list: &[(&'static str, String)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect()
    }

    fn sign(secret: &str, text: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::sign(&key, text).as_ref().to_vec()
    }

    fn base64(bytes: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    /// Genuine with the secret `hunter2`; refused with another secret, another body, and no header.
    fn check(provider: WebhookProvider, list: &[(&'static str, String)], signs_body: bool) {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let headers = headers(list);
        let try_with = |text: &str, headers: &HeaderMap, body: &[u8]| {
            super::check(provider, &secret(text), headers, body, now())
        };
        assert!(try_with("hunter2", &headers, BODY).is_ok(), "{provider:?}");
        assert_eq!(try_with("hunter3", &headers, BODY), Err(HookError::Refused), "{provider:?}");
        assert_eq!(try_with("hunter2", &HeaderMap::new(), BODY), Err(HookError::Refused));
        assert_eq!(try_with("hunter2", &headers, b"{}").is_err(), signs_body, "{provider:?}");
        for name in headers.keys() {
            let mut cut = headers.clone();
            cut.insert(name.clone(), "sha256=".parse().unwrap());
            assert_eq!(try_with("hunter2", &cut, BODY), Err(HookError::Refused), "{name}");
        }
    }

    #[test]
    fn every_forge_is_understood_and_only_with_the_secret() {
        let hexadecimal = hex::encode(sign("hunter2", BODY));
        let prefixed = format!("sha256={hexadecimal}");
        check(WebhookProvider::Github, &[("x-hub-signature-256", prefixed.clone())], true);
        check(WebhookProvider::Bitbucket, &[("x-hub-signature", prefixed.clone())], true);
        check(WebhookProvider::Generic, &[("x-signature", prefixed.clone())], true);
        check(WebhookProvider::Gitea, &[("x-gitea-signature", hexadecimal.clone())], true);
        check(WebhookProvider::Gitea, &[("x-forgejo-signature", hexadecimal)], true);
        check(WebhookProvider::Gitlab, &[("x-gitlab-token", "hunter2".to_owned())], false);
        let basic = format!("Basic {}", base64(b"hunter2"));
        check(WebhookProvider::Azure, &[("authorization", basic)], false);
        for provider in [WebhookProvider::Gitlab, WebhookProvider::Generic] {
            let at = now().as_second();
            let text = [format!("msg_1.{at}.").as_bytes(), BODY].concat();
            let signature = format!("v1,AAAA v1,{}", base64(&sign("hunter2", &text)));
            let list = [
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", at.to_string()),
                ("webhook-signature", signature),
            ];
            check(provider, &list, true);
        }
    }

    #[test]
    fn an_old_hint_is_refused_though_it_is_signed() {
        for (seconds, genuine) in
            [(0, true), (299, true), (-299, true), (301, false), (-301, false)]
        {
            let at = now().as_second() - seconds;
            let text = [format!("msg_1.{at}.").as_bytes(), BODY].concat();
            let headers = headers(&[
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", at.to_string()),
                ("webhook-signature", format!("v1,{}", base64(&sign("hunter2", &text)))),
            ]);
            let secret = Secret::new(b"hunter2".to_vec());
            let checked = super::check(WebhookProvider::Generic, &secret, &headers, BODY, now());
            assert_eq!(checked.is_ok(), genuine, "{seconds}");
        }
    }

    #[test]
    fn a_hint_counts_once_and_ten_in_a_minute() {
        let mut seen = Seen::default();
        let second = Duration::from_secs(1);
        for n in 0..10_u8 {
            assert_eq!(seen.take([n; 32], second), Ok(()));
            assert_eq!(seen.take([n; 32], second), Err(HookError::Replayed));
        }
        assert_eq!(seen.take([10; 32], second * 60), Err(HookError::TooMany));
        assert_eq!(seen.take([10; 32], second * 61), Ok(()));
        assert_eq!(seen.take([0; 32], second * 61), Err(HookError::Replayed));
    }
}

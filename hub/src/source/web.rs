//! HTTPS to one source's server: credentials, roots, client certificate and proxy by reference, one client as long
//! as none of them changes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::Engine;
use model::Reason;
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;

use super::{
    config::SourceConfig,
    fault::Fault,
    github::App,
    lock,
    secret::{Secret, SecretRef, Vault},
};
use crate::clock::Clock;

/// How long a connection without use is kept: a little longer than ten looks.
const IDLE: Duration = Duration::from_secs(30);

/// Redirects within one server that are followed.
const REDIRECTS_MAX: usize = 5;

/// The way to one server.
#[derive(Debug)]
pub(super) struct Web {
    config: Arc<SourceConfig>,
    host: String,
    silence: Duration,
    vault: Vault,
    handle: Handle,
    app: Option<App>,
    /// The client of the last look, and what it was made from.
    kept: Mutex<Option<(Material, reqwest::Client)>>,
}

/// What a client is made from.
#[derive(Debug, PartialEq, Eq)]
struct Material {
    ca: Option<Secret>,
    certificate: Option<Secret>,
    proxy: Option<Secret>,
}

impl Web {
    /// Needs a tokio runtime.
    pub(super) fn new(
        config: Arc<SourceConfig>,
        host: &str,
        silence: Duration,
        vault: Vault,
        clock: Clock,
    ) -> Web {
        let app = config.auth.github_app.clone().map(|app| App::new(app, clock));
        let (host, handle) = (host.to_owned(), Handle::current());
        Web { config, host, silence, vault, handle, app, kept: Mutex::new(None) }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What was refused may be renewed already: nothing of it is kept.
    pub(super) fn forget(&self) {
        self.vault.forget();
        *lock(&self.kept) = None;
        if let Some(app) = &self.app {
            app.forget();
        }
    }

    /// Reads a secret of the source. Blocks.
    pub(super) fn read(&self, place: Option<&String>) -> Result<Option<Secret>, Fault> {
        let Some(place) = place else { return Ok(None) };
        let unreadable = |why: String| Fault::new(Reason::SecretUnreadable, why);
        let place = SecretRef::parse(place).map_err(|error| unreadable(error.to_string()))?;
        let secret = self.vault.read(&place, &self.handle);
        secret.map(Some).map_err(|error| unreadable(error.to_string()))
    }

    /// The client of the last look, as long as nothing that it was made from has changed. Blocks.
    pub(super) fn client(&self) -> Result<reqwest::Client, Fault> {
        let auth = &self.config.auth;
        let material = Material {
            ca: self.read(auth.ca.as_ref())?,
            certificate: self.read(auth.client_certificate.as_ref())?,
            proxy: self.read(auth.proxy_credentials.as_ref())?,
        };
        let mut kept = lock(&self.kept);
        if let Some((_, client)) = kept.as_ref().filter(|(old, _)| *old == material) {
            return Ok(client.clone());
        }
        let client = self.build(&material)?;
        *kept = Some((material, client.clone()));
        Ok(client)
    }

    /// The header for `user:password`, or for a token with the user name that the forges take. Blocks.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, Fault> {
        self.credentials()?.map(|secret| self.basic(&secret)).transpose()
    }

    /// `user:password` or a token: what is stored, or what a GitHub App makes. Blocks.
    pub(super) fn credentials(&self) -> Result<Option<Secret>, Fault> {
        let Some(app) = &self.app else { return self.read(self.config.auth.credentials.as_ref()) };
        let key = self.read(Some(app.key_place()))?;
        let key = key.unwrap_or_else(|| Secret::new(Vec::new()));
        let client = self.client()?;
        self.handle.block_on(app.token(&client, &key, self.silence)).map(Some)
    }

    fn basic(&self, secret: &Secret) -> Result<HeaderValue, Fault> {
        let line = secret.line();
        let user = if self.host == "bitbucket.org" { "x-token-auth" } else { "x-access-token" };
        let account = match line.split_once(':') {
            Some((user, password)) if user.is_empty() || password.is_empty() => None,
            Some(_) => Some(line.to_owned()),
            None if line.is_empty() => None,
            None => Some(format!("{user}:{line}")),
        };
        let text = account.map(|account| base64::engine::general_purpose::STANDARD.encode(account));
        let value = text.and_then(|text| HeaderValue::try_from(format!("Basic {text}")).ok());
        let mut value = value.ok_or_else(|| {
            let place = self.config.auth.credentials.as_deref().unwrap_or_default();
            let message = format!("`{place}` holds neither `user:password` nor a token");
            Fault::new(Reason::SecretUnreadable, message)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn build(&self, material: &Material) -> Result<reqwest::Client, Fault> {
        let auth = &self.config.auth;
        let bad = |place: &Option<String>, what: &str, why: &str| {
            let place = place.as_deref().unwrap_or_default();
            let message = format!("`{place}` does not hold {what} in PEM form: {why}");
            Fault::new(Reason::SecretUnreadable, message)
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.silence)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::custom(within_server));
        if let Some(ca) = &material.ca {
            let roots = reqwest::Certificate::from_pem_bundle(ca.bytes());
            let roots = roots.map_err(|e| bad(&auth.ca, "certificates", &e.to_string()))?;
            if roots.is_empty() {
                return Err(bad(&auth.ca, "certificates", "there is none"));
            }
            builder = builder.tls_certs_merge(roots);
        }
        if let Some(certificate) = &material.certificate {
            let identity = reqwest::Identity::from_pem(certificate.bytes());
            // What the parser says could quote the key.
            builder = builder.identity(identity.map_err(|_| {
                bad(&auth.client_certificate, "a certificate and its key", "it cannot be read")
            })?);
        }
        builder = match &auth.proxy {
            None => builder.no_proxy(),
            Some(url) => {
                let fault = |_| {
                    let message = format!("proxy `{url}` cannot be used: it is not a URL");
                    Fault::new(Reason::GitUnreachable, message)
                };
                let mut proxy = reqwest::Proxy::all(url).map_err(fault)?;
                if let Some(secret) = &material.proxy {
                    let (user, password) =
                        secret.line().split_once(':').unwrap_or((secret.line(), ""));
                    proxy = proxy.basic_auth(user, password);
                }
                builder.proxy(proxy)
            }
        };
        builder.build().map_err(|error| Fault::of_http(&self.config.url, &error))
    }
}

/// Credentials belong to one scheme, host and port: a redirect that leaves them is not followed.
fn within_server(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let stays = attempt.previous().iter().all(|url| url.origin() == attempt.url().origin());
    if stays && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

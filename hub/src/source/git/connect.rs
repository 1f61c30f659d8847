//! How a remote is reached: over `file://`, `https://` or ssh; credentials are read at every look, and what
//! they lead to is kept while they stay the same.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use base64::Engine;
use gix::{
    Remote, Repository,
    bstr::{BString, ByteSlice},
    protocol::transport::{
        Protocol,
        client::{blocking_io, git},
    },
    remote::{Connection, Direction, fetch::Tags},
};
use model::Reason;
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;

use super::{
    SourceConfig, SourceLimits,
    call::Call,
    fault, http,
    ssh::{self, Ssh},
};
use crate::source::{
    fault::Fault,
    lock,
    place::{Place, Transport},
    secret::{Secret, SecretRef, Vault},
};

/// How long a connection without use is kept: a little longer than ten looks.
const IDLE: std::time::Duration = std::time::Duration::from_secs(30);

/// Redirects within one server that are followed.
const REDIRECTS_MAX: usize = 5;

/// Largest object that may be taken into memory; a file that we read is far smaller.
const ALLOCATION: &str = "gitoxide.objects.allocLimit=268435456";

/// Opens a mirror, made when it is not there. Reads no configuration but that of the mirror itself.
pub(super) fn open(dir: &Path) -> Result<Repository, gix::Error> {
    let options = || {
        let overrides = [ALLOCATION].map(BString::from);
        gix::open::Options::isolated().config_overrides(overrides).open_path_as_is(true)
    };
    if dir.join("HEAD").exists() {
        return gix::open_opts(dir, options());
    }
    let (kind, create) = (gix::create::Kind::Bare, gix::create::Options::default());
    Ok(gix::ThreadSafeRepository::init_opts(dir, kind, create, options())?.to_thread_local())
}

pub(super) fn remote<'repo>(
    repo: &'repo Repository,
    url: &str,
    specs: &[String],
) -> Result<Remote<'repo>, Fault> {
    let specs = specs.iter().map(|spec| spec.as_bytes().as_bstr());
    let remote = repo.remote_at(url).map_err(|error| fault::of(url, &error))?;
    let remote = remote.with_fetch_tags(Tags::None).with_refspecs(specs, Direction::Fetch);
    remote.map_err(|error| fault::of(url, &error))
}

/// The way to one remote.
#[derive(Debug)]
pub(super) struct Link {
    config: Arc<SourceConfig>,
    place: Place,
    limits: SourceLimits,
    vault: Vault,
    handle: Handle,
    /// The client of the last look, and what it was made from.
    client: Mutex<Option<(Material, reqwest::Client)>>,
    /// The way over ssh, when that is the way.
    ssh: Option<Ssh>,
}

/// What an HTTPS client is made from.
#[derive(Debug, PartialEq, Eq)]
struct Material {
    ca: Option<Secret>,
    certificate: Option<Secret>,
    proxy: Option<Secret>,
}

/// A connection over any transport.
pub(super) type Open<'a, 'repo> =
    Connection<'a, 'static, 'repo, Box<dyn blocking_io::Transport + Send>>;

impl Link {
    pub(super) fn new(
        config: Arc<SourceConfig>,
        place: Place,
        limits: SourceLimits,
        vault: Vault,
        handle: Handle,
    ) -> Link {
        let ssh = match &place.transport {
            Transport::File | Transport::Https => None,
            Transport::Ssh { user, port, path } => {
                let target = ssh::Target {
                    url: config.url.clone(),
                    host: place.host.clone(),
                    port: *port,
                    user: user.clone(),
                    path: path.clone(),
                };
                let (silence, bytes) = (limits.silence, limits.fetch_bytes_max);
                Some(Ssh::new(target, handle.clone(), silence, bytes))
            }
        };
        Link { config, place, limits, vault, handle, client: Mutex::new(None), ssh }
    }

    /// Connects. Blocks while secrets are read.
    pub(super) fn connect<'a, 'repo>(
        &self,
        remote: &'a Remote<'repo>,
        call: &Call,
    ) -> Result<Open<'a, 'repo>, Fault> {
        let fault = |error: gix::Error| fault::of(&self.config.url, &error);
        let mut connection: Open<'a, 'repo> = match (&self.place.transport, &self.ssh) {
            (Transport::Ssh { path, .. }, Some(ssh)) => {
                let (read, write) = ssh.open(self.keys()?, call)?;
                let (mode, host) = (git::ConnectMode::Process, None::<(&str, _)>);
                let transport = git::blocking_io::Connection::new(
                    read,
                    write,
                    Protocol::V2,
                    path.as_str(),
                    host,
                    mode,
                    false,
                );
                let url = Some(self.config.url.as_str().into());
                remote.to_connection_with_transport(Box::new(transport.custom_url(url)) as _)
            }
            (Transport::File | Transport::Ssh { .. }, _) => {
                remote.connect(Direction::Fetch).map_err(fault)?
            }
            (Transport::Https, _) => {
                let url = gix::url::parse(self.config.url.as_bytes().as_bstr()).map_err(fault)?;
                let wire = http::Wire::new(self.server(call)?);
                let transport = blocking_io::http::connect_http(wire, url, Protocol::V2, false);
                remote.to_connection_with_transport(Box::new(transport) as _)
            }
        };
        // Always set: without it Git's helper programs and prompts would be started.
        connection.set_credentials(|_| Ok(None));
        Ok(connection)
    }

    /// What was refused may be renewed already: nothing of it is kept.
    pub(super) fn forget(&self) {
        self.vault.forget();
        *lock(&self.client) = None;
        if let Some(ssh) = &self.ssh {
            ssh.forget();
        }
    }

    fn keys(&self) -> Result<ssh::Keys, Fault> {
        let auth = &self.config.auth;
        let missing = |field: &str| {
            Fault::new(Reason::SecretUnreadable, format!("the source names no `{field}`"))
        };
        Ok(ssh::Keys {
            key: self.read(auth.ssh_key.as_ref())?.ok_or_else(|| missing("sshKey"))?,
            passphrase: self.read(auth.ssh_passphrase.as_ref())?,
            known_hosts: self
                .read(auth.known_hosts.as_ref())?
                .ok_or_else(|| missing("knownHosts"))?,
        })
    }

    fn read(&self, place: Option<&String>) -> Result<Option<Secret>, Fault> {
        let Some(place) = place else { return Ok(None) };
        let unreadable = |why: String| Fault::new(Reason::SecretUnreadable, why);
        let place = SecretRef::parse(place).map_err(|error| unreadable(error.to_string()))?;
        let secret = self.vault.read(&place, &self.handle);
        secret.map(Some).map_err(|error| unreadable(error.to_string()))
    }

    fn server(&self, call: &Call) -> Result<http::Server, Fault> {
        let auth = &self.config.auth;
        let authorization = match self.read(auth.credentials.as_ref())? {
            Some(secret) => Some(self.basic(&secret)?),
            None => None,
        };
        let material = Material {
            ca: self.read(auth.ca.as_ref())?,
            certificate: self.read(auth.client_certificate.as_ref())?,
            proxy: self.read(auth.proxy_credentials.as_ref())?,
        };
        Ok(http::Server {
            handle: self.handle.clone(),
            client: self.client(material)?,
            authorization,
            url: self.config.url.clone(),
            silence: self.limits.silence,
            fetch_bytes_max: self.limits.fetch_bytes_max,
            call: call.clone(),
        })
    }

    /// The header for `user:password`, or for a token with the user name that the forges take.
    fn basic(&self, secret: &Secret) -> Result<HeaderValue, Fault> {
        let line = secret.line();
        let user =
            if self.place.host == "bitbucket.org" { "x-token-auth" } else { "x-access-token" };
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

    /// The client of the last look, as long as nothing that it was made from has changed.
    fn client(&self, material: Material) -> Result<reqwest::Client, Fault> {
        let mut kept = lock(&self.client);
        if let Some((_, client)) = kept.as_ref().filter(|(old, _)| *old == material) {
            return Ok(client.clone());
        }
        let client = self.build(&material)?;
        *kept = Some((material, client.clone()));
        Ok(client)
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
            .connect_timeout(self.limits.silence)
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
    let origin = |url: &reqwest::Url| url.origin();
    let stays = attempt.previous().iter().all(|url| origin(url) == origin(attempt.url()));
    if stays && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

//! SSH inside this process: no `ssh` program, no agent, no configuration of users or machine. A host is
//! talked to only when `known_hosts` has its key, before anything is sent; one connection serves all looks.

mod pipe;
mod hosts;

use std::{
    fmt,
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use model::Reason;
use russh::{
    client,
    keys::{
        Algorithm, EcdsaCurve, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
    },
};
use tokio::{net::TcpStream, runtime::Handle};

use super::call::Call;
use crate::source::{fault::Fault, lock, secret::Secret};
use hosts::{Hosts, Verdict};
use pipe::{Patience, Reader, Writer};

/// Silence on an open connection after which the server is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Unanswered questions after which the connection is given up.
const KEEPALIVES_MAX: usize = 2;

/// Where and as whom.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) path: String,
}

/// What the connection is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) key: Secret,
    pub(super) passphrase: Option<Secret>,
    pub(super) known_hosts: Secret,
}

/// The way to one server.
pub(super) struct Ssh {
    target: Target,
    handle: Handle,
    silence: Duration,
    bytes_max: u64,
    kept: Mutex<Option<(Keys, Session)>>,
}

type Session = Arc<client::Handle<Guard>>;

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Ssh {
    pub(super) fn new(target: Target, handle: Handle, silence: Duration, bytes_max: u64) -> Ssh {
        Ssh { target, handle, silence, bytes_max, kept: Mutex::new(None) }
    }

    /// Forgets the connection.
    pub(super) fn forget(&self) {
        *lock(&self.kept) = None;
    }

    /// Runs Git's program at the server and gives both ends of the line to it.
    pub(super) fn open(
        &self,
        keys: Keys,
        call: &Call,
    ) -> Result<(impl Read + Send + 'static, impl Write + Send + 'static), Fault> {
        let patience = Patience {
            handle: self.handle.clone(),
            call: call.clone(),
            silence: self.silence,
            url: self.target.url.clone(),
        };
        let kept = lock(&self.kept).take();
        if let Some((old, session)) = kept
            && old == keys
            && !session.is_closed()
            // A connection that died in between is no fault yet.
            && let Ok(ends) = self.channel(&session, &patience)
        {
            *lock(&self.kept) = Some((keys, session));
            return Ok(ends);
        }
        let session = patience.wait(self.connect(&keys))?;
        let ends = self.channel(&session, &patience)?;
        *lock(&self.kept) = Some((keys, session));
        Ok(ends)
    }

    fn channel(&self, session: &Session, patience: &Patience) -> Result<(Reader, Writer), Fault> {
        let channel = patience.wait(async {
            let open = async {
                let channel = session.channel_open_session().await?;
                // Servers that do not take it speak an older protocol, which gix understands too.
                channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
                let path = self.target.path.replace('\'', "'\\''");
                channel.exec(true, format!("git-upload-pack '{path}'")).await?;
                Ok(channel)
            };
            open.await.map_err(|error: russh::Error| self.fault(&error))
        })?;
        let (read, write) = channel.split();
        let reader = Reader {
            half: read,
            patience: patience.clone(),
            ready: Bytes::new(),
            stderr: Vec::new(),
            failed: false,
            left: self.bytes_max,
        };
        Ok((reader, Writer { half: write, patience: patience.clone() }))
    }

    async fn connect(&self, keys: &Keys) -> Result<Session, Fault> {
        let target = &self.target;
        let hosts = Hosts::parse(keys.known_hosts.text()).map_err(|bad| {
            let message = format!("`{}`: the `knownHosts` of the source: {bad}", target.url);
            Fault::new(Reason::SecretUnreadable, message)
        })?;
        let key = self.key(keys)?;
        let config = client::Config {
            preferred: russh::Preferred {
                key: algorithms(&hosts.algorithms(&target.host, target.port)).into(),
                ..russh::Preferred::default()
            },
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: KEEPALIVES_MAX,
            nodelay: true,
            ..client::Config::default()
        };
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
        let stream = stream.map_err(|error| {
            let message = format!("`{}`: the server cannot be reached: {error}", target.url);
            Fault::new(Reason::GitUnreachable, message)
        })?;
        let refused = Arc::new(Mutex::new(None));
        let guard = Guard { hosts, target: target.clone(), refused: refused.clone() };
        let session = client::connect_stream(Arc::new(config), stream, guard).await;
        let mut session =
            session.map_err(|error| lock(&refused).take().unwrap_or_else(|| self.fault(&error)))?;
        let shown = hosts::print(key.public_key());
        // Never SHA-1, whatever the server says.
        let hash = match session.best_supported_rsa_hash().await {
            Ok(Some(Some(hash))) => hash,
            Ok(Some(None) | None) | Err(_) => HashAlg::Sha256,
        };
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(hash);
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let signed_in = session.authenticate_publickey(target.user.clone(), key).await;
        if signed_in.map_err(|error| self.fault(&error))?.success() {
            return Ok(Arc::new(session));
        }
        let (url, user) = (&target.url, &target.user);
        let message = format!("`{url}`: the server refuses key {shown} for user `{user}`");
        Err(Fault::new(Reason::GitAuthFailed, message))
    }

    fn key(&self, keys: &Keys) -> Result<PrivateKey, Fault> {
        let passphrase = keys.passphrase.as_ref().map(Secret::line);
        // What the parser says is not passed on: it may quote the key.
        russh::keys::decode_secret_key(keys.key.text(), passphrase).map_err(|_| {
            let why = match passphrase {
                None => "or it needs a passphrase and the source names none",
                Some(_) => "or the passphrase of the source does not open it",
            };
            let url = &self.target.url;
            let message = format!("`{url}`: `sshKey` of the source holds no private key, {why}");
            Fault::new(Reason::SecretUnreadable, message)
        })
    }

    fn fault(&self, error: &russh::Error) -> Fault {
        let url = &self.target.url;
        let words = if let russh::Error::NoCommonAlgo { kind, .. } = error {
            format!("the server offers no {kind:?} algorithm that is safe")
        } else if matches!(error, russh::Error::Version) {
            "this is not how an SSH server answers".to_owned()
        } else {
            format!("the connection broke off: {error}")
        };
        Fault::new(Reason::GitUnreachable, format!("`{url}`: {words}"))
    }
}

/// Kinds of host keys, those that are known of the host first; none that rests on SHA-1.
fn algorithms(known: &[Algorithm]) -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let mut all = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    let is_known = |algorithm: &Algorithm| {
        let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
        known.iter().any(|known| known == algorithm || (rsa(known) && rsa(algorithm)))
    };
    all.sort_by_key(|algorithm| !is_known(algorithm));
    all
}

/// Looks at the host key before anything is sent.
#[derive(Debug)]
struct Guard {
    hosts: Hosts,
    target: Target,
    refused: Arc<Mutex<Option<Fault>>>,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let (host, port) = (&self.target.host, self.target.port);
        let key = shown.public_key();
        let at = format!("`{}`: host `{host}` port {port} shows", self.target.url);
        let shown = hosts::print(&key);
        let fault = match self.hosts.judge(host, port, &key) {
            Verdict::Known => return Ok(true),
            Verdict::Unknown => {
                let message = format!("{at} {shown}, and `knownHosts` has no line for it");
                Fault::new(Reason::SshHostUnknown, message)
            }
            Verdict::Changed(others) => {
                let others: Vec<_> =
                    others.iter().map(|(line, key)| format!("{key} (line {line})")).collect();
                let message = format!("{at} {shown}, and `knownHosts` has {}", others.join(", "));
                Fault::new(Reason::SshHostChanged, message)
            }
            Verdict::Revoked(line) => {
                let message = format!("{at} {shown}, which `knownHosts` revokes in line {line}");
                Fault::new(Reason::SshHostChanged, message)
            }
        };
        *lock(&self.refused) = Some(fault);
        Ok(false)
    }
}

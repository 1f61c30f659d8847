//! How a remote is reached: over `file://`, `https://` or ssh; credentials are read at every look, and what
//! they lead to is kept while they stay the same.

use std::{path::Path, sync::Arc};

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

use super::{
    SourceConfig, SourceLimits,
    call::Call,
    daemon, fault, http,
    ssh::{self, Ssh},
};
use crate::source::{
    fault::Fault,
    place::{Place, Transport},
    web::Web,
};

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
    web: Web,
    /// The way over ssh, when that is the way.
    ssh: Option<Ssh>,
}

/// A connection over any transport.
pub(super) type Open<'a, 'repo> =
    Connection<'a, 'static, 'repo, Box<dyn blocking_io::Transport + Send>>;

impl Link {
    pub(super) fn new(
        config: Arc<SourceConfig>,
        place: Place,
        limits: SourceLimits,
        web: Web,
    ) -> Link {
        let ssh = match &place.transport {
            Transport::File | Transport::Https | Transport::Daemon { .. } => None,
            Transport::Ssh { user, port, path } => {
                let target = ssh::Target {
                    url: config.url.clone(),
                    host: place.host.clone(),
                    port: *port,
                    user: user.clone(),
                    path: path.clone(),
                };
                let (silence, bytes) = (limits.silence, limits.fetch_bytes_max);
                Some(Ssh::new(target, web.handle().clone(), silence, bytes))
            }
        };
        Link { config, place, limits, web, ssh }
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
            (Transport::Daemon { port, path }, _) => {
                let (url, host) = (self.config.url.as_str(), self.place.host.as_str());
                let bounds = (self.limits.silence, self.limits.fetch_bytes_max);
                let (read, write) = daemon::open(url, (host, *port), bounds, call)?;
                let (mode, host) = (git::ConnectMode::Daemon, Some((host, Some(*port))));
                let transport = git::blocking_io::Connection::new(
                    read,
                    write,
                    Protocol::V2,
                    path.as_str(),
                    host,
                    mode,
                    false,
                );
                let url = Some(url.into());
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
        self.web.forget();
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
            key: self.web.read(auth.ssh_key.as_ref())?.ok_or_else(|| missing("sshKey"))?,
            passphrase: self.web.read(auth.ssh_passphrase.as_ref())?,
            known_hosts: self
                .web
                .read(auth.known_hosts.as_ref())?
                .ok_or_else(|| missing("knownHosts"))?,
        })
    }

    fn server(&self, call: &Call) -> Result<http::Server, Fault> {
        Ok(http::Server {
            handle: self.web.handle().clone(),
            client: self.web.client()?,
            authorization: self.web.authorization()?,
            url: self.config.url.clone(),
            silence: self.limits.silence,
            fetch_bytes_max: self.limits.fetch_bytes_max,
            call: call.clone(),
        })
    }
}

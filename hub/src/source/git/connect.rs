//! How a remote is reached: over `file://`, or over `https://` with roots and credentials from files.

use std::{
    any::Any,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use gix::{
    Remote, Repository,
    bstr::{BString, ByteSlice},
    protocol::transport::client::blocking_io::{Transport, http},
    remote::{Connection, Direction, fetch::Tags},
};
use model::Reason;

use super::{Fault, SourceConfig, SourceLimits};

/// Longest file of credentials or roots, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

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
    let remote = repo.remote_at(url).map_err(|error| Fault::of(url, &error))?;
    let remote = remote.with_fetch_tags(Tags::None).with_refspecs(specs, Direction::Fetch);
    remote.map_err(|error| Fault::of(url, &error))
}

pub(super) fn connect<'a, 'repo>(
    remote: &'a Remote<'repo>,
    config: &SourceConfig,
    limits: &SourceLimits,
) -> Result<Connection<'a, 'static, 'repo, Box<dyn Transport + Send>>, Fault> {
    let fault = |error: gix::Error| Fault::of(&config.url, &error);
    let mut connection = remote.connect(Direction::Fetch).map_err(fault)?;
    let is_https = config.url.starts_with("https://");
    let account = match &config.credentials_file {
        Some(file) if is_https => Some(read_account(file)?),
        Some(_) | None => None,
    };
    // Always set: without it Git's helper programs and prompts would be started.
    connection.set_credentials(move |action| {
        use gix::credentials::{helper::Action, protocol::Outcome};
        Ok(match (action, &account) {
            (Action::Get(context), Some(identity)) => {
                Some(Outcome { identity: identity.clone(), next: context.into() })
            }
            (Action::Get(_) | Action::Store(_) | Action::Erase(_), _) => None,
        })
    });
    if is_https {
        let roots = config.ca_file.as_deref().map(read_roots).transpose()?.unwrap_or_default();
        let silence = limits.silence;
        let configure = move |builder: reqwest::blocking::ClientBuilder| {
            // The timeout bounds each wait for the server, not the whole of a large fetch.
            let builder = builder.no_proxy().timeout(silence).connect_timeout(silence);
            Ok(builder.tls_certs_merge(roots.iter().cloned()))
        };
        let backend = http::reqwest::Options {
            configure_client: Some(Box::new(configure)),
            configure_request: None,
        };
        let backend: Arc<Mutex<dyn Any + Send + Sync>> = Arc::new(Mutex::new(backend));
        let options = http::Options { backend: Some(backend), ..http::Options::default() };
        connection.set_transport_options(Box::new(options));
    }
    Ok(connection)
}

fn read_account(file: &Path) -> Result<gix::sec::identity::Account, Fault> {
    let text = read(file)?;
    let line = text.lines().next().unwrap_or_default().trim();
    match line.split_once(':') {
        Some((username, password)) if !username.is_empty() && !password.is_empty() => {
            let (username, password) = (username.to_owned(), password.to_owned());
            Ok(gix::sec::identity::Account { username, password, oauth_refresh_token: None })
        }
        Some(_) | None => {
            let message = format!("`{}` does not hold `user:password`", file.display());
            Err(Fault::new(Reason::GitAuthFailed, message))
        }
    }
}

fn read_roots(file: &Path) -> Result<Vec<reqwest::Certificate>, Fault> {
    let fault = |why: String| {
        let message = format!("`{}` does not hold certificates in PEM form: {why}", file.display());
        Fault::new(Reason::GitTlsFailed, message)
    };
    let text = read(file)?;
    let roots = reqwest::Certificate::from_pem_bundle(text.as_bytes());
    let roots = roots.map_err(|error| fault(error.to_string()))?;
    if roots.is_empty() { Err(fault("there is none".to_owned())) } else { Ok(roots) }
}

fn read(file: &Path) -> Result<String, Fault> {
    let long = || io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes"));
    let length = fs::metadata(file).map(|m| m.len());
    let text = length
        .and_then(|n| if n > FILE_BYTES_MAX { Err(long()) } else { fs::read_to_string(file) });
    text.map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", file.display());
        Fault::new(Reason::GitAuthFailed, message)
    })
}

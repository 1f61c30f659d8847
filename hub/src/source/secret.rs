//! Secrets by reference: a place is stored and shown, the secret itself is read when it is needed and never
//! printed, logged or stored. Everything here blocks.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::Engine;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::lock;
use crate::clock::Clock;

/// Longest secret, in bytes: a bundle of roots is the longest thing that is read.
const SECRET_BYTES_MAX: u64 = 256 << 10;

/// How long a Kubernetes Secret is kept in memory: 50 sources that look every 2 s ask the API server
/// less than twice a second. A refused credential is read again at once.
const KEPT: Duration = Duration::from_secs(30);

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the pod's own identity is.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where a secret is. Printing it shows the place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// A file on the hub.
    File(PathBuf),
    /// An environment variable of the hub.
    Env(String),
    /// A key of a Kubernetes Secret in the hub's own namespace.
    Kubernetes {
        /// Name of the Secret.
        name: String,
        /// Which of its keys.
        key: String,
    },
}

/// A text that names no place of a secret. The text itself is not repeated: it may be the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names no place of a secret; write `file:/path`, `env:NAME` or `secret:NAME/KEY`")]
pub struct NotAPlace;

impl SecretRef {
    /// Reads `file:/path`, `env:NAME` or `secret:NAME/KEY`.
    pub fn parse(text: &str) -> Result<SecretRef, NotAPlace> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = |name: &str| !name.is_empty() && name.len() <= 253 && name.chars().all(plain);
        if let Some(path) = text.strip_prefix("file:") {
            let path = PathBuf::from(path);
            let steps = path.components().any(|part| part == std::path::Component::ParentDir);
            return if path.is_absolute() && !steps {
                Ok(SecretRef::File(path))
            } else {
                Err(NotAPlace)
            };
        }
        if let Some(name) = text.strip_prefix("env:") {
            let fine =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return if fine { Ok(SecretRef::Env(name.to_owned())) } else { Err(NotAPlace) };
        }
        match text.strip_prefix("secret:").and_then(|rest| rest.split_once('/')) {
            Some((name, key)) if is_name(name) && is_name(key) && !name.contains("..") => {
                Ok(SecretRef::Kubernetes { name: name.to_owned(), key: key.to_owned() })
            }
            Some(_) | None => Err(NotAPlace),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "file:{}", path.display()),
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::Kubernetes { name, key } => write!(f, "secret:{name}/{key}"),
        }
    }
}

/// A secret. Cannot be printed; wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(crate) fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The whole text; nothing when it is no text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first line, without white space round it.
    pub(crate) fn line(&self) -> &str {
        self.text().lines().next().unwrap_or_default().trim()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` cannot be read: {why}")]
pub struct SecretError {
    place: String,
    why: String,
}

/// The API server that holds the hub's Kubernetes Secrets.
#[derive(Debug, Clone)]
pub struct KubernetesApi {
    /// `https://host:port`.
    pub url: String,
    /// Namespace of the hub; no other is ever asked.
    pub namespace: String,
    /// File with the hub's token there.
    pub token_file: PathBuf,
    /// File with the roots of the server.
    pub ca_file: PathBuf,
}

impl KubernetesApi {
    /// That of the pod that this process runs in.
    pub fn of_pod() -> Option<KubernetesApi> {
        let var = |name| std::env::var(name).ok();
        let (host, port) = (var("KUBERNETES_SERVICE_HOST")?, var("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let pod = Path::new(POD);
        let namespace = fs::read_to_string(pod.join("namespace")).ok()?.trim().to_owned();
        let url = format!("https://{host}:{port}");
        let (token_file, ca_file) = (pod.join("token"), pod.join("ca.crt"));
        Some(KubernetesApi { url, namespace, token_file, ca_file })
    }
}

/// What is round the sources.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The hub's own data, such as its admin token: nobody's credentials, so never read as such.
    pub own: PathBuf,
    /// Where Kubernetes Secrets are, if anywhere.
    pub kubernetes: Option<KubernetesApi>,
}

/// Reads secrets. Cloning it gives another handle on the same memory.
#[derive(Debug, Clone)]
pub(crate) struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    beside: Surroundings,
    kept: Mutex<BTreeMap<SecretRef, (Duration, Secret)>>,
}

impl Vault {
    pub(crate) fn new(beside: Surroundings, clock: Clock) -> Vault {
        Vault(Arc::new(Inner { clock, beside, kept: Mutex::default() }))
    }

    /// Reads a secret now; one in Kubernetes at most every [`KEPT`]. Blocks; not for async threads.
    pub(crate) fn read(&self, place: &SecretRef, handle: &Handle) -> Result<Secret, SecretError> {
        let found = match place {
            SecretRef::File(path) => self.file(path),
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(text) => Ok(Secret::new(text.into_bytes())),
                Err(_) => Err("the hub has no such variable".to_owned()),
            },
            SecretRef::Kubernetes { name, key } => self.kept(place).map_or_else(
                || {
                    let secret = handle.block_on(self.kubernetes(name, key))?;
                    let until = self.0.clock.since_start() + KEPT;
                    lock(&self.0.kept).insert(place.clone(), (until, secret.clone()));
                    Ok(secret)
                },
                Ok,
            ),
        };
        let secret = found.and_then(|secret| {
            if secret.bytes().is_empty() { Err("it is empty".to_owned()) } else { Ok(secret) }
        });
        secret.map_err(|why| SecretError { place: place.to_string(), why })
    }

    /// Lets the next read ask Kubernetes: what was kept has been refused.
    pub(crate) fn forget(&self) {
        lock(&self.0.kept).clear();
    }

    fn kept(&self, place: &SecretRef) -> Option<Secret> {
        let now = self.0.clock.since_start();
        lock(&self.0.kept).get(place).filter(|(until, _)| now < *until).map(|(_, s)| s.clone())
    }

    fn file(&self, path: &Path) -> Result<Secret, String> {
        let read = || {
            let real = fs::canonicalize(path)?;
            if fs::canonicalize(&self.0.beside.own).is_ok_and(|own| real.starts_with(own)) {
                return Err(io::Error::other("it is the hub's own data"));
            }
            let meta = fs::metadata(&real)?;
            if !meta.is_file() {
                return Err(io::Error::other("it is no file"));
            }
            if meta.len() > SECRET_BYTES_MAX {
                return Err(io::Error::other(format!("longer than {SECRET_BYTES_MAX} bytes")));
            }
            fs::read(&real)
        };
        read().map(Secret::new).map_err(|error| error.to_string())
    }

    async fn kubernetes(&self, name: &str, key: &str) -> Result<Secret, String> {
        let Some(api) = &self.0.beside.kubernetes else {
            return Err("the hub does not run in Kubernetes".to_owned());
        };
        let file =
            |path: &Path| fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()));
        let token = Secret::new(file(&api.token_file)?);
        let roots = reqwest::Certificate::from_pem_bundle(&file(&api.ca_file)?);
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .tls_certs_only(roots.map_err(|error| error.to_string())?)
            .build()
            .map_err(|error| error.to_string())?;
        let url = format!("{}/api/v1/namespaces/{}/secrets/{name}", api.url, api.namespace);
        let answer = client.get(&url).bearer_auth(token.line()).send().await;
        let mut answer = answer.map_err(|error| format!("`{}`: {}", api.url, deepest(&error)))?;
        match answer.status().as_u16() {
            200 => {}
            403 => return Err(format!("the hub may not read it in namespace `{}`", api.namespace)),
            404 => return Err(format!("namespace `{}` has no such Secret", api.namespace)),
            code => return Err(format!("`{}` answers {code}", api.url)),
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > 8 * SECRET_BYTES_MAX {
                return Err("the answer is too long".to_owned());
            }
        }
        let found: Found = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let text = found.data.get(key).ok_or_else(|| "it has no such key".to_owned())?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        bytes.map(Secret::new).map_err(|error| error.to_string())
    }
}

/// What is read of a Secret.
#[derive(serde::Deserialize)]
struct Found {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

/// The last cause of an error: the one that says what happened.
pub(crate) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_everything_else_is_refused_without_repeating_it() {
        for text in ["file:/etc/tidegate/token", "env:FLEET_TOKEN", "secret:fleet/token.pem"] {
            assert_eq!(SecretRef::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "hunter2",
            "file:",
            "file:relative",
            "file:/a/../b",
            "env:",
            "env:A-B",
            "env:A=B",
            "secret:fleet",
            "secret:/key",
            "secret:fleet/",
            "secret:../x/y",
            "secret:a/b/c",
            "https://x",
        ] {
            let refused = SecretRef::parse(text).unwrap_err();
            assert!(text.len() < 6 || !refused.to_string().contains(text), "{text}");
        }
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new(b"hunter2\nrest".to_vec());
        assert_eq!(secret.line(), "hunter2");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hunter2"));
    }
}

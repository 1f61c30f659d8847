//! What a source is, checked before anything is dialled.

use model::{
    SourceName,
    source::{ChartRepository, CommitStatus, SourceAuth, SourceVerify, SourceWebhook, VerifyMode},
};

use super::{
    api,
    follow::{self, Follow},
    place::{Kind, Place, Transport},
    secret::SecretRef,
};
use crate::registry::SourceRecord;

/// Folders and files that a source may name as those that count.
const PATHS_MAX: usize = 100;

/// Repositories of charts that one source may name.
const CHARTS_MAX: usize = 100;

/// Signers of one source.
const SIGNERS_MAX: usize = 100;

/// Longest public key, in bytes: an OpenPGP key with its subkeys and signatures.
const KEY_BYTES_MAX: usize = 64 << 10;

/// Where a source is and what of it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name.
    pub name: SourceName,
    /// Where it is; without credentials.
    pub url: String,
    /// What is followed: a branch or tag, `semver:RANGE`, a commit, or a digest for `oci://`.
    pub reference: String,
    /// Name of the chart, when the URL is a Helm repository.
    pub chart: Option<String>,
    /// Folders and files that count; all when empty.
    pub paths: Vec<String>,
    /// How the hub proves itself, and knows the server.
    pub auth: SourceAuth,
    /// Which commits are trusted.
    pub verify: Option<SourceVerify>,
    /// Who may hint at news.
    pub webhook: Option<SourceWebhook>,
    /// Where the forge is told what became of commits.
    pub commit_status: Option<CommitStatus>,
    /// Where charts that its charts depend on may be fetched.
    pub charts: Vec<ChartRepository>,
}

/// Why a source cannot be followed as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// None of the schemes that we speak.
    #[error(
        "url `{0}` cannot be followed: it must begin with `https://`, `ssh://`, `oci://`, `git://` or \
         `file:///`, or be `user@host:path`"
    )]
    Scheme(String),
    /// A password would be stored and shown with the URL.
    #[error("{0} carries credentials; put them into a file and name that, such as `file:/path`")]
    Credentials(&'static str),
    /// Not a URL at all.
    #[error("url cannot be followed: it has white space, `?` or `#`, or is too long")]
    Url,
    /// Not a name of a branch or tag.
    #[error("ref `{0}` is not the name of a branch or tag, a commit, or `semver:RANGE`")]
    Reference(String),
    /// A field that this kind of source has no use for, or one that it lacks.
    #[error("`{field}` {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl SourceConfig {
    /// A source that follows one ref of a URL, and nothing more.
    pub fn new(name: SourceName, url: &str, reference: &str) -> SourceConfig {
        SourceConfig {
            name,
            url: url.to_owned(),
            reference: reference.to_owned(),
            chart: None,
            paths: Vec::new(),
            auth: SourceAuth::default(),
            verify: None,
            webhook: None,
            commit_status: None,
            charts: Vec::new(),
        }
    }

    /// Checks all that can be checked without a network.
    pub fn check(&self) -> Result<(), ConfigError> {
        let place = self.place()?;
        let fits = match self.follow()? {
            Follow::Digest(_) => place.kind != Kind::Git,
            Follow::Commit(_) => place.kind == Kind::Git,
            Follow::Name(_) | Follow::Versions(_) => true,
        };
        if !fits {
            return Err(ConfigError::Reference(self.reference.clone()));
        }
        if place.kind != Kind::Git && !self.paths.is_empty() {
            return Err(fault("paths", "count in a Git repository only"));
        }
        if place.kind == Kind::Helm && self.verify.is_some() {
            return Err(fault(
                "verify",
                "cannot be kept: charts of a Helm repository are not signed",
            ));
        }
        if place.kind != Kind::Oci && self.verify.as_ref().is_some_and(|v| v.keyless.is_some()) {
            return Err(fault("verify.keyless", "counts for `oci://` only"));
        }
        if matches!(place.transport, Transport::Daemon { .. }) && self.verify.is_none() {
            let why = "is needed for `git://`: nothing on the way says whose commits these are";
            return Err(fault("verify", why));
        }
        self.check_auth(&place)?;
        self.check_charts()?;
        self.check_paths()?;
        self.check_verify()?;
        if let Some(hook) = &self.webhook {
            secret("webhook.secret", &hook.secret)?;
        }
        if let Some(status) = &self.commit_status {
            api::of(self, &place, status).map(drop)?;
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn place(&self) -> Result<Place, ConfigError> {
        Place::parse(&self.url, self.chart.as_deref())
    }

    /// What is followed.
    pub(super) fn follow(&self) -> Result<Follow, ConfigError> {
        follow::parse(&self.reference).ok_or_else(|| ConfigError::Reference(self.reference.clone()))
    }

    fn check_auth(&self, place: &Place) -> Result<(), ConfigError> {
        let auth = &self.auth;
        let key = auth.github_app.as_ref().map(|app| app.key.clone());
        let ssh = matches!(place.transport, Transport::Ssh { .. });
        let web = matches!(place.transport, Transport::Https);
        for (field, value, fits) in [
            ("auth.credentials", &auth.credentials, web),
            ("auth.ca", &auth.ca, web),
            ("auth.clientCertificate", &auth.client_certificate, web),
            ("auth.proxyCredentials", &auth.proxy_credentials, web && auth.proxy.is_some()),
            ("auth.sshKey", &auth.ssh_key, ssh),
            ("auth.sshPassphrase", &auth.ssh_passphrase, ssh && auth.ssh_key.is_some()),
            ("auth.knownHosts", &auth.known_hosts, ssh),
            ("auth.githubApp.key", &key, web && auth.credentials.is_none()),
        ] {
            match value {
                Some(value) if fits => drop(secret(field, value)?),
                Some(_) => return Err(fault(field, "does not fit the rest of this source")),
                None => {}
            }
        }
        if ssh && (auth.ssh_key.is_none() || auth.known_hosts.is_none()) {
            return Err(fault("auth", "needs `sshKey` and `knownHosts` for ssh"));
        }
        if let Some(app) = &auth.github_app {
            let plain = |text: &str| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
            };
            if !plain(&app.app_id) || !plain(&app.installation_id) {
                return Err(fault("auth.githubApp", "needs `appId` and `installationId`"));
            }
            if app.api_url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
                return Err(fault("auth.githubApp.apiUrl", "must begin with `https://`"));
            }
        }
        match &auth.proxy {
            Some(proxy) if proxy.contains('@') => Err(ConfigError::Credentials("the proxy")),
            Some(proxy)
                if !web || !(proxy.starts_with("http://") || proxy.starts_with("https://")) =>
            {
                Err(fault(
                    "auth.proxy",
                    "must be `http://host:port`, and only https goes through it",
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_charts(&self) -> Result<(), ConfigError> {
        if self.charts.len() > CHARTS_MAX {
            return Err(fault("charts", &format!("are more than {CHARTS_MAX}")));
        }
        for allowed in &self.charts {
            let known = ["https://", "oci://"].iter().any(|scheme| allowed.url.starts_with(scheme));
            if !known {
                let why = "name repositories that begin with `https://` or `oci://`";
                return Err(fault("charts", why));
            }
            // Any chart there is fetched as a source would be.
            let url = allowed.url.trim_end_matches('/');
            let oci = url.starts_with("oci://");
            let chart = if oci { format!("{url}/chart") } else { url.to_owned() };
            let mut own = SourceConfig::new(self.name.clone(), &chart, "1.0.0");
            own.chart = (!oci).then(|| "chart".to_owned());
            own.auth = allowed.auth.clone();
            own.check()?;
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        if self.paths.len() > PATHS_MAX {
            return Err(fault("paths", &format!("are more than {PATHS_MAX}")));
        }
        for path in &self.paths {
            let odd = |part: &str| part.is_empty() || part == "." || part == "..";
            if path.trim_end_matches('/').split('/').any(odd) || path.contains(char::is_control) {
                return Err(fault(
                    "paths",
                    &format!("has `{path}`, which is no path of a repository"),
                ));
            }
        }
        Ok(())
    }

    fn check_verify(&self) -> Result<(), ConfigError> {
        let Some(verify) = &self.verify else { return Ok(()) };
        let identities = verify.keyless.as_ref().map_or(0, |keyless| keyless.identities.len());
        let count = verify.signers.len() + identities;
        if count == 0 || count > SIGNERS_MAX {
            return Err(fault("verify.signers", &format!("must be 1 to {SIGNERS_MAX}")));
        }
        let mut names = std::collections::BTreeSet::new();
        if let Some(keyless) = &verify.keyless {
            secret("verify.keyless.trustedRoot", &keyless.trusted_root)?;
            for who in &keyless.identities {
                if who.name.is_empty() || !names.insert(&who.name) {
                    let why = "must be there, and once only";
                    return Err(fault("verify.keyless.identities.name", why));
                }
                if !who.issuer.starts_with("https://") {
                    return Err(fault(
                        "verify.keyless.identities.issuer",
                        "must begin with `https://`",
                    ));
                }
                if who.subject.trim_matches('*').is_empty() {
                    let why = "must name somebody; a `*` alone would be anybody";
                    return Err(fault("verify.keyless.identities.subject", why));
                }
            }
        }
        for signer in &verify.signers {
            if signer.key.contains("PRIVATE KEY") {
                return Err(fault("verify.signers.key", "is a private key; give the public one"));
            }
            if signer.name.is_empty() || !names.insert(&signer.name) {
                return Err(fault("verify.signers.name", "must be there, and once only"));
            }
            if signer.key.len() > KEY_BYTES_MAX {
                return Err(fault("verify.signers.key", "is too long"));
            }
        }
        let tag = verify.mode != VerifyMode::Head;
        if tag && matches!(self.follow()?, Follow::Commit(_)) {
            return Err(fault("verify.mode", "wants a signed tag, and a commit is followed"));
        }
        Ok(())
    }
}

pub(super) fn secret(field: &'static str, text: &str) -> Result<SecretRef, ConfigError> {
    SecretRef::parse(text).map_err(|error| fault(field, &error.to_string()))
}

pub(super) fn fault(field: &'static str, why: &str) -> ConfigError {
    ConfigError::Field { field, why: why.to_owned() }
}

impl From<&SourceRecord> for SourceConfig {
    fn from(record: &SourceRecord) -> SourceConfig {
        let file = |path: &Option<String>| path.as_ref().map(|path| format!("file:{path}"));
        let mut auth = record.auth.clone();
        auth.credentials = auth.credentials.or_else(|| file(&record.credentials_file));
        auth.ca = auth.ca.or_else(|| file(&record.ca_file));
        SourceConfig {
            name: record.name.clone(),
            url: record.url.clone(),
            reference: record.reference.clone(),
            chart: record.chart.clone(),
            paths: record.paths.clone(),
            auth,
            verify: record.verify.clone(),
            webhook: record.webhook.clone(),
            commit_status: record.commit_status.clone(),
            charts: record.charts.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, reference: &str) -> Result<(), ConfigError> {
        config(url, reference).check()
    }

    fn config(url: &str, reference: &str) -> SourceConfig {
        SourceConfig::new(SourceName::parse("fleet").unwrap(), url, reference)
    }

    #[test]
    fn only_known_schemes_are_followed() {
        for url in ["file:///srv/fleet.git", "https://git.example/fleet.git"] {
            assert_eq!(check(url, "main"), Ok(()), "{url}");
        }
        for url in [
            "http://git.example/x",
            "ext::sh -c x",
            "file://host/x",
            "/srv/x",
            "https://",
            "",
            "git://x/y",
        ] {
            assert!(check(url, "main").is_err(), "{url}");
        }
    }

    #[test]
    fn a_url_with_credentials_is_refused_and_not_repeated() {
        for url in ["https://me:hunter2@git.example/x", "https://hunter2@git.example/x"] {
            let refused = check(url, "main").unwrap_err();
            assert_eq!(refused, ConfigError::Credentials("the url"), "{url}");
            assert!(!refused.to_string().contains("hunter2"));
        }
        let mut proxied = config("https://git.example/x", "main");
        proxied.auth.proxy = Some("http://me:hunter2@proxy.example".to_owned());
        assert_eq!(proxied.check(), Err(ConfigError::Credentials("the proxy")));
    }

    #[test]
    fn a_secret_in_place_of_its_place_is_refused_and_not_repeated() {
        let mut careless = config("https://git.example/x", "main");
        careless.auth.credentials = Some("hunter2hunter2".to_owned());
        let refused = careless.check().unwrap_err().to_string();
        assert!(refused.contains("auth.credentials") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn credentials_that_a_transport_cannot_use_are_refused() {
        let mut file = config("file:///srv/fleet.git", "main");
        file.auth.credentials = Some("env:TOKEN".to_owned());
        assert!(matches!(file.check(), Err(ConfigError::Field { field: "auth.credentials", .. })));
    }

    #[test]
    fn a_ref_is_a_name_and_nothing_else() {
        for reference in ["main", "release/1.2", "v1.2.0", "feature_x"] {
            assert_eq!(check("file:///x", reference), Ok(()), "{reference}");
        }
        for reference in [
            "",
            "-x",
            "a..b",
            "a:b",
            "a b",
            "refs/heads/*",
            "a~1",
            "HEAD@{1}",
            "/a",
            "a/",
            "a.lock",
        ] {
            assert!(check("file:///x", reference).is_err(), "{reference}");
        }
    }
}

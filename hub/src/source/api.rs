//! Where the API of a source's forge is, and what the repository is called there.

use model::source::{CommitStatus, Forge};

use super::{
    config::{ConfigError, SourceConfig, fault, secret},
    place::{Kind, Place, Transport},
};

/// Where commit statuses go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) forge: Forge,
    /// `https://host/path`, without a `/` at its end.
    pub(super) base: String,
    /// `owner/name`.
    pub(super) repository: String,
}

/// Checks what a source says about commit statuses.
pub(super) fn of(
    config: &SourceConfig,
    place: &Place,
    status: &CommitStatus,
) -> Result<Api, ConfigError> {
    if place.kind != Kind::Git {
        return Err(fault("commitStatus", "is for Git repositories"));
    }
    if let Some(credentials) = &status.credentials {
        drop(secret("commitStatus.credentials", credentials)?);
    } else if config.auth.credentials.is_none() && config.auth.github_app.is_none() {
        return Err(fault(
            "commitStatus.credentials",
            "is needed: the source has no credentials for HTTPS",
        ));
    }
    if let Some(ca) = &status.ca {
        drop(secret("commitStatus.ca", ca)?);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/~".contains(c);
    let repository =
        status.repository.clone().or_else(|| path_of(config, place)).unwrap_or_default();
    let repository = repository.trim_matches('/').trim_end_matches(".git").to_owned();
    let parts: Vec<_> = repository.split('/').collect();
    let odd = |part: &&str| part.is_empty() || *part == "." || *part == "..";
    if parts.len() < 2 || parts.iter().any(odd) || !repository.chars().all(plain) {
        return Err(fault("commitStatus.repository", "must be there and be such as `acme/fleet`"));
    }
    let base = match &status.api {
        Some(api) => api.trim_end_matches('/').to_owned(),
        None => usual(status.forge, &place.host),
    };
    let host = base.strip_prefix("https://").unwrap_or_default();
    if host.is_empty()
        || host.starts_with('/')
        || host.contains(['@', '?', '#', '\\'])
        || host.contains(char::is_whitespace)
    {
        return Err(fault(
            "commitStatus.api",
            "must be there and be such as `https://git.example/api/v1`",
        ));
    }
    Ok(Api { forge: status.forge, base, repository })
}

/// The path of the repository in the URL of the source.
fn path_of(config: &SourceConfig, place: &Place) -> Option<String> {
    match &place.transport {
        Transport::File => None,
        Transport::Ssh { path, .. } | Transport::Daemon { path, .. } => Some(path.clone()),
        Transport::Https => {
            config.url.strip_prefix("https://")?.split_once('/').map(|(_, p)| p.to_owned())
        }
    }
}

/// The API that belongs to a host. The two large forges have hosts of their own for it.
fn usual(forge: Forge, host: &str) -> String {
    // The port of ssh is no port of an API.
    match (forge, host) {
        (_, "") => String::new(),
        (Forge::Github, "github.com") => "https://api.github.com".to_owned(),
        (Forge::Github, host) => format!("https://{host}/api/v3"),
        (Forge::Gitlab, host) => format!("https://{host}/api/v4"),
        (Forge::Gitea, host) => format!("https://{host}/api/v1"),
        (Forge::Bitbucket, _) => "https://api.bitbucket.org/2.0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use model::SourceName;

    use super::*;

    fn api(url: &str, forge: Forge) -> Result<Api, ConfigError> {
        let mut config = SourceConfig::new(SourceName::parse("fleet").unwrap(), url, "main");
        let credentials = Some("env:TOKEN".to_owned());
        let status = CommitStatus { forge, credentials, api: None, repository: None, ca: None };
        config.commit_status = Some(status.clone());
        of(&config, &config.place().unwrap(), &status)
    }

    #[test]
    fn each_forge_has_its_usual_api() {
        for (url, forge, base, repository) in [
            (
                "https://github.com/acme/fleet.git",
                Forge::Github,
                "https://api.github.com",
                "acme/fleet",
            ),
            (
                "git@github.com:acme/fleet.git",
                Forge::Github,
                "https://api.github.com",
                "acme/fleet",
            ),
            (
                "https://ghe.example/acme/fleet",
                Forge::Github,
                "https://ghe.example/api/v3",
                "acme/fleet",
            ),
            (
                "https://gitlab.com/a/b/fleet.git",
                Forge::Gitlab,
                "https://gitlab.com/api/v4",
                "a/b/fleet",
            ),
            (
                "ssh://git@git.example:2222/a/fleet.git",
                Forge::Gitea,
                "https://git.example/api/v1",
                "a/fleet",
            ),
            (
                "https://bitbucket.org/a/fleet",
                Forge::Bitbucket,
                "https://api.bitbucket.org/2.0",
                "a/fleet",
            ),
        ] {
            let found = api(url, forge).unwrap();
            assert_eq!(
                (found.base.as_str(), found.repository.as_str()),
                (base, repository),
                "{url}"
            );
        }
    }

    #[test]
    fn what_no_forge_could_be_told_is_refused() {
        assert!(api("file:///srv/acme/fleet", Forge::Github).is_err());
        assert!(api("https://github.com/fleet", Forge::Github).is_err());
        assert!(api("oci://ghcr.io/acme/fleet", Forge::Github).is_err());
        let name = SourceName::parse("fleet").unwrap();
        let mut config = SourceConfig::new(name, "file:///srv/x", "main");
        let mut status = CommitStatus {
            forge: Forge::Gitea,
            credentials: Some("env:TOKEN".to_owned()),
            api: Some("https://git.example/api/v1".to_owned()),
            repository: Some("acme/fleet".to_owned()),
            ca: None,
        };
        config.commit_status = Some(status.clone());
        assert_eq!(config.check(), Ok(()));
        for api in ["http://git.example", "https://", "https://me:hunter2@git.example", ""] {
            status.api = Some(api.to_owned());
            config.commit_status = Some(status.clone());
            let refused = config.check().unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        status.api = Some("https://git.example".to_owned());
        status.credentials = None;
        config.commit_status = Some(status);
        assert!(config.check().unwrap_err().to_string().contains("commitStatus.credentials"));
    }
}

//! Where a source is: a URL, taken apart.

use super::config::ConfigError;

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Port of Git's own daemon.
const DAEMON_PORT: u16 = 9418;

/// Port of ssh.
const SSH_PORT: u16 = 22;

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Git repository.
    Git,
    /// A repository of an OCI registry.
    Oci,
    /// A chart in a Helm repository.
    Helm,
}

/// How a place is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transport {
    /// A folder of this machine.
    File,
    /// HTTPS.
    Https,
    /// SSH.
    Ssh {
        /// Who signs in.
        user: String,
        /// Which port.
        port: u16,
        /// The repository, as the server names it.
        path: String,
    },
    /// Git's own daemon: nothing on the way is secret or proven.
    Daemon {
        /// Which port.
        port: u16,
        /// The repository, as the server names it.
        path: String,
    },
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What is there.
    pub(super) kind: Kind,
    /// How it is reached.
    pub(super) transport: Transport,
    /// Host and port as written; empty for a folder.
    pub(super) host: String,
    /// The repository in a registry; empty for everything else.
    pub(super) path: String,
}

impl Place {
    pub(super) fn parse(url: &str, chart: Option<&str>) -> Result<Place, ConfigError> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#\\".contains(c);
        if url.len() > URL_BYTES_MAX || url.contains(odd) {
            return Err(ConfigError::Url);
        }
        let is_web = url.starts_with("https://");
        if chart.is_some_and(|chart| !is_web || chart.is_empty()) {
            let why =
                "names a chart in a Helm repository, whose url begins with `https://`".to_owned();
            return Err(ConfigError::Field { field: "chart", why });
        }
        let kind = if chart.is_some() { Kind::Helm } else { Kind::Git };
        let git = |transport, host: &str| Place {
            kind,
            transport,
            host: host.to_owned(),
            path: String::new(),
        };
        // What stands before an `@` may be a password.
        let unknown = || match url.rsplit_once('@') {
            Some((_, rest)) => ConfigError::Scheme(format!("…@{rest}")),
            None => ConfigError::Scheme(url.to_owned()),
        };
        if let Some(rest) = url.strip_prefix("https://") {
            let host = rest.split('/').next().unwrap_or_default();
            return match host {
                "" => Err(unknown()),
                host if host.contains('@') => Err(ConfigError::Credentials("the url")),
                host => Ok(git(Transport::Https, host)),
            };
        }
        if let Some(rest) = url.strip_prefix("oci://") {
            let (host, path) = rest.split_once('/').ok_or_else(unknown)?;
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
            if host.contains('@') {
                return Err(ConfigError::Credentials("the url"));
            }
            let parts = path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
            if host.is_empty() || !parts || !path.chars().all(plain) {
                return Err(unknown());
            }
            let (host, path) = (host.to_owned(), path.to_owned());
            return Ok(Place { kind: Kind::Oci, transport: Transport::Https, host, path });
        }
        if let Some(rest) = url.strip_prefix("git://") {
            let (at, path) = rest.split_once('/').ok_or_else(unknown)?;
            let (host, port) = match at.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| unknown())?),
                None => (at, DAEMON_PORT),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if host.is_empty()
                || host.starts_with('-')
                || !host.chars().all(plain)
                || path.is_empty()
            {
                return Err(unknown());
            }
            return Ok(git(Transport::Daemon { port, path: format!("/{path}") }, host));
        }
        if url.starts_with("file:///") {
            return Ok(git(Transport::File, ""));
        }
        let (transport, host) = ssh(url)?.ok_or_else(unknown)?;
        Ok(git(transport, &host))
    }
}

/// `ssh://user@host:port/path` or `user@host:path`.
fn ssh(url: &str) -> Result<Option<(Transport, String)>, ConfigError> {
    let (account, rest, path) = match url.strip_prefix("ssh://") {
        Some(rest) => {
            let Some((at, path)) = rest.split_once('/') else { return Ok(None) };
            let (account, host) = at.rsplit_once('@').unwrap_or(("git", at));
            // A home folder is named without the slash before it.
            let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
            (account, host, path)
        }
        None => match url.split_once(':') {
            Some((at, path)) if !at.contains('/') && !path.starts_with("//") => {
                let Some((account, host)) = at.rsplit_once('@') else { return Ok(None) };
                if host.contains(['[', ':']) {
                    return Ok(None);
                }
                (account, host, path.to_owned())
            }
            Some(_) | None => return Ok(None),
        },
    };
    if account.contains(':') {
        return Err(ConfigError::Credentials("the url"));
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let Ok(port) = port.parse() else { return Ok(None) };
            (host, port)
        }
        Some(_) | None => (rest, SSH_PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:%~".contains(c))
    };
    if !plain(host) || !plain(account) || path.len() < 2 || path.starts_with('-') {
        return Ok(None);
    }
    let transport = Transport::Ssh { user: account.to_owned(), port, path };
    Ok(Some((transport, host.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, user: &str, host: &str, port: u16, path: &str) {
        let (user, path) = (user.to_owned(), path.to_owned());
        let transport = Transport::Ssh { user, port, path };
        let host = host.to_owned();
        let place = Place { kind: Kind::Git, transport, host, path: String::new() };
        assert_eq!(Place::parse(url, None), Ok(place), "{url}");
    }

    #[test]
    fn both_forms_of_ssh_are_taken_apart() {
        check("ssh://git@git.example/org/x.git", "git", "git.example", 22, "/org/x.git");
        check("ssh://git.example/x", "git", "git.example", 22, "/x");
        check("ssh://ada@git.example:2222/~/x", "ada", "git.example", 2222, "~/x");
        check("ssh://git@[::1]:2222/srv/x", "git", "::1", 2222, "/srv/x");
        check("git@git.example:org/x.git", "git", "git.example", 22, "org/x.git");
        check("git@git.example:/srv/x", "git", "git.example", 22, "/srv/x");
    }

    #[test]
    fn what_could_be_taken_for_an_option_or_a_password_is_refused() {
        for url in [
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-x/y",
            "ssh://-x@git.example/y",
            "git@git.example:-x",
            "ssh://git@git.example",
            "ssh://git@git.example/",
            "ssh://git@git.example:port/x",
            "ext::sh -c x",
            "git.example:x",
        ] {
            assert!(Place::parse(url, None).is_err(), "{url}");
        }
        for url in ["ssh://git:hunter2@git.example/x", "git:hunter2@git.example:x"] {
            let refused = Place::parse(url, None).unwrap_err().to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}

//! Who may enter a cluster: an administrator and a user without rights, each by a random token.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Error;
use super::certificates::write;

/// The name of the user that has no rights until a test binds some.
pub(super) const LIMITED_USER: &str = "limited";

const TOKEN_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct Access {
    admin: String,
    limited: String,
    pub(super) token_file: PathBuf,
}

impl Access {
    pub(super) fn write(folder: &Path) -> Result<Self, Error> {
        let (admin, limited) = (token()?, token()?);
        let text = format!(
            "{admin},admin,admin,\"system:masters\"\n{limited},{LIMITED_USER},{LIMITED_USER}\n"
        );
        let token_file = write(folder.join("tokens.csv"), &text)?;
        Ok(Self { admin, limited, token_file })
    }

    pub(super) fn admin_kubeconfig(&self, cluster: &str, port: u16, authority_pem: &str) -> String {
        kubeconfig(cluster, port, authority_pem, "admin", &self.admin)
    }

    pub(super) fn limited_kubeconfig(
        &self,
        cluster: &str,
        port: u16,
        authority_pem: &str,
    ) -> String {
        kubeconfig(cluster, port, authority_pem, LIMITED_USER, &self.limited)
    }
}

pub(super) async fn client(cluster: &str, kubeconfig: &str) -> Result<Client, Error> {
    let access = |source| Error::Access { cluster: cluster.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(access)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(access)?;
    Client::try_from(config)
        .map_err(|source| Error::Request { cluster: cluster.to_owned(), source: Box::new(source) })
}

fn token() -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    }))
}

fn kubeconfig(cluster: &str, port: u16, authority_pem: &str, user: &str, token: &str) -> String {
    let authority = STANDARD.encode(authority_pem);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority-data: {authority}}}
users:
- name: {user}
  user: {{token: {token}}}
contexts:
- name: {cluster}
  context: {{cluster: {cluster}, user: {user}}}
current-context: {cluster}
"
    )
}

//! How a source is reached, which of its commits are trusted, and who may hint at news. Shared by the API
//! and the hub's records; fields are only ever added.
//!
//! No field here ever holds a secret: each names a place, `file:/path`, `env:NAME` or `secret:NAME/KEY` (a
//! Kubernetes Secret beside the hub).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How the hub proves itself to a source, and how it knows the source's server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceAuth {
    /// Place of `user:password`, or of a token alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Place of further roots to trust (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Place of a client certificate with its key (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// Proxy, `http://host:port`; without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Place of `user:password` for the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_credentials: Option<String>,
    /// Place of a private key for ssh (OpenSSH or PEM form).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// Place of the passphrase of that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_passphrase: Option<String>,
    /// Place of the host keys to trust, in the form of `known_hosts`. Needed for ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// A GitHub App that makes tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_app: Option<GithubApp>,
}

/// A GitHub App, installed where the repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubApp {
    /// Its number or client id.
    pub app_id: String,
    /// Number of the installation.
    pub installation_id: String,
    /// Place of its private key (PEM, RSA).
    pub key: String,
    /// Where tokens are made; GitHub's own API when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
}

/// Which commits of a source are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceVerify {
    /// What must be signed.
    #[serde(default)]
    pub mode: VerifyMode,
    /// Whose signatures count.
    #[serde(default)]
    pub signers: Vec<Signer>,
    /// For artifacts: signatures of identities, by certificates that live for minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<Keyless>,
}

/// Whose keyless signatures (`cosign sign` without a key) count. They are checked without asking anybody: against a
/// trusted root that holds the authorities and logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Keyless {
    /// Place of Sigstore's `trusted_root.json`, as `cosign trusted-root create` writes it.
    pub trusted_root: String,
    /// Who.
    pub identities: Vec<Identity>,
}

/// An identity whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Name by which `signedBy` calls it.
    pub name: String,
    /// Who vouches for it, such as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// What the certificate is for: an address, or a URL such as
    /// `https://github.com/acme/fleet/.github/workflows/release.yml@refs/tags/*`. `*` stands for any text.
    pub subject: String,
}

/// What must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VerifyMode {
    /// The commit.
    #[default]
    Head,
    /// The annotated tag that is followed.
    Tag,
    /// Both.
    TagAndHead,
}

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signer {
    /// Name by which `signedBy` calls it.
    pub name: String,
    /// The public key itself: one line of OpenSSH (`ssh-ed25519 AAAA…`), an OpenPGP block, or for OCI a
    /// PEM block (`-----BEGIN PUBLIC KEY-----`).
    pub key: String,
    /// Signatures made before do not count.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Signatures made after do not count.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// Who may hint that there is something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceWebhook {
    /// How the hint is signed.
    pub provider: WebhookProvider,
    /// Place of the secret that both sides know.
    pub secret: String,
}

/// Where a webhook comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookProvider {
    /// GitHub and GitHub Enterprise: `X-Hub-Signature-256`.
    Github,
    /// GitLab: a signing token, or the older `X-Gitlab-Token`.
    Gitlab,
    /// Gitea, Forgejo, Gogs: `X-Gitea-Signature`.
    Gitea,
    /// Bitbucket: `X-Hub-Signature`.
    Bitbucket,
    /// Azure DevOps: basic authentication; it signs nothing.
    Azure,
    /// Standard Webhooks, or `X-Signature: sha256=…`.
    Generic,
}

/// Where charts that the charts of a source depend on may be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartRepository {
    /// A Helm repository, `https://…`, or `oci://host/path`; what is below it counts too.
    pub url: String,
    /// How the hub proves itself there.
    #[serde(default)]
    pub auth: SourceAuth,
}

/// Where the forge of a source is told what became of its commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitStatus {
    /// Which API it speaks.
    pub forge: Forge,
    /// Place of a token, or of `user:password`; default: the credentials of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Base of its API, `https://…`; default: the one that belongs to the host of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The repository there, such as `acme/fleet`; default: the path of the source's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Place of further roots to trust (PEM); default: those of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// A forge that shows statuses beside commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// GitHub and GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
}

impl Forge {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Forge::Github => "GitHub",
            Forge::Gitlab => "GitLab",
            Forge::Gitea => "Gitea",
            Forge::Bitbucket => "Bitbucket",
        }
    }
}

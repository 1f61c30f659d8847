//! `tidegate source add|list|delete`.

use clap::{Subcommand, ValueEnum};
use model::{
    api::{AddSource, List, SourceItem},
    source::{
        ChartRepository, CommitStatus, Forge, GithubApp, Identity, Keyless, Signer, SourceAuth,
        SourceVerify, SourceWebhook, VerifyMode, WebhookProvider,
    },
};

use super::{Context, get, segment};
use crate::error::{Error, Exit};

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow a Git repository
    Add {
        /// Name of the source
        name: String,
        /// `https://host/path`, `ssh://user@host/path`, `user@host:path`, `file:///path` or `oci://host/path`
        #[arg(long)]
        url: String,
        /// What to follow: a branch or tag, `semver:RANGE` of the tags, a commit, or `sha256:DIGEST` for oci
        #[arg(long = "ref", default_value = "main", value_name = "REF")]
        reference: String,
        /// File on the hub with `user:password` for https
        #[arg(long, value_name = "FILE")]
        credentials_file: Option<String>,
        /// File on the hub with the CA of the server
        #[arg(long, value_name = "FILE")]
        ca_file: Option<String>,
        /// Name of the chart, when the URL is a Helm repository
        #[arg(long)]
        chart: Option<String>,
        /// Folder or file that counts; a commit that changes none of them is passed over. Can be repeated
        #[arg(long = "path", value_name = "PATH")]
        paths: Vec<String>,
        /// Repository of charts that charts of this source may depend on, `https://…` or `oci://host/path`; the hub fetches
        /// what their `Chart.lock` names, and from nowhere else. A PLACE behind it names an account. Can be repeated
        #[arg(
            long,
            value_name = "URL[,credentials=PLACE][,ca=PLACE][,client-certificate=PLACE][,proxy=URL]",
            value_parser = charts
        )]
        charts: Vec<ChartRepository>,
        #[command(flatten)]
        trust: Box<Trust>,
        #[command(flatten)]
        auth: Box<Auth>,
    },
    /// List the sources
    List,
    /// Stop following; clusters keep what they run
    Delete {
        /// Name of the source
        name: String,
    },
}

/// Where the hub finds secrets; a PLACE is `file:/path`, `env:NAME` or `secret:NAME/KEY` (a Kubernetes Secret)
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Auth {
    /// `user:password` or a token for https
    #[arg(long, value_name = "PLACE", conflicts_with = "credentials_file")]
    credentials: Option<String>,
    /// CA of the server
    #[arg(long, value_name = "PLACE", conflicts_with = "ca_file")]
    ca: Option<String>,
    /// Client certificate with its key
    #[arg(long, value_name = "PLACE")]
    client_certificate: Option<String>,
    /// Proxy for https, such as `http://proxy:3128`
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// `user:password` for the proxy
    #[arg(long, value_name = "PLACE", requires = "proxy")]
    proxy_credentials: Option<String>,
    /// Private key for ssh
    #[arg(long, value_name = "PLACE")]
    ssh_key: Option<String>,
    /// Passphrase of that key
    #[arg(long, value_name = "PLACE", requires = "ssh_key")]
    ssh_passphrase: Option<String>,
    /// Host keys to trust for ssh
    #[arg(long, value_name = "PLACE")]
    known_hosts: Option<String>,
    /// Number or client id of a GitHub App that makes tokens
    #[arg(long, value_name = "ID", requires_all = ["github_installation", "github_key"])]
    github_app: Option<String>,
    /// Number of its installation
    #[arg(long, value_name = "ID", requires = "github_app")]
    github_installation: Option<String>,
    /// Private key of the App
    #[arg(long, value_name = "PLACE", requires = "github_app")]
    github_key: Option<String>,
    /// API of a GitHub Enterprise server, such as `https://github.example/api/v3`
    #[arg(long, value_name = "URL", requires = "github_app")]
    github_api: Option<String>,
}

/// Whose commits and hints count
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Trust {
    /// Take only what is signed by this key: a file here with an OpenSSH line, an OpenPGP block, or a PEM block
    /// for oci. Can be repeated
    #[arg(long = "signed-by", value_name = "NAME=FILE", value_parser = signer)]
    signed_by: Vec<(String, String)>,
    /// For oci: take only what this identity signed without a key of its own (`cosign sign`). `*` in SUBJECT stands for
    /// any text. Can be repeated
    #[arg(long, value_name = "NAME=ISSUER,SUBJECT", value_parser = identity, requires = "trusted_root")]
    keyless: Vec<Identity>,
    /// Authorities and logs for keyless signatures: Sigstore's `trusted_root.json`
    #[arg(long, value_name = "PLACE", requires = "keyless")]
    trusted_root: Option<String>,
    /// What must be signed
    #[arg(long, value_enum, default_value_t = Mode::Head, requires = "signed_by")]
    verify: Mode,
    /// Take webhooks of this forge
    #[arg(long, value_enum, requires = "webhook_secret")]
    webhook: Option<Provider>,
    /// Secret that the forge signs webhooks with
    #[arg(long, value_name = "PLACE", requires = "webhook")]
    webhook_secret: Option<String>,
    /// Tell this forge how far each commit got
    #[arg(long, value_enum, value_name = "FORGE")]
    commit_status: Option<ForgeArg>,
    /// Token that may write commit statuses; default: the credentials of the source
    #[arg(long, value_name = "PLACE", requires = "commit_status")]
    commit_status_credentials: Option<String>,
    /// API of the forge; default: the one of the source's host
    #[arg(long, value_name = "URL", requires = "commit_status")]
    commit_status_api: Option<String>,
    /// The repository there, such as `acme/fleet`; default: the path of the source's URL
    #[arg(long, value_name = "PATH", requires = "commit_status")]
    commit_status_repository: Option<String>,
}

/// A forge that shows statuses beside commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ForgeArg {
    Github,
    Gitlab,
    Gitea,
    Bitbucket,
}

/// What must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The commit
    Head,
    /// The annotated tag
    Tag,
    /// Both
    TagAndHead,
}

/// Where webhooks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Github,
    Gitlab,
    Gitea,
    Bitbucket,
    Azure,
    Generic,
}

/// `NAME=FILE`.
fn signer(text: &str) -> Result<(String, String), String> {
    let (name, file) = text.split_once('=').ok_or("write `NAME=FILE`, such as `ada=ada.pub`")?;
    Ok((name.to_owned(), file.to_owned()))
}

/// `NAME=ISSUER,SUBJECT`.
fn identity(text: &str) -> Result<Identity, String> {
    let read = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(',')?)));
    let (name, (issuer, subject)) = read.ok_or(
        "write `NAME=ISSUER,SUBJECT`, such as `ci=https://token.actions.githubusercontent.com,\
         https://github.com/acme/fleet/.github/workflows/release.yml@refs/tags/*`",
    )?;
    let own = str::to_owned;
    Ok(Identity { name: own(name), issuer: own(issuer), subject: own(subject) })
}

/// `URL,credentials=PLACE,ca=PLACE`.
fn charts(text: &str) -> Result<ChartRepository, String> {
    let mut parts = text.split(',');
    let url = parts.next().unwrap_or_default().to_owned();
    let mut auth = SourceAuth::default();
    for part in parts {
        let field = match part.split_once('=') {
            Some(("credentials", place)) => (&mut auth.credentials, place),
            Some(("ca", place)) => (&mut auth.ca, place),
            Some(("client-certificate", place)) => (&mut auth.client_certificate, place),
            Some(("proxy", url)) => (&mut auth.proxy, url),
            Some(_) | None => {
                return Err(format!(
                    "`{part}` is none of `credentials=PLACE`, `ca=PLACE`, `client-certificate=PLACE`, `proxy=URL`"
                ));
            }
        };
        *field.0 = Some(field.1.to_owned());
    }
    Ok(ChartRepository { url, auth })
}

impl Trust {
    fn verify(&self) -> Result<Option<SourceVerify>, Error> {
        let keyless = self.trusted_root.clone().map(|trusted_root| {
            let identities = self.keyless.clone();
            Keyless { trusted_root, identities }
        });
        if self.signed_by.is_empty() && keyless.is_none() {
            return Ok(None);
        }
        let mut signers = Vec::new();
        for (name, file) in &self.signed_by {
            let key = std::fs::read_to_string(file).map_err(|error| {
                Error::new(Exit::Usage, format!("read the key of `{name}` from `{file}`: {error}"))
            })?;
            signers.push(Signer { name: name.clone(), key, valid_from: None, valid_until: None });
        }
        let mode = match self.verify {
            Mode::Head => VerifyMode::Head,
            Mode::Tag => VerifyMode::Tag,
            Mode::TagAndHead => VerifyMode::TagAndHead,
        };
        Ok(Some(SourceVerify { mode, signers, keyless }))
    }

    fn webhook(&self) -> Option<SourceWebhook> {
        let provider = match self.webhook? {
            Provider::Github => WebhookProvider::Github,
            Provider::Gitlab => WebhookProvider::Gitlab,
            Provider::Gitea => WebhookProvider::Gitea,
            Provider::Bitbucket => WebhookProvider::Bitbucket,
            Provider::Azure => WebhookProvider::Azure,
            Provider::Generic => WebhookProvider::Generic,
        };
        Some(SourceWebhook { provider, secret: self.webhook_secret.clone()? })
    }

    fn commit_status(&self) -> Option<CommitStatus> {
        let forge = match self.commit_status? {
            ForgeArg::Github => Forge::Github,
            ForgeArg::Gitlab => Forge::Gitlab,
            ForgeArg::Gitea => Forge::Gitea,
            ForgeArg::Bitbucket => Forge::Bitbucket,
        };
        Some(CommitStatus {
            forge,
            credentials: self.commit_status_credentials.clone(),
            api: self.commit_status_api.clone(),
            repository: self.commit_status_repository.clone(),
            ca: None,
        })
    }
}

impl Auth {
    fn document(&self) -> SourceAuth {
        SourceAuth {
            credentials: self.credentials.clone(),
            ca: self.ca.clone(),
            client_certificate: self.client_certificate.clone(),
            proxy: self.proxy.clone(),
            proxy_credentials: self.proxy_credentials.clone(),
            ssh_key: self.ssh_key.clone(),
            ssh_passphrase: self.ssh_passphrase.clone(),
            known_hosts: self.known_hosts.clone(),
            github_app: self.github_app(),
        }
    }
}

impl Auth {
    fn github_app(&self) -> Option<GithubApp> {
        Some(GithubApp {
            app_id: self.github_app.clone()?,
            installation_id: self.github_installation.clone()?,
            key: self.github_key.clone()?,
            api_url: self.github_api.clone(),
        })
    }
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Add {
            name,
            url,
            reference,
            credentials_file,
            ca_file,
            chart,
            paths,
            charts,
            trust,
            auth,
        } => {
            let body = AddSource {
                name: name.clone(),
                url: url.clone(),
                reference: reference.clone(),
                credentials_file: credentials_file.clone(),
                ca_file: ca_file.clone(),
                chart: chart.clone(),
                paths: paths.clone(),
                auth: auth.document(),
                verify: trust.verify()?,
                webhook: trust.webhook(),
                commit_status: trust.commit_status(),
                charts: charts.clone(),
            };
            let added: SourceItem = context.hub.post("sources", &body).await?;
            context.output.say(&format!("source/{name} added"));
            if let Some(path) = added.webhook {
                context.output.say(&format!("webhooks: POST {path} of the hub"));
            }
            context.output.say("next: tidegate get apps");
        }
        Command::List => {
            let list: List<SourceItem> = context.hub.get("sources").await?;
            get::sources(&list, context.output)?;
        }
        Command::Delete { name } => {
            context.hub.delete(&format!("sources/{}", segment(name))).await?;
            context.output.say(&format!("source/{name} deleted; clusters keep what they run"));
        }
    }
    Ok(Exit::Fine)
}

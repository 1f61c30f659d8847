//! `tidegate source add|list|delete`.

use clap::Subcommand;
use model::{
    api::{AddSource, List, SourceItem},
    source::SourceAuth,
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
        /// `https://host/path`, `ssh://user@host/path`, `user@host:path` or `file:///path`
        #[arg(long)]
        url: String,
        /// Branch, tag or commit to follow
        #[arg(long = "ref", default_value = "main", value_name = "REF")]
        reference: String,
        /// File on the hub with `user:password` for https
        #[arg(long, value_name = "FILE")]
        credentials_file: Option<String>,
        /// File on the hub with the CA of the server
        #[arg(long, value_name = "FILE")]
        ca_file: Option<String>,
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
            github_app: None,
        }
    }
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Add { name, url, reference, credentials_file, ca_file, auth } => {
            let body = AddSource {
                name: name.clone(),
                url: url.clone(),
                reference: reference.clone(),
                credentials_file: credentials_file.clone(),
                ca_file: ca_file.clone(),
                chart: None,
                paths: Vec::new(),
                auth: auth.document(),
                verify: None,
                webhook: None,
            };
            drop::<serde_json::Value>(context.hub.post("sources", &body).await?);
            context.output.say(&format!("source/{name} added"));
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

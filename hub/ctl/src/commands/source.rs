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
        /// `file:///path` or `https://host/path`
        #[arg(long)]
        url: String,
        /// Branch to follow
        #[arg(long = "ref", default_value = "main", value_name = "REF")]
        reference: String,
        /// File on the hub with `user:password` for https
        #[arg(long, value_name = "FILE")]
        credentials_file: Option<String>,
        /// File on the hub with the CA of the server
        #[arg(long, value_name = "FILE")]
        ca_file: Option<String>,
    },
    /// List the sources
    List,
    /// Stop following; clusters keep what they run
    Delete {
        /// Name of the source
        name: String,
    },
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Add { name, url, reference, credentials_file, ca_file } => {
            let body = AddSource {
                name: name.clone(),
                url: url.clone(),
                reference: reference.clone(),
                credentials_file: credentials_file.clone(),
                ca_file: ca_file.clone(),
                chart: None,
                paths: Vec::new(),
                auth: SourceAuth::default(),
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

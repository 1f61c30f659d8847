//! `tidegate cluster add|label|token|cordon|uncordon|pin|unpin|delete`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use model::{
    Labels,
    api::{AddCluster, AddedCluster, ClusterItem},
};

use super::{Context, hold, segment};
use crate::{
    duration::parse_duration,
    error::{Error, Exit},
    output::{Format, Output},
};

/// What to do with clusters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a cluster and make its join token, which works once and for one hour
    Add {
        /// Name of the cluster
        name: String,
        /// Label, may be repeated
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
        labels: Vec<(String, String)>,
        /// What to print on stdout
        #[arg(long, value_enum)]
        print: Option<Print>,
        /// Life of the join token, at most 24h
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// Set labels (`key=value`) or remove them (`key-`)
    Label {
        /// Name of the cluster
        name: String,
        /// `key=value` or `key-`
        #[arg(required = true)]
        changes: Vec<String>,
    },
    /// Make a new join token for a cluster, for instance after its agent lost its state
    Token {
        /// Name of the cluster
        name: String,
        /// Life of the join token, at most 24h
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// Lift a suspension, for instance after a join token was shown twice
    Resume {
        /// Name of the cluster
        name: String,
        /// Why; stands in the audit for ever
        #[arg(long)]
        reason: String,
    },
    /// Give it nothing new; it keeps what it runs
    Cordon(hold::Cluster),
    /// Lift a cordon
    Uncordon(hold::Cluster),
    /// Keep it on what it runs, one app or all of them
    Pin(hold::Pin),
    /// Lift a pin
    Unpin(hold::Pin),
    /// Remove a cluster from the fleet; what runs there keeps running
    Delete {
        /// Name of the cluster
        name: String,
    },
}

/// What `cluster add` prints on stdout.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Print {
    /// The join token and nothing else.
    Token,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not a label; write `key=value`")),
    }
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Add { name, labels, print: _, ttl } => {
            let labels: Labels = labels.iter().cloned().collect();
            let ttl_seconds = ttl.map(|t| t.as_secs());
            let body = AddCluster { name: name.clone(), labels, ttl_seconds };
            let added: AddedCluster = context.hub.post("clusters", &body).await?;
            show_token(context, &added, &format!("cluster/{name} added"))?;
        }
        Command::Token { name, ttl } => {
            let body = serde_json::json!({ "ttlSeconds": ttl.map(|t| t.as_secs()) });
            let path = format!("clusters/{}/token", segment(name));
            let added: AddedCluster = context.hub.post(&path, &body).await?;
            show_token(context, &added, &format!("cluster/{name} has a new join token"))?;
        }
        Command::Label { name, changes } => label(context, name, changes).await?,
        Command::Resume { name, reason } => {
            let path = format!("clusters/{}/resume", segment(name));
            let body = serde_json::json!({ "reason": reason });
            let cluster: ClusterItem = context.hub.post(&path, &body).await?;
            context
                .output
                .say(&format!("cluster/{name} is {}: {}", cluster.state, cluster.message));
        }
        Command::Cordon(args) => return hold::cordon("cordon", args, context).await,
        Command::Uncordon(args) => return hold::cordon("uncordon", args, context).await,
        Command::Pin(args) => return hold::pin("pin", args, context).await,
        Command::Unpin(args) => return hold::pin("unpin", args, context).await,
        Command::Delete { name } => {
            context.hub.delete(&format!("clusters/{}", segment(name))).await?;
            context.output.say(&format!("cluster/{name} deleted; what runs there keeps running"));
        }
    }
    Ok(Exit::Fine)
}

fn show_token(context: &Context, added: &AddedCluster, what: &str) -> Result<(), Error> {
    context
        .output
        .say(&format!("{what}; the token below is shown once, until {}", added.expires_at));
    context.output.say("next: put it into a file F, then: tidegate-agent run --join-file F");
    if context.output.format == Format::Json {
        Output::json(added)
    } else {
        Output::data(&added.token)
    }
}

async fn label(context: &Context, name: &str, changes: &[String]) -> Result<(), Error> {
    let path = format!("clusters/{}", segment(name));
    let cluster: ClusterItem = context.hub.get(&path).await?;
    let mut labels = cluster.labels;
    for change in changes {
        if let Some(key) = change.strip_suffix('-').filter(|k| !k.contains('=')) {
            labels.remove(key);
        } else {
            let (key, value) = parse_label(change).map_err(|e| Error::new(Exit::Usage, e))?;
            labels.insert(key, value);
        }
    }
    drop::<serde_json::Value>(context.hub.put(&format!("{path}/labels"), &labels).await?);
    context.output.say(&format!("cluster/{name} labelled; running rollouts keep their waves"));
    Ok(())
}

//! `tidegate token create|list|delete` and `tidegate whoami`: named tokens with a role and groups.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use model::api::{AddToken, AddedToken, List, TokenItem};

use super::{Context, segment};
use crate::{
    duration::parse_duration,
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// What to do with named tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token for a person or a program; it is shown once
    Create {
        /// Who it is; stands in the log of what they do
        name: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t = RoleArg::Viewer)]
        role: RoleArg,
        /// Group, may be repeated; approvals ask for groups
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Ends by itself after so long, such as `720h`
        #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
        length: Option<Duration>,
    },
    /// List the named tokens
    #[command(alias = "ls")]
    List,
    /// Take a token back
    #[command(alias = "revoke")]
    Delete {
        /// Who it is
        name: String,
    },
}

/// What a person may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Look
    Viewer,
    /// Brake, start, retry, go on, approve
    Operator,
    /// Everything
    Admin,
}

impl RoleArg {
    fn word(self) -> &'static str {
        match self {
            RoleArg::Viewer => "viewer",
            RoleArg::Operator => "operator",
            RoleArg::Admin => "admin",
        }
    }
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Create { name, role, groups, length } => {
            let body = AddToken {
                name: name.clone(),
                role: role.word().to_owned(),
                groups: groups.iter().cloned().collect(),
                for_seconds: length.map(|length| length.as_secs()),
            };
            let added: AddedToken = context.hub.post("tokens", &body).await?;
            context.output.say(&format!("{name} is {}; the token is shown once", added.item.role));
            if context.output.format == Format::Json {
                Output::json(&added)?;
            } else {
                Output::data(&added.token)?;
            }
            context.output.say("next: put it into a file F, then: tidegate --token-file F whoami");
        }
        Command::List => list(&context.hub.get("tokens").await?, context.output)?,
        Command::Delete { name } => {
            context.hub.delete(&format!("tokens/{}", segment(name))).await?;
            context.output.say(&format!("the token of {name} is no longer accepted"));
            context.output.say("next: tidegate token list");
        }
    }
    Ok(Exit::Fine)
}

fn list(list: &List<TokenItem>, output: Output) -> Result<(), Error> {
    match output.format {
        Format::Json => Output::json(list),
        Format::Name => {
            let names: Vec<_> = list.items.iter().map(|t| format!("token/{}", t.name)).collect();
            Output::data(&names.join("\n"))
        }
        Format::Table => {
            let mut table = Table::new(&["NAME", "ROLE", "GROUPS", "MADE", "ENDS"]);
            for token in &list.items {
                let groups = token.groups.iter().cloned().collect::<Vec<_>>().join(", ");
                let ends = token.expires_at.map_or_else(|| "-".to_owned(), |t| format!("{t:.0}"));
                let made = format!("{:.0}", token.created_at);
                table.row(&[token.name.clone(), token.role.clone(), groups, made, ends]);
            }
            Output::data(&table.to_string())
        }
    }
}

/// Says who the hub takes us for.
pub(crate) async fn whoami(context: &Context) -> Result<Exit, Error> {
    let me: serde_json::Value = context.hub.get("me").await?;
    if context.output.format == Format::Json {
        Output::json(&me)?;
        return Ok(Exit::Fine);
    }
    let word = |key: &str| me[key].as_str().unwrap_or_default().to_owned();
    let groups = me["groups"].as_array().into_iter().flatten().filter_map(|g| g.as_str());
    let groups = groups.collect::<Vec<_>>().join(", ");
    let of = if groups.is_empty() { String::new() } else { format!(" of {groups}") };
    Output::data(&safe(&format!("{}, {}{of}", word("name"), word("role"))))?;
    Ok(Exit::Fine)
}

//! `tidegate blocker set|clear|watch|forget|list`: named reasons why waves wait.

use clap::Subcommand;
use model::api::{BlockerAction, BlockerItem, List};

use super::{Context, segment};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// What to do with blockers.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Block: waves that name it wait
    Set {
        /// Name of the blocker, as strategies name it
        name: String,
        /// Why; shown to everybody who asks
        #[arg(long, alias = "reason")]
        message: String,
    },
    /// Let go: waves that name it may go on
    Clear {
        /// Name of the blocker
        name: String,
        /// In words
        #[arg(long, alias = "reason", default_value = "")]
        message: String,
    },
    /// Have an HTTP endpoint decide; until it answers the blocker blocks
    Watch {
        /// Name of the blocker
        name: String,
        /// The endpoint
        #[arg(long)]
        url: String,
    },
    /// Forget it: a wave that names it waits until somebody sets or clears it
    Forget {
        /// Name of the blocker
        name: String,
    },
    /// List the blockers
    List,
}

/// Runs it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    let (name, action) = match command {
        Command::List => return list(context).await,
        Command::Forget { name } => {
            reaches("forget", name, context).await?;
            let path = format!("blockers/{}", segment(name));
            let gone = context.hub.delete(&path).await?;
            if context.output.format == Format::Json {
                Output::json(&gone)?;
            }
            context.output.say(&format!("blocker {name} is forgotten"));
            context.output.say("next: tidegate blocker list");
            return Ok(Exit::Fine);
        }
        Command::Set { name, message } => (name, action("set", message, None)),
        Command::Clear { name, message } => (name, action("clear", message, None)),
        Command::Watch { name, url } => (name, action("watch", "", Some(url))),
    };
    reaches(&action.verb, name, context).await?;
    let path = format!("blockers/{}", segment(name));
    let blocker: BlockerItem = context.hub.post(&path, &action).await?;
    if context.output.format == Format::Json {
        Output::json(&blocker)?;
    }
    context.output.say(&safe(&format!("blocker {name} is {}", state(&blocker))));
    context.output.say(&match action.verb.as_str() {
        "set" => format!("next: tidegate blocker clear {name}"),
        _ => "next: tidegate blocker list".to_owned(),
    });
    Ok(Exit::Fine)
}

fn action(verb: &str, message: &str, url: Option<&String>) -> BlockerAction {
    BlockerAction { verb: verb.to_owned(), message: message.to_owned(), url: url.cloned() }
}

/// Says which waves wait for it.
async fn reaches(verb: &str, name: &str, context: &Context) -> Result<(), Error> {
    let known: List<BlockerItem> = context.hub.get("blockers").await?;
    let used = known.items.iter().find(|b| b.name == name).map(|b| b.used_by.join(", "));
    let used = match used {
        None => "it is new to the hub".to_owned(),
        Some(waves) if waves.is_empty() => "no wave names it".to_owned(),
        Some(waves) => format!("named by {waves}"),
    };
    context.output.say(&safe(&format!("{verb} blocker {name}: {used}")));
    Ok(())
}

fn state(blocker: &BlockerItem) -> String {
    match (&blocker.watch, blocker.set) {
        (Some(url), _) => format!("watched at {url}"),
        (None, true) => format!("set: {}", blocker.message),
        (None, false) => "clear".to_owned(),
    }
}

async fn list(context: &Context) -> Result<Exit, Error> {
    let list: List<BlockerItem> = context.hub.get("blockers").await?;
    match context.output.format {
        Format::Json => Output::json(&list)?,
        Format::Name => {
            let names: Vec<_> = list.items.iter().map(|b| format!("blocker/{}", b.name)).collect();
            Output::data(&names.join("\n"))?;
        }
        Format::Table => {
            let mut table = Table::new(&["NAME", "STATE", "BY", "SINCE", "NAMED BY"]);
            for b in &list.items {
                let since = format!("{:.0}", b.at);
                let used = b.used_by.join(", ");
                table.row(&[b.name.clone(), state(b), b.by.clone(), since, used]);
            }
            Output::data(&table.to_string())?;
        }
    }
    Ok(Exit::Fine)
}

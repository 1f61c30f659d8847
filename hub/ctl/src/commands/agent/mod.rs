//! `tidegate agent plan` and `tidegate agent diff`: what the agent would do, from files alone.
//!
//! They run the very code that the agents run. Deliberately absent: a cluster. What the API server would
//! say (quotas, admission, the webhooks of others) is not in the files and not in the answer.

mod plan;
mod diff;

mod world;

mod inventory;
mod kinds;

use crate::{
    error::{Error, Exit},
    output::Output,
};

/// What the agent would do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what would be applied, deleted, kept and blocked, in which order, and why
    Plan(plan::Args),
    /// Say what applying would change in live objects: by owner of the fields, secrets hidden
    Diff(diff::Args),
}

/// Runs it.
pub(crate) fn run(command: &Command, output: Output) -> Result<Exit, Error> {
    match command {
        Command::Plan(args) => plan::run(args, output),
        Command::Diff(args) => diff::run(args, output),
    }
}

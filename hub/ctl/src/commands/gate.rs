//! `tidegate approve|reject|revoke APP[@REV]` and `tidegate release condemn|absolve APP[@REV]`.

use clap::Subcommand;
use model::api::RolloutAction;

use super::{
    Context,
    act::{self, Seen, Target},
};
use crate::error::{Error, Exit};

/// A wave of an App's rollout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the app, or `APP@REV`
    app: String,
    /// The wave; the one whose turn it is when left out
    #[arg(long)]
    wave: Option<String>,
    /// Why; stands in the log for ever
    #[arg(long, default_value = "")]
    reason: String,
    /// Revoke: whose approval; your own when left out
    #[arg(long, hide = true)]
    of: Option<String>,
    #[command(flatten)]
    seen: Seen,
}

/// Runs `approve`, `reject` or `revoke`.
pub(crate) async fn run(verb: &str, args: &Args, context: &Context) -> Result<Exit, Error> {
    let action = RolloutAction {
        verb: verb.to_owned(),
        reason: args.reason.clone(),
        wave: args.wave.clone(),
        of: args.of.clone(),
        ..RolloutAction::default()
    };
    act::run(&Target::parse(&args.app)?, action, &args.seen, context).await
}

/// What to do with content.
#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Never roll this content out (again)
    Condemn(Content),
    /// Let condemned content go out again
    Absolve(Content),
}

/// A release of an App.
#[derive(Debug, clap::Args)]
pub(crate) struct Content {
    /// Name of the app for its newest commit, or `APP@REV`
    app: String,
    /// Why; stands in the log for ever
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    seen: Seen,
}

/// Runs `release`.
pub(crate) async fn release(command: &Release, context: &Context) -> Result<Exit, Error> {
    let (verb, about) = match command {
        Release::Condemn(about) => ("condemn", about),
        Release::Absolve(about) => ("absolve", about),
    };
    let action = RolloutAction {
        verb: verb.to_owned(),
        reason: about.reason.clone(),
        ..RolloutAction::default()
    };
    act::run(&Target::parse(&about.app)?, action, &about.seen, context).await
}

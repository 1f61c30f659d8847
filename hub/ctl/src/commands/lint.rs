//! `tidegate lint PATH`: checks a fleet repository on disk; needs no hub.

use std::path::PathBuf;

use crate::{
    error::{Error, Exit},
    output::Output,
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Root of the fleet repository
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// Runs it.
pub(crate) fn run(args: &Args, _output: Output) -> Result<Exit, Error> {
    Err(Error::new(Exit::Internal, format!("lint `{}`: not built yet", args.path.display())))
}

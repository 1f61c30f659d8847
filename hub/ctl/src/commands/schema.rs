//! `tidegate schema KIND`: the JSON Schema of a file, for editors; needs no hub.

use crate::{
    error::{Error, Exit},
    output::Output,
};

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `app` (apps/NAME/app.yaml), `repo` (tidegate.yaml) or `policy`
    kind: String,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let Some(schema) = render::schema(&args.kind) else {
        let message = format!("there is no schema `{}`", args.kind);
        return Err(
            Error::new(Exit::NotFound, message).hint("known are `app`, `repo` and `policy`")
        );
    };
    Output::json(&schema)?;
    Ok(Exit::Fine)
}

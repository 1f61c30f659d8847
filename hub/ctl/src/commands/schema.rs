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

/// Runs it, and says how an editor takes it.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let Some(schema) = render::schema(&args.kind) else {
        let message = format!("there is no schema `{}`", args.kind);
        return Err(
            Error::new(Exit::NotFound, message).hint("known are `app`, `repo` and `policy`")
        );
    };
    Output::json(&schema)?;
    let place = match args.kind.as_str() {
        "app" => "../../app.schema.json",
        _ => "FILE",
    };
    output.say(&format!(
        "for an editor: keep it in a file, and begin what you write with\n  # yaml-language-server: $schema={place}"
    ));
    Ok(Exit::Fine)
}

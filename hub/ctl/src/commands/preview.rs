//! `tidegate preview --base main --head HEAD`: what a change would do, before it is merged; `tidegate diff`
//! shows the same for one App, line by line. Both need no hub.

use std::path::PathBuf;

use model::AppName;
use render::Preview;

use super::offline;
use crate::{
    checkout,
    connect::Hub,
    error::{Error, Exit},
    output::{Format, Output, Special, changes, sarif},
};

/// Two states of a repository.
#[derive(Debug, clap::Args)]
#[group(skip)] // it stands within the arguments of others, which are called so too
pub(crate) struct Args {
    /// Root of the fleet repository
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Revision to compare with; default: `main`, and for `diff` `HEAD`
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
    /// Revision that is proposed, `.` is the files as they are; default: `HEAD`, and for `diff` `.`
    #[arg(long, alias = "to", value_name = "REVISION")]
    head: Option<String>,
    #[command(flatten)]
    offline: offline::Args,
}

/// One App in two states of a repository.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The App, as `app/NAME`
    app: String,
    #[command(flatten)]
    states: Args,
    /// Objects only, without their lines
    #[arg(long)]
    summary: bool,
}

/// Runs it: 0 nothing changes, 1 something does, more than 1 it cannot be told.
pub(crate) fn run(args: &Args, hub: Option<&Hub>, output: Output) -> Result<Exit, Error> {
    let (base, head) = args.revisions("main", "HEAD");
    let found = compare(args, (base, head), hub, None)?;
    match (output.special, output.format) {
        (Some(Special::Sarif), _) => {
            let faults: Vec<_> = found.faults().cloned().collect();
            Output::json(&sarif(&faults))?;
        }
        (Some(Special::Markdown), _) => Output::data(&changes::markdown(&found, base, head))?,
        (_, Format::Json) => Output::json(&document(&found, base, head))?,
        (_, Format::Table | Format::Name) => {
            Output::data(&crate::output::safe(&changes::text(&found, true)))?;
        }
    }
    Ok(answer(&found))
}

/// As [`run`], for one App.
pub(crate) fn diff(args: &DiffArgs, hub: Option<&Hub>, output: Output) -> Result<Exit, Error> {
    let app = offline::app_name(&args.app)?;
    let (base, head) = args.states.revisions("HEAD", ".");
    let found = compare(&args.states, (base, head), hub, Some(&app))?;
    match output.format {
        Format::Json => Output::json(&document(&found, base, head))?,
        Format::Table | Format::Name if found.is_empty() => {}
        Format::Table | Format::Name => {
            Output::data(&crate::output::safe(&changes::text(&found, !args.summary)))?;
        }
    }
    Ok(answer(&found))
}

fn document(found: &Preview, base: &str, head: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": model::api::API_VERSION, "base": base, "head": head, "preview": found,
    })
}

impl Args {
    fn revisions<'a>(&'a self, base: &'a str, head: &'a str) -> (&'a str, &'a str) {
        (self.base.as_deref().unwrap_or(base), self.head.as_deref().unwrap_or(head))
    }
}

fn compare(
    args: &Args,
    (base, head): (&str, &str),
    hub: Option<&Hub>,
    only: Option<&AppName>,
) -> Result<Preview, Error> {
    let clusters = args.offline.need_clusters(hub)?;
    let bench = args.offline.bench()?;
    let base = checkout::revision(&args.path, base)?;
    let head = checkout::revision(&args.path, head)?;
    if let Some(app) = only
        && !render::apps(&*head).apps.contains_key(app)
        && !render::apps(&*base).apps.contains_key(app)
    {
        offline::app(&*head, app)?;
    }
    Ok(render::preview(&bench.kit(), &*base, &*head, &clusters, only))
}

fn answer(found: &Preview) -> Exit {
    if found.is_empty() { Exit::Fine } else { Exit::No }
}

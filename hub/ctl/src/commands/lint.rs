//! `tidegate lint PATH`: checks a fleet repository on disk with the code that the hub runs; needs no hub.

use std::{collections::BTreeSet, fs, path::PathBuf};

use model::{Reason, api::List};
use render::{Diagnostic, Severity};
use serde::Deserialize;

use super::offline;
use crate::{
    checkout,
    error::{Error, Exit},
    output::{Format, Output, Special, count, sarif},
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Root of the fleet repository
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Blockers that the hub knows: what `tidegate blocker list -o json` wrote; a wave that waits for another
    /// one is then an error
    #[arg(long, value_name = "FILE")]
    blockers: Option<PathBuf>,
    #[command(flatten)]
    offline: offline::Args,
}

/// One blocker as the file has it; what else stands there is not asked for.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

impl Args {
    /// Names of the blockers that the hub knows, when they are given.
    fn known(&self) -> Result<Option<BTreeSet<String>>, Error> {
        let Some(path) = &self.blockers else { return Ok(None) };
        let fault = |why: String| {
            Error::new(Exit::Usage, format!("read the blockers `{}`: {why}", path.display()))
                .hint("write the file with `tidegate blocker list -o json`")
        };
        let text = fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let list: List<Named> = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        Ok(Some(list.items.into_iter().map(|blocker| blocker.name).collect()))
    }
}

/// Runs it: 0 when nothing is wrong, 1 when something is.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let root = args.path.as_path();
    let tree = checkout::working(root)?;
    let bench = args.offline.bench()?;
    let known = args.known()?;
    let mut found = match args.offline.clusters(None)? {
        Some(clusters) => render::lint_fleet(&bench.kit(), &*tree, known.as_ref(), &clusters),
        None => render::lint(&bench.kit(), &*tree, known.as_ref()),
    };
    if !root.join("apps").is_dir() {
        let message = "there is no folder `apps`, so there is no App";
        let fault = Diagnostic::error(Reason::PathMissing, "apps", message)
            .hint("put each App into `apps/NAME/app.yaml`");
        found.retain(|d| d.file != "apps");
        found.push(fault);
    }
    found.iter_mut().for_each(not_here);
    let errors = found.iter().filter(|d| d.is_error()).count();
    let warnings = found.len() - errors;
    let tally = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    if output.special == Some(Special::Sarif) {
        Output::json(&sarif(&found))?;
        output.say(&tally);
        return Ok(if errors == 0 { Exit::Fine } else { Exit::No });
    }
    match output.format {
        Format::Json => Output::json(&List::new(found))?,
        Format::Table | Format::Name if found.is_empty() => {}
        Format::Table | Format::Name => {
            let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
            Output::data(&crate::output::safe(&lines.join("\n")))?;
        }
    }
    output.say(&tally);
    Ok(if errors == 0 { Exit::Fine } else { Exit::No })
}

/// That a tool is not on this machine says nothing about the repository.
fn not_here(fault: &mut Diagnostic) {
    if [Reason::ToolMissing, Reason::SandboxFailed].contains(&fault.reason) {
        fault.severity = Severity::Warning;
        fault.message = format!("not checked: {}", fault.message);
    }
}

//! `tidegate import argocd|flux|fleet PATH`: another tool's files as `apps/*/app.yaml`, and what did not map; needs no
//! hub and no cluster.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use model::Reason;
use render::{Imported, Origin};

use crate::{
    checkout,
    error::{Error, Exit},
    output::{Format, Output, count, safe},
};

/// Whose files, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tool that the files are for
    #[arg(value_enum)]
    tool: Tool,
    /// Root of the repository
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Write the files below this folder, mostly the root of the repository; default: print them. What is there
    /// already stays as it is
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Another tool.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tool {
    /// Application and `ApplicationSet`
    Argocd,
    /// Kustomization and `HelmRelease`
    Flux,
    /// fleet.yaml and `GitRepo`
    Fleet,
}

/// Runs it: 0 when everything mapped, 1 when the report says what did not.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let tree = checkout::working(&args.path)?;
    let origin = match args.tool {
        Tool::Argocd => Origin::ArgoCd,
        Tool::Flux => Origin::Flux,
        Tool::Fleet => Origin::Fleet,
    };
    let found = render::import(origin, &*tree);
    if found.read == 0 && found.report.is_empty() {
        let what = match args.tool {
            Tool::Argocd => "no Application or ApplicationSet of Argo CD",
            Tool::Flux => "no Kustomization or HelmRelease of Flux",
            Tool::Fleet => "no `fleet.yaml` and no GitRepo of Fleet",
        };
        let message = format!("{what} is below `{}`", args.path.display());
        return Err(Error::because(Exit::NotFound, Reason::PathMissing, message)
            .hint("give the root of the repository that the tool follows"));
    }
    let kept = match &args.to {
        Some(folder) => write(folder, &found)?,
        None => Vec::new(),
    };
    match output.format {
        Format::Json => Output::json(&found)?,
        Format::Name => Output::data(&found.files.keys().cloned().collect::<Vec<_>>().join("\n"))?,
        Format::Table if args.to.is_some() => {}
        Format::Table => Output::data(&safe(&text(&found)))?,
    }
    for path in &kept {
        output.say(&format!("{path} is there already and stays as it is"));
    }
    tell(&found, output);
    Ok(if found.report.is_empty() && kept.is_empty() { Exit::Fine } else { Exit::No })
}

/// The files, one below the other.
fn text(found: &Imported) -> String {
    let one = |(path, text): (&String, &String)| format!("--- # {path}\n{}", text.trim_end());
    found.files.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What a person has to know and to do.
fn tell(found: &Imported, output: Output) {
    for note in &found.report {
        output.say(&safe(&note.to_string()));
    }
    let (read, files) = (count(found.read, "object"), count(found.files.len(), "file"));
    output.say(&format!("{read} read, {files}, {}", count(found.report.len(), "note")));
    if !found.commands.is_empty() {
        output.say("to do once, with the names of your clusters:");
        found.commands.iter().for_each(|command| output.say(&format!("  {}", safe(command))));
    }
    output.say("next: tidegate lint, then tidegate preview");
}

/// Writes the files; those that were there already.
fn write(folder: &Path, found: &Imported) -> Result<Vec<String>, Error> {
    let mut kept = Vec::new();
    for (path, text) in &found.files {
        let place = folder.join(path);
        let fault = |e: std::io::Error| {
            Error::new(Exit::Usage, format!("write `{}`: {e}", place.display()))
        };
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(fault)?;
        }
        match fs::File::create_new(&place) {
            Ok(mut file) => file.write_all(text.as_bytes()).map_err(fault)?,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => kept.push(path.clone()),
            Err(e) => return Err(fault(e)),
        }
    }
    Ok(kept)
}

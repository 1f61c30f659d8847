//! The command tree and its global flags.

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    commands::{
        Context, agent, blocker, cluster, gate, get, health, hold, import, lint, preview, reason,
        render, rollout, schema, simulate, source, targets, token, version, why,
    },
    connect::Hub,
    duration::parse_duration,
    error::{Error, Exit},
    output::{self, Format, Output, Special},
};

/// Moves Git revisions through a fleet of Kubernetes clusters, in waves, on proof.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
pub struct Cli {
    /// Address of the hub
    #[arg(long, global = true, env = "TIDEGATE_HUB", default_value = "http://127.0.0.1:7420")]
    hub: String,
    /// File with the token to sign in with
    #[arg(long, global = true, env = "TIDEGATE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Form of the data on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = OutputArg::Table)]
    output: OutputArg,
    /// Print data only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Give up after this long
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputArg {
    Table,
    Json,
    Name,
    Yaml,
    Markdown,
    Sarif,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List clusters, apps, rollouts, waves or sources
    Get(get::Args),
    /// Say why something is as it is, and what to do
    Why(why::Args),
    /// Watch or steer a rollout
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// Agree to a wave that waits for approval
    Approve(gate::Args),
    /// Say no to a wave: halts the rollout
    Reject(gate::Args),
    /// Take an approval back
    Revoke(gate::Args),
    /// Condemn or absolve the content of a release
    #[command(subcommand)]
    Release(gate::Release),
    /// Let no new grant leave, for the fleet or one app; what was granted goes on
    Freeze(hold::Freeze),
    /// Lift a freeze
    Unfreeze(hold::Unfreeze),
    /// List the freezes that hold
    Freezes,
    /// Set, clear, watch or list named blockers
    #[command(subcommand)]
    Blocker(blocker::Command),
    /// Make, list or delete named tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Say whom the hub takes you for
    Whoami,
    /// Add, label, cordon, pin or delete clusters
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Add, list or delete sources
    #[command(subcommand)]
    Source(source::Command),
    /// Show what a change would do to every cluster, before it is merged; needs no hub
    Preview(preview::Args),
    /// Show line by line what a change does to one App; needs no hub
    Diff(preview::DiffArgs),
    /// Print the manifests exactly as a cluster gets them; needs no hub
    Render(render::Args),
    /// List the clusters of an App and their waves, and say why; needs no hub
    Targets(targets::Args),
    /// Check a fleet repository; needs no hub
    Lint(lint::Args),
    /// Make Apps of the files of another tool, and say what did not map; needs no hub
    Import(import::Args),
    /// Say what the agent would do; needs no hub and no cluster
    #[command(subcommand)]
    Agent(agent::Command),
    /// Say how well live objects are; needs no hub
    ///
    /// Judged by the rules that the agents judge by, and by the objects alone: the same object always gets the
    /// same answer. Ends with 0 when every object has got an answer, whatever the answer is, and with 2 when a
    /// file cannot be read or a rule is wrong. An object that cannot be judged is Unknown, and says why.
    Health(health::Args),
    /// Print the JSON Schema of a file; needs no hub
    Schema(schema::Args),
    /// Explain a reason code; needs no hub
    Reason(reason::Args),
    /// Print the version
    Version,
}

/// Runs the command line and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Fine };
            // Nothing is left to be done when the terminal is gone.
            drop(error.print());
            return ExitCode::from(exit as u8);
        }
    };
    match execute(cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            output::fail(&error);
            ExitCode::from(error.exit as u8)
        }
    }
}

fn execute(cli: Cli) -> Result<Exit, Error> {
    let format = match cli.output {
        OutputArg::Table | OutputArg::Yaml | OutputArg::Markdown | OutputArg::Sarif => {
            Format::Table
        }
        OutputArg::Json => Format::Json,
        OutputArg::Name => Format::Name,
    };
    let special = match cli.output {
        OutputArg::Yaml => Some(Special::Yaml),
        OutputArg::Markdown => Some(Special::Markdown),
        OutputArg::Sarif => Some(Special::Sarif),
        OutputArg::Table | OutputArg::Json | OutputArg::Name => None,
    };
    let output = Output { format, special, quiet: cli.quiet };
    // Pure commands answer on files alone.
    let cli = match offline(cli, output)? {
        Answered::Yes(exit) => return Ok(exit),
        Answered::No(cli) => *cli,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Exit::Internal, format!("start: {e}")))?;
    if matches!(cli.command, Command::Version) {
        let hub = Hub::new(&cli.hub, None)?;
        return runtime.block_on(version::run(&hub, output));
    }
    let hub = Hub::new(&cli.hub, cli.token_file.as_ref())?;
    let context = Context { hub, output, timeout: cli.timeout };
    runtime.block_on(async {
        match cli.command {
            Command::Get(args) => get::run(&args, &context).await,
            Command::Why(args) => why::run(&args, &context).await,
            Command::Rollout(command) => rollout::run(&command, &context).await,
            Command::Cluster(command) => cluster::run(&command, &context).await,
            Command::Source(command) => source::run(&command, &context).await,
            Command::Approve(args) => gate::run("approve", &args, &context).await,
            Command::Reject(args) => gate::run("reject", &args, &context).await,
            Command::Revoke(args) => gate::run("revoke", &args, &context).await,
            Command::Release(command) => gate::release(&command, &context).await,
            Command::Freeze(args) => hold::freeze(&args, &context).await,
            Command::Unfreeze(args) => hold::unfreeze(&args, &context).await,
            Command::Freezes => hold::freezes(&context).await,
            Command::Blocker(command) => blocker::run(&command, &context).await,
            Command::Token(command) => token::run(&command, &context).await,
            Command::Whoami => token::whoami(&context).await,
            Command::Agent(_)
            | Command::Preview(_)
            | Command::Diff(_)
            | Command::Render(_)
            | Command::Targets(_)
            | Command::Lint(_)
            | Command::Import(_)
            | Command::Health(_)
            | Command::Schema(_)
            | Command::Reason(_)
            | Command::Version => Ok(Exit::Fine),
        }
    })
}

/// Whether a command was answered from files.
enum Answered {
    Yes(Exit),
    No(Box<Cli>),
}

/// Carries out the commands that need no hub; they ask one for its clusters when a token is given.
fn offline(cli: Cli, output: Output) -> Result<Answered, Error> {
    let hub = || match &cli.token_file {
        Some(_) => Hub::new(&cli.hub, cli.token_file.as_ref()).map(Some),
        None => Ok(None),
    };
    Ok(Answered::Yes(match cli.command {
        Command::Preview(ref args) => preview::run(args, hub()?.as_ref(), output)?,
        Command::Render(ref args) => render::run(args, hub()?.as_ref(), output)?,
        Command::Targets(ref args) => targets::run(args, hub()?.as_ref(), output)?,
        Command::Lint(ref args) => lint::run(args, output)?,
        Command::Import(ref args) => import::run(args, output)?,
        Command::Agent(ref command) => agent::run(command, output)?,
        Command::Health(ref args) => health::run(args, output)?,
        Command::Schema(ref args) => schema::run(args, output)?,
        Command::Reason(ref args) => reason::run(args, output)?,
        Command::Diff(ref args) => preview::diff(args, hub()?.as_ref(), output)?,
        Command::Rollout(rollout::Command::Simulate(ref args)) => simulate::run(args, output)?,
        Command::Get(_)
        | Command::Why(_)
        | Command::Rollout(_)
        | Command::Cluster(_)
        | Command::Source(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Revoke(_)
        | Command::Release(_)
        | Command::Freeze(_)
        | Command::Unfreeze(_)
        | Command::Freezes
        | Command::Blocker(_)
        | Command::Token(_)
        | Command::Whoami
        | Command::Version => return Ok(Answered::No(Box::new(cli))),
    }))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_command_line_can_be_built() {
        super::Cli::command().debug_assert();
    }
}

//! The command tree and its global flags.

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    commands::{
        Context, cluster, get, health, lint, reason, rollout, simulate, source, version, why,
    },
    connect::Hub,
    duration::parse_duration,
    error::{Error, Exit},
    output::{self, Format, Output},
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
    /// Add, label or delete clusters
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Add, list or delete sources
    #[command(subcommand)]
    Source(source::Command),
    /// Check a fleet repository; needs no hub
    Lint(lint::Args),
    /// Say how well live objects are; needs no hub
    ///
    /// Judged by the rules that the agents judge by, and by the objects alone: the same object always gets the
    /// same answer. Ends with 0 when every object has got an answer, whatever the answer is, and with 2 when a
    /// file cannot be read or a rule is wrong. An object that cannot be judged is Unknown, and says why.
    Health(health::Args),
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
        OutputArg::Table => Format::Table,
        OutputArg::Json => Format::Json,
        OutputArg::Name => Format::Name,
    };
    let output = Output { format, quiet: cli.quiet };
    // Pure commands answer on files alone.
    if let Command::Lint(args) = &cli.command {
        return lint::run(args, output);
    }
    if let Command::Health(args) = &cli.command {
        return health::run(args, output);
    }
    if let Command::Reason(args) = &cli.command {
        return reason::run(args, output);
    }
    if let Command::Rollout(rollout::Command::Simulate(args)) = &cli.command {
        return simulate::run(args, output);
    }
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
            Command::Lint(_) | Command::Health(_) | Command::Reason(_) | Command::Version => {
                Ok(Exit::Fine)
            }
        }
    })
}

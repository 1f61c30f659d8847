//! `make bench`: latency, memory, requests and bytes of the real programs, in one table.
//!
//! Everything is measured in one run on one machine, and each figure says how. Deliberately absent: limits
//! that fail the run. What a figure should be is for people; a busy machine must not turn a build red.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the product; talk goes beside it"
)]

mod commit;
mod waves;
mod direct;
mod hub_memory;
mod agent_cost;
mod agent_work;
mod wire;
mod brain;
mod render;
mod git;
mod release;

mod fleet;
mod light;
mod desk;
mod app;
mod relay;
mod process;
mod table;

use std::{process::ExitCode, time::Duration};

use table::{Row, print};

use crate::stage::Error;

/// What to measure and how long.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "bench", about = "What Tidegate costs on this machine")]
pub struct Options {
    /// Only this one; may be repeated
    #[arg(long, value_enum, value_name = "NAME")]
    pub only: Vec<Name>,
    /// How long an idle agent is watched
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub idle_seconds: u64,
    /// Fewer samples and smaller crowds: to see that it works
    #[arg(long)]
    pub quick: bool,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// Commit to the last of 100 agents
    Commit,
    /// Commit to the last of 100 agents in three stages
    Waves,
    /// Commit to a real API server, beside a direct apply
    Direct,
    /// Hub memory for each idle agent
    HubMemory,
    /// Agent memory, and requests and CPU of an idle agent
    Agent,
    /// First syncs beside direct applies, releases that change nothing, drift
    Work,
    /// Bytes between hub and agent for each changed object
    Wire,
    /// Decisions, memory and folds of the brain alone
    Brain,
    /// Plain YAML, Kustomize and Helm beside the bare tools, and a preview
    Render,
    /// Bytes of looks and fetches beside Git's own, and commit to release
    Git,
}

const ALL: [Name; 10] = [
    Name::Commit,
    Name::Waves,
    Name::Direct,
    Name::HubMemory,
    Name::Agent,
    Name::Work,
    Name::Wire,
    Name::Brain,
    Name::Render,
    Name::Git,
];

impl Options {
    fn samples(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.max(1))
    }
}

/// Measures, prints the table, and fails when a measurement could not be made.
pub async fn run(options: &Options) -> ExitCode {
    agent::identity::install_provider();
    let begin = process::load();
    let mut rows = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for name in ALL {
        if !options.only.is_empty() && !options.only.contains(&name) {
            continue;
        }
        eprintln!("measuring {name:?}, load {}", process::load());
        match measure(name, options).await {
            Ok(more) => rows.extend(more),
            Err(error) => {
                eprintln!("FAILED  {name:?}: {error}");
                rows.push(Row::failed(format!("{name:?}")));
                code = ExitCode::FAILURE;
            }
        }
    }
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "profile {profile}, {cores} cores, load average at start {begin}, at the end {}",
        process::load()
    );
    println!("the hub looks at Git every 200 ms; a commit waits for half of that on average");
    print(&rows);
    code
}

async fn measure(name: Name, options: &Options) -> Result<Vec<Row>, Error> {
    match name {
        Name::Commit => Box::pin(commit::measure(options)).await,
        Name::Waves => Box::pin(waves::measure(options)).await,
        Name::Direct => Box::pin(direct::measure(options)).await,
        Name::HubMemory => Box::pin(hub_memory::measure(options)).await,
        Name::Agent => Box::pin(agent_cost::measure(options)).await,
        Name::Work => Box::pin(agent_work::measure(options)).await,
        Name::Wire => Box::pin(wire::measure(options)).await,
        Name::Brain => brain::measure(options),
        Name::Render => render::measure(options),
        Name::Git => Box::pin(git::measure(options)).await,
    }
}

//! Arguments, log, run, exit code. Started again as `sandbox-exec`, it is the launcher of the sandbox.

use std::process::ExitCode;

use clap::Parser;
use hub::config::Cli;

fn main() -> ExitCode {
    if let Some(ended) = sandbox::launch::from_arguments(std::env::args_os()) {
        return ended;
    }
    hub::program::main(Cli::parse())
}

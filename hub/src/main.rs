//! Arguments, log, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use hub::config::Cli;

fn main() -> ExitCode {
    hub::program::main(Cli::parse())
}

//! `make bench`: what Tidegate costs on this machine, in one table.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    integration::bench::run(&integration::bench::Options::parse()).await
}

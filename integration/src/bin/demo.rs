//! `make demo`: the whole story on this machine, with nothing but Rust and git.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    integration::demo::run(std::env::var_os("DEMO_ONCE").is_some()).await
}

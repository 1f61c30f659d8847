//! The launcher alone, for tests and for whoever wants to look at the sandbox from outside.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::launch::from_arguments(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}

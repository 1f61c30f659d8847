//! Parse, run, print the error, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::run(std::env::args_os())
}

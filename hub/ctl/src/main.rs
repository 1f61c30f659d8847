//! Parse, run, print the error, exit. Started again as `sandbox-exec`, it is the launcher of the sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = sandbox::launch::from_arguments(std::env::args_os()) {
        return ended;
    }
    ctl::run(std::env::args_os())
}

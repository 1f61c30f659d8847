//! The program `tidegate-agent`. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::run::main()
}

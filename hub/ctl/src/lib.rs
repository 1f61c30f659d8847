//! `tidegate`, the hands: a client of the hub's HTTPS API and of nothing else.
//!
//! stdout is data, stderr is talk. The hub's own code is deliberately absent here: what the CLI can do,
//! any script can do with the same API.

mod cli;
mod commands;
mod fleet;
mod checkout;
mod connect;
mod objects;
mod output;
mod error;
mod duration;

pub use cli::{Cli, run};
pub use error::{Error, Exit};

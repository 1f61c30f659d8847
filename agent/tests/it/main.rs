//! The real agent over HTTPS on a pretend cluster, with a pretend hub that says what the test says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apply;
mod choices;
mod crash;
mod disk;
mod drift;
mod faults;
mod grants;
mod http;
mod identity;
mod offline;
mod prune;
mod scale;
mod sealed;
mod stage;

mod scenarios;

mod world;

mod held;

mod hub;

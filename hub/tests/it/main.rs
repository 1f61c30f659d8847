//! The hub's tests that need a process, a disk or a socket of their own; one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod engine;
mod flow;
mod forge;
mod link;
mod people;
mod reach;
mod source;
mod store;
mod trusted;

//! The one test binary of `ctl`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod desk;
mod diff;
mod newcomer;
mod plan;
mod preview;
mod simulate;
mod targets;
mod watch;

#[path = "../../../../agent/tests/it/held.rs"]
mod held;

//! The one test binary of `rollout`. Stories that a person can read are in `scenarios/`; the command line's
//! tests play them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod bugs;
mod crash;
mod numbers;
mod property;

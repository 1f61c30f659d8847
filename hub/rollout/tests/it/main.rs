//! The one test binary of `rollout`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod bugs;
mod crash;
mod numbers;
mod property;
mod scenario;
mod scenarios;

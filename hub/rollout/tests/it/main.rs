//! The one test binary of `rollout`.

mod bugs;
mod property;
mod rng;
mod world;

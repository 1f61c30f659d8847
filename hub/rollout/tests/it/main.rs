//! The one test binary of `rollout`.

mod bugs;
mod crash;
mod numbers;
mod property;
mod rng;
mod scenario;
mod scenarios;
mod transcript;
mod world;

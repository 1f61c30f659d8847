//! Tests of the agent's brain: tables for health and refusals, stories for admission and planning, and
//! random worlds in which no law may be broken.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test that meets nothing may panic, and `json!` values read better passed whole"
)]

mod accept;
mod guard;
mod hooks;
mod laws;
mod fuzz;
mod admit;
mod health;
mod library;
mod plan;
mod property;
mod refusal;
mod rules;
mod scenario;
mod secret;
mod shape;
mod seeds;
mod tracker;
mod world;

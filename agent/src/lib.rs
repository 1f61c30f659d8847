//! The agent: applies, prunes, repairs drift, judges health, inside one cluster.
//!
//! A thin shell: decisions are made by the crate `plan`, and nothing here decides what `plan` can.
//! Deliberately absent: typed Kubernetes objects, anything of the hub's insides.

pub mod state;

pub mod cluster;

pub mod metrics;
pub mod telemetry;

pub mod config;

pub mod clock;

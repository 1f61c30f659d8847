//! The agent: applies, prunes, repairs drift, judges health, inside one cluster.
//!
//! A thin shell: decisions are made by the crate `plan`, and nothing here decides what `plan` can.
//! Deliberately absent: typed Kubernetes objects, anything of the hub's insides.

pub mod run;

pub mod http;

pub mod reconcile;

pub mod link;

pub mod sealed;

pub mod identity;

pub mod state;

pub mod cluster;

pub mod metrics;
pub mod telemetry;

pub mod config;

mod pauses;

pub mod clock;

mod fault;

pub use config::{Config, Kubeconfig, Limits, StateAt};
pub use run::{Deps, Error, Running, start};

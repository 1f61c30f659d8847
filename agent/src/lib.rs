//! The agent: applies, prunes, repairs drift, judges health, inside one cluster.
//!
//! A thin shell: decisions are made by the crate `plan`, and nothing here decides what `plan` can.
//! Deliberately absent: typed Kubernetes objects, anything of the hub's insides.

pub mod run;

pub mod http;

pub mod reconcile;

pub mod link;

pub mod identity;

pub mod state;

pub mod cluster;

pub mod metrics;
pub mod telemetry;

pub mod config;

pub mod clock;

pub use config::{Config, Kubeconfig, Limits, StateAt};
pub use run::{Deps, Error, Running, start};

/// An error and all its causes, on one line.
pub(crate) fn causes(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut at = fault.source();
    while let Some(cause) = at {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        at = cause.source();
    }
    text
}

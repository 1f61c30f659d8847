//! The pretend API server, seen through the real client over real HTTPS.

mod apply;
mod deletion;
mod definitions;
mod faults;
mod namespaces;
mod reading;
mod rollout;
mod setup;
mod watching;

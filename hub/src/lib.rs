//! The hub: follows Git, decides through `rollout`, streams desired state to agents.
//!
//! Modules stand in the order of use: each may import only what is listed below it. Heavy
//! dependencies are named in one place only: `sled` in `store/sled.rs`, `gix` in `source/git`,
//! `rustls` and `rcgen` in `pki` and `grpc/listen.rs`, `tonic` in `grpc`, `axum` in `http`, `clap` in
//! `config.rs`, the clock in `clock.rs`.
//!
//! Deliberately absent: decisions (they are in `rollout`), a client of any Kubernetes API.

pub mod program;
pub mod run;
pub mod http;
pub mod grpc;
pub mod forge;
pub mod measure;
pub mod engine;
pub mod source;
pub mod policy;
pub mod registry;
pub mod pki;
pub mod content;
pub mod store;
pub mod metrics;
pub mod config;
pub mod telemetry;
pub mod clock;

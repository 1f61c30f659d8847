//! Everything that needs a real API server. A missing program is a failure that names `make kube`, never a skipped test.

mod clusters;
mod fleet;
mod parity;
mod pool;
mod scenario;

#[path = "../../../agent/tests/it/scenarios/mod.rs"]
mod scenarios;

#[path = "../../../agent/tests/it/hub.rs"]
mod hub;

//! Everything that needs a real API server. A missing program is a failure that names `make kube`, never a skipped test.

mod clusters;
mod fleet;
mod parity;
mod pool;
mod scenario;

#[expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]
#[path = "../../../agent/tests/it/scenarios/mod.rs"]
mod scenarios;

#[expect(dead_code, reason = "the agent's own tests use more of it")]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]
#[path = "../../../agent/tests/it/hub.rs"]
mod hub;

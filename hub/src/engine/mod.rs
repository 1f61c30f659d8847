//! The thin shell round `rollout`.
//!
//! ```text
//!  sources ─┐                          ┌─▶ log (durable) ─▶ state ─▶ desk ─▶ sessions ─▶ agents
//!  registry ─┼─▶ driver: one wake() ───┤
//!  fleet ───┤    (decide, append, apply until nothing is left)
//!  people ──┘
//! ```
//!
//! A decision is appended and durable before anything that follows from it leaves the hub. Deliberately
//! absent: any choice about a rollout.

mod handle;
mod driver;
mod offer;
mod undo;
mod claims;
mod circle;
mod bench;
mod feed;
mod slot;
mod desk;
mod fleet;

pub use desk::{Desk, Served};
pub use driver::{Error, Parts};
pub use fleet::{AgentView, Attached, Fleet, Heard, HelloInfo, Refusal, SessionId, held};
pub use handle::{CommandError, Handle, Published, start};
pub use slot::{AppNow, Offer};

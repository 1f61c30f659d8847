//! Runs Kustomize and Helm locked in.
//!
//! ```text
//!   Renderers ──▶ cache ──▶ find the program ──▶ room (a fresh folder) ──▶ run ──spawn──▶ launch ──exec──▶ helm
//!   (render::Tools)                                                        │ bounds, kills    │ locks itself in
//! ```
//!
//! The parent keeps time and counts bytes; the child, which is our own program started again as
//! `sandbox-exec`, takes everything away from itself and then becomes the tool. So nothing between the two
//! runs unlocked, and no code of ours is `unsafe`.
//!
//! Deliberately absent: what to render and what the output means (that is `render`), fetching anything.

#![warn(missing_docs)]

mod renderers;
mod cache;
mod find;
mod run;
mod room;
pub mod launch;
pub mod limits;

pub use find::{Found, Places};
pub use renderers::Renderers;
pub use run::{Ended, Error, Order, Sandbox};

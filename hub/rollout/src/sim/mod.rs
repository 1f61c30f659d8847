//! A small world around the real brain: hub processes, a network, agents, people and faults, all in virtual
//! time and by seed.
//!
//! The brain in it is the very one of the hub: [`crate::decide`], [`crate::command`], [`crate::serve`]. The
//! same seed and the same acts give the same log, always. After every event the invariants of
//! [`crate::check`] are checked, and those that only somebody sees who knows what agents really did.
//!
//! Deliberately absent: clocks, files, the store, rendering. Only with the feature `sim`.

pub mod play;
pub mod file;
mod words;
mod world;
mod agent;
mod rng;

pub use agent::{Agent, Behaviour};
pub use rng::Rng;
pub use words::{line, lines, member_state, rollout_state, wave_state};
pub use world::{
    Cluster, Commitment, Content, Faults, Hub, Outside, Pace, World, actor, commit_id, digest, uid,
};

//! The proof: stories, simulation, real API servers, and the rules of the house.

pub mod bench;
pub mod demo;
pub mod stage;
pub mod kubernetes;

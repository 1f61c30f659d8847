//! The agents' port over real TLS on loopback: joining, sessions, pulls, renewals, and whoever tries without
//! being allowed to.

mod rig;
mod joining;
mod sessions;
mod serving;
mod strangers;
mod authority;
mod bundles;
mod recovering;

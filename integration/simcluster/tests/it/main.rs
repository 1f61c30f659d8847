//! The pretend API server, seen through the real client over real HTTPS.

mod apply;
mod rollout;
mod setup;

//! What the wire promises to both sides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod convert;
mod bundle;
mod recorded;
mod token;

//! What the wire promises to both sides.

mod convert;
mod recorded;

//! Between the wire and the words of `model`, in both directions and for every input.
//!
//! * wire to model is `TryFrom`: an [`Error`] names the field and what is wrong with it. Words that a newer
//!   peer may know and we do not (reasons, healths) become `None` or "unknown", never an error.
//! * model to wire is `From` and cannot fail: texts for people are cut to
//!   [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX) and lists are shortened, so that a message always
//!   fits [`SESSION_MESSAGE_BYTES_MAX`](crate::limits::SESSION_MESSAGE_BYTES_MAX).
//!
//! Deliberately absent: Hello, Welcome, Goodbye and the enrolment messages, which have no counterpart in
//! `model` and are read where they are used.

mod report;
mod directive;
mod held;
mod part;

pub use directive::{CHOICES_BYTES_MAX, Directed, GrantOptions};
pub use held::{Held, held_digest, options_mark};
pub use part::{cut, digest_from_wire, digest_to_wire, digest_to_wire_optional, trace_from_wire};
pub use report::Reported;

/// A message that breaks the protocol: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {what}")]
pub struct Error {
    /// Path of the field as the `.proto` files spell it, such as `report.unhealthy.key`.
    pub field: &'static str,
    /// What is wrong, for people.
    pub what: String,
}

impl Error {
    fn new(field: &'static str, what: impl Into<String>) -> Error {
        Error { field, what: what.into() }
    }
}

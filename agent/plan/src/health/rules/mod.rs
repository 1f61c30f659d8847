//! Health rules as data: a list of clauses in CEL, the first that holds is the verdict.
//!
//! [`set`] holds the rules of users, [`library`] those of `health/`. Both are the same form
//! ([`document`]), read once, bounded before they run ([`expression`]), and never fail louder than
//! `Unknown` with a message. Deliberately absent: time. A rule decides by the object alone.

mod set;

mod library;
mod rule;

mod facts;

mod expression;

mod document;

pub use set::{RuleFault, RuleSet};

pub(super) use library::{Row, find};
pub(super) use rule::{Rule, unknown};

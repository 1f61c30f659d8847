//! The one registry of reasons: feeds CLI, API, UI, metrics, notifications and documentation.
//!
//! A code is for programs and never changes its meaning; title and texts are for people and may change.
//! The rows stand in `table.rs`, one line of fact each; this file gives them a type.

mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use table::Reason;

/// Who can lift a reason.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The person who wrote the manifests or gave the command.
    User,
    /// The team that runs clusters, network, Git and the hub.
    Platform,
    /// Tidegate itself: it lifts by itself.
    Us,
}

/// The part of the product a reason belongs to: the letters of its code.
pub type Area = &'static str;

impl Reason {
    /// The letters of the code, such as `WAV`.
    pub fn area(self) -> Area {
        self.code().split('-').next().unwrap_or_default()
    }

    /// Finds a reason by code (`WAV-501`), in either case.
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|r| r.code().eq_ignore_ascii_case(code))
    }

    /// Whether waiting cannot cure it. Decides what an agent calls terminal.
    pub fn is_terminal(self) -> bool {
        self.state() == crate::State::Failed && self.owner() == Owner::User
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.name())
    }
}

impl TryFrom<String> for Reason {
    type Error = String;
    fn try_from(code: String) -> Result<Self, String> {
        Reason::from_code(&code).ok_or_else(|| format!("`{code}` is not a reason code"))
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.code().to_owned()
    }
}

/// On the wire a reason is its code.
#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Reason {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let code = utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .description(Some("stable code of the registry, such as `WAV-507`"))
            .enum_values(Some(Reason::ALL.iter().map(|reason| reason.code())));
        code.into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Reason {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::State;

    #[test]
    fn codes_are_unique_and_shaped_area_dash_number() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let (area, number) = reason.code().split_once('-').unwrap();
            assert!(area.len() == 3 && area.bytes().all(|b| b.is_ascii_uppercase()), "{reason}");
            assert!(number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()), "{reason}");
        }
    }

    #[test]
    fn every_reason_says_what_it_means_and_what_to_do() {
        for reason in Reason::ALL {
            assert!(!reason.title().is_empty(), "{reason}");
            assert!(reason.next_step().ends_with('.'), "{reason}");
            assert!(reason.explanation().ends_with('.'), "{reason}");
            assert_ne!(reason.state(), State::Ready, "{reason}: Ready needs no reason");
        }
    }

    #[test]
    fn a_code_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::try_from(reason.code().to_owned()), Ok(*reason));
        }
        assert!(Reason::try_from("WAV-999".to_owned()).is_err());
    }
}

//! Names, checked once at the door: past this module a name is right.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name we accept, in bytes: a DNS-1123 label, so that every name fits a Kubernetes label value.
const NAME_BYTES_MAX: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no {kind}: {why}; use lower-case letters, digits and `-`, at most 63 characters"
)]
pub struct NameError {
    kind: &'static str,
    text: String,
    why: &'static str,
}

/// RFC 1123 label rules; returns what is wrong.
fn label_fault(text: &str) -> Option<&'static str> {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            if bytes.len() > NAME_BYTES_MAX {
                Some("it is too long")
            } else if !bytes.iter().all(|b| ok(*b) || *b == b'-') {
                Some("it has a character that is not allowed")
            } else if !ok(*first) || !ok(*last) {
                Some("it begins or ends with `-`")
            } else {
                None
            }
        }
        _ => Some("it is empty"),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks and takes a name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                match label_fault(text) {
                    None => Ok(Self(text.to_owned())),
                    Some(why) => Err(NameError { kind: $kind, text: text.to_owned(), why }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
    };
}

name!(
    /// Name of an App; the folder below `apps/` and `metadata.name` of its `app.yaml`.
    AppName, "app name"
);
name!(
    /// Name of a cluster. A mutable label for people; never an identity (see [`ClusterUid`]).
    ClusterName, "cluster name"
);
name!(
    /// Name of a source.
    SourceName, "source name"
);
name!(
    /// Name of a wave within a rollout. A wave made by `ramp` is called `prod-1`, `prod-2`, ….
    WaveName, "wave name"
);

/// Identity of a cluster: made by the hub when the cluster is added, never reused, stands in the
/// agent's certificate. A cluster that is deleted and added again under the same name is another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
// Sixteen bytes in place: maps of ten thousand clusters are searched by it for every report.
pub struct ClusterUid(u128);

impl ClusterUid {
    /// Accepts a lower-case hyphenated UUID and nothing else.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fault = |why| NameError { kind: "cluster uid", text: text.to_owned(), why };
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| fault("it is not a UUID"))?;
        let mut form = uuid::Uuid::encode_buffer();
        if uuid.as_hyphenated().encode_lower(&mut form) == text {
            Ok(Self(uuid.as_u128()))
        } else {
            Err(fault("it is not in the lower-case hyphenated form"))
        }
    }
}

impl fmt::Debug for ClusterUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClusterUid").field(&self.to_string()).finish()
    }
}

impl fmt::Display for ClusterUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = uuid::Uuid::from_u128(self.0);
        f.pad(uuid.as_hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
    }
}

impl TryFrom<String> for ClusterUid {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<ClusterUid> for String {
    fn from(uid: ClusterUid) -> String {
        uid.to_string()
    }
}

/// Number of a rollout within its App, from 1; printed as `web#7`. Unique for ever within the App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(pub u64);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

//! The records as they stand on disk: JSON with a version. Fields are only ever added, with a default,
//! so that old records decode for ever.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{
    AppName, ClusterName, ClusterUid, Digest, Labels, SourceName,
    source::{ChartRepository, CommitStatus, SourceAuth, SourceVerify, SourceWebhook},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::store::{self, Table};

/// The version of the envelope that we write, and the newest that we read.
const VERSION: u32 = 1;

/// Random name of a join token.
pub type TokenId = [u8; 16];

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its identity.
    pub uid: ClusterUid,
    /// Its name, unique among the clusters that exist.
    pub name: ClusterName,
    /// Hub-side labels.
    pub labels: Labels,
    /// Whether it may connect.
    pub state: ClusterState,
    /// Serial of the certificate in use.
    #[serde(default, with = "hexadecimal")]
    pub active_serial: Option<Vec<u8>>,
    /// Serial of a certificate that was signed and not used yet.
    #[serde(default, with = "hexadecimal")]
    pub pending_serial: Option<Vec<u8>>,
    /// The key that brings back a cluster whose certificate ran out.
    #[serde(default, with = "hexadecimal")]
    pub recovery_key: Option<Vec<u8>>,
    /// End of the newest certificate.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Joins and recoveries so far: of the values that were given out for them only the newest counts.
    #[serde(default)]
    pub join_seq: u64,
    /// SHA-256 of the public key of the last recovery, which may be asked for again.
    #[serde(default)]
    pub recovered_key: Option<Digest>,
    /// When it was recovered lately.
    #[serde(default)]
    pub recoveries: Vec<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Sessions that were opened so far: the newest session epoch. Rises only.
    #[serde(default)]
    pub sessions: u64,
    /// A person keeps everything new away from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<MarkRecord>,
    /// A person keeps Apps on what they run: by name of the App, or [`ALL_APPS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, MarkRecord>,
}

/// Stands in [`ClusterRecord::pins`] for every App.
pub const ALL_APPS: &str = "*";

/// Somebody said so, perhaps for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRecord {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was said.
    pub at: Timestamp,
    /// When it ends by itself; never when absent.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl MarkRecord {
    /// Whether it still stands at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl ClusterRecord {
    /// The cordon that stands at `now`.
    pub fn cordon_at(&self, now: Timestamp) -> Option<&MarkRecord> {
        self.cordon.as_ref().filter(|mark| mark.holds(now))
    }

    /// The pin of an App that stands at `now`: its own, else that of all Apps.
    pub fn pin_at(&self, app: &AppName, now: Timestamp) -> Option<&MarkRecord> {
        let of = |name: &str| self.pins.get(name).filter(|mark| mark.holds(now));
        of(app.as_str()).or_else(|| of(ALL_APPS))
    }

    /// Whether desired state is served to it.
    pub fn may_receive(&self) -> bool {
        match self.state {
            ClusterState::Pending | ClusterState::Active => true,
            ClusterState::Suspended { .. } | ClusterState::Revoked => false,
        }
    }
}

/// Whether a cluster may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterState {
    /// Added; its agent did not connect yet.
    Pending,
    /// Its agent connected.
    Active,
    /// May connect and report; receives nothing.
    Suspended {
        /// For people.
        why: String,
    },
    /// Never again.
    Revoked,
}

/// A join token. The secret itself is known to its bearer alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Names it.
    #[serde(with = "hexadecimal")]
    pub id: TokenId,
    /// The cluster it is for.
    pub cluster: ClusterUid,
    /// SHA-256 of the secret.
    pub secret_hash: Digest,
    /// Not accepted from then on, by the hub's clock.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// What became of it.
    pub state: TokenState,
}

/// What became of a join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// Not shown to us yet.
    New,
    /// Shown with these two keys: nobody else can use it; the same one may ask again for a while.
    Bound {
        /// SHA-256 of the public key in the request.
        spki: Digest,
        /// SHA-256 of the recovery key.
        recovery: Digest,
        /// When.
        at: Timestamp,
    },
    /// The certificate that it led to was used.
    Used {
        /// SHA-256 of the public key in the request.
        spki: Digest,
        /// SHA-256 of the recovery key.
        recovery: Digest,
    },
    /// Taken back.
    Revoked,
}

/// A Git repository that the hub follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Its name.
    pub name: SourceName,
    /// Where it is; without credentials.
    pub url: String,
    /// The ref that is followed.
    pub reference: String,
    /// File on the hub with the credentials.
    #[serde(default)]
    pub credentials_file: Option<String>,
    /// File on the hub with further roots to trust for this source.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// Name of the chart, when the URL is a Helm repository.
    #[serde(default)]
    pub chart: Option<String>,
    /// Folders and files that count; all when empty.
    #[serde(default)]
    pub paths: Vec<String>,
    /// How the hub proves itself: places of secrets, never secrets.
    #[serde(default)]
    pub auth: SourceAuth,
    /// Which commits are trusted.
    #[serde(default)]
    pub verify: Option<SourceVerify>,
    /// Who may hint at news.
    #[serde(default)]
    pub webhook: Option<SourceWebhook>,
    /// Where the forge is told what became of commits.
    #[serde(default)]
    pub commit_status: Option<CommitStatus>,
    /// Where charts that its charts depend on may be fetched.
    #[serde(default)]
    pub charts: Vec<ChartRepository>,
    /// When it was added.
    pub created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    #[serde(flatten)]
    record: T,
}

/// Only the version: read first, so that a newer record is refused by name and not by a missing field.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// A record as it is stored.
pub(super) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(&Envelope { v: VERSION, record })
        .expect("records have string keys and no failing serializer")
}

/// A record from what was stored.
pub(super) fn decode<T: DeserializeOwned>(
    table: Table,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, store::Error> {
    let fault = |what: String| store::Error::Corrupt {
        place: format!("{} `{}`", table.name(), store::show_key(key)),
        what,
    };
    let version = serde_json::from_slice::<Version>(bytes).map_err(|e| fault(e.to_string()))?.v;
    if version > VERSION {
        return Err(fault(format!("written by a newer version (format {version})")));
    }
    let envelope = serde_json::from_slice::<Envelope<T>>(bytes);
    Ok(envelope.map_err(|e| fault(e.to_string()))?.record)
}

/// Bytes as hexadecimal digits, for values that people compare.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) trait Bytes: Sized {
        fn show(&self) -> Option<String>;
        fn take(digits: Option<String>) -> Result<Self, String>;
    }

    impl Bytes for Option<Vec<u8>> {
        fn show(&self) -> Option<String> {
            self.as_ref().map(hex::encode)
        }
        fn take(digits: Option<String>) -> Result<Self, String> {
            digits.map(|d| hex::decode(d).map_err(|e| e.to_string())).transpose()
        }
    }

    impl<const N: usize> Bytes for [u8; N] {
        fn show(&self) -> Option<String> {
            Some(hex::encode(self))
        }
        fn take(digits: Option<String>) -> Result<Self, String> {
            let mut bytes = [0; N];
            hex::decode_to_slice(digits.unwrap_or_default(), &mut bytes)
                .map_err(|e| e.to_string())?;
            Ok(bytes)
        }
    }

    pub(super) fn serialize<B: Bytes, S: Serializer>(bytes: &B, to: S) -> Result<S::Ok, S::Error> {
        match bytes.show() {
            Some(digits) => to.serialize_str(&digits),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, B: Bytes, D: Deserializer<'de>>(from: D) -> Result<B, D::Error> {
        B::take(Option::deserialize(from)?).map_err(D::Error::custom)
    }
}

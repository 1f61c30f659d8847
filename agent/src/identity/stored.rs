//! The identity as it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::keys::TlsKey;
use crate::state::Vault;

const NAME: &str = "identity";

/// Key, certificate, whom to trust, whom to call.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The fleet.
    pub fleet_id: String,
    /// This cluster, for the hub.
    pub cluster_uid: String,
    /// This cluster, for people.
    pub cluster_name: String,
    /// Addresses of the hub.
    pub endpoints: Vec<String>,
    /// Certificate chain, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The only roots that are trusted.
    pub roots: Vec<Vec<u8>>,
    /// The key of the leaf.
    pub key: TlsKey,
    /// Which token it came from.
    pub token_id: [u8; 16],
    /// What the last join or recovery gave, to be shown at the next recovery; empty: none.
    pub join_state: Vec<u8>,
}

/// How it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    fleet_id: String,
    cluster_uid: String,
    cluster_name: String,
    endpoints: Vec<String>,
    chain: Vec<String>,
    roots: Vec<String>,
    key: String,
    token_id: String,
    #[serde(default)]
    join_state: String,
}

impl Identity {
    /// Reads it.
    pub async fn load(vault: &Vault) -> Result<Option<Identity>, Error> {
        let Some(bytes) = vault.get(NAME).await? else { return Ok(None) };
        let damaged = |why: String| crate::state::Error::Damaged { name: NAME.to_owned(), why };
        let written: Written =
            serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        let decode = |text: &String| STANDARD.decode(text).map_err(|e| damaged(e.to_string()));
        let all = |texts: &[String]| texts.iter().map(decode).collect::<Result<Vec<_>, _>>();
        let token_id = hex::decode(&written.token_id).unwrap_or_default();
        Ok(Some(Identity {
            chain: all(&written.chain)?,
            roots: all(&written.roots)?,
            key: TlsKey::from_der(decode(&written.key)?),
            token_id: token_id.try_into().unwrap_or_default(),
            join_state: decode(&written.join_state)?,
            fleet_id: written.fleet_id,
            cluster_uid: written.cluster_uid,
            cluster_name: written.cluster_name,
            endpoints: written.endpoints,
        }))
    }

    /// Writes it, all at once.
    pub async fn save(&self, vault: &Vault) -> Result<(), Error> {
        let encode = |bytes: &Vec<u8>| STANDARD.encode(bytes);
        let written = Written {
            fleet_id: self.fleet_id.clone(),
            cluster_uid: self.cluster_uid.clone(),
            cluster_name: self.cluster_name.clone(),
            endpoints: self.endpoints.clone(),
            chain: self.chain.iter().map(encode).collect(),
            roots: self.roots.iter().map(encode).collect(),
            key: STANDARD.encode(self.key.der()),
            token_id: hex::encode(self.token_id),
            join_state: encode(&self.join_state),
        };
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Key(e.to_string()))?;
        Ok(vault.put(NAME, bytes).await?)
    }

    /// Begin and end of the certificate; `None` when it cannot be read.
    pub fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        let (_, leaf) = x509_parser::parse_x509_certificate(self.chain.first()?).ok()?;
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        Some((at(leaf.validity().not_before)?, at(leaf.validity().not_after)?))
    }
}

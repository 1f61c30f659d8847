//! The join token: `tgj1.<base64url(CBOR)>.<crc32>`. The hub makes it, a person carries it, the agent reads it.
//!
//! The fixed prefix lets scanners for leaked secrets find it; the checksum tells a truncated paste from a
//! wrong token. Deliberately absent: whether a token is still good, which only the hub knows.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;

/// What every join token begins with; the digit is the version of the format.
const PREFIX: &str = "tgj1.";
/// Longest token that is looked at, in characters: 8 endpoints of 255 and 3 pins, in base64, with room.
const TEXT_BYTES_MAX: usize = 4096;
/// Addresses of one hub.
const ENDPOINTS_MAX: usize = 8;
/// Roots that one token may pin: the present one, the next one, and one to spare.
const PINS_MAX: usize = 3;
/// Longest `host:port`: a DNS name of 253 and what follows it.
const ENDPOINT_BYTES_MAX: usize = 259;

/// The secret half of a token. It has no `Debug` and no `Display`, so that it cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "a secret must not reach a log")]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// The bytes, for the wire and for hashing.
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

/// All that an agent needs to join: whom to call, whom to trust, and the proof that it was invited.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Names the token at the hub; no secret.
    pub token_id: [u8; 16],
    /// Proves that the bearer was given the token.
    pub secret: Secret,
    /// The fleet to join: 32 hexadecimal digits.
    pub fleet_id: String,
    /// Addresses of the hub, `host:port`, in the order to try; 1 to 8.
    pub endpoints: Vec<String>,
    /// SHA-256 of the public key (SPKI) of each root to trust; 1 to 3.
    pub pins: Vec<[u8; 32]>,
    /// When it ends by the hub's clock, in Unix seconds. For messages only: the hub decides.
    pub expires: i64,
}

/// Everything but the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("fleet_id", &self.fleet_id)
            .field("endpoints", &self.endpoints)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A text that is no join token. Never holds any part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else altogether, or a format of a newer version.
    #[error("this is not a join token: it does not begin with `tgj1.`")]
    Prefix,
    /// The end is missing.
    #[error("the join token is truncated: its checksum is missing or too short")]
    Truncated,
    /// Characters differ from what was printed.
    #[error("the join token was changed or truncated on its way: its checksum does not match")]
    Checksum,
    /// The checksum matches and the content makes no sense: made by a program that is not ours.
    #[error("the join token cannot be read: {0}")]
    Content(&'static str),
}

impl TokenError {
    /// The reason for people and programs: always `JOI-805`.
    pub fn reason(self) -> model::Reason {
        model::Reason::TokenMalformed
    }
}

impl JoinToken {
    /// The text for people: shown once, carried in a file or a Secret.
    pub fn encode(&self) -> String {
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let entry = |key: &str, value: Value| (Value::Text(key.to_owned()), value);
        let map = Value::Map(vec![
            entry("v", Value::Integer(1.into())),
            entry("id", bytes(&self.token_id)),
            entry("secret", bytes(self.secret.reveal())),
            entry("fleet", Value::Text(self.fleet_id.clone())),
            entry("at", Value::Array(self.endpoints.iter().cloned().map(Value::Text).collect())),
            entry("pins", Value::Array(self.pins.iter().map(|pin| bytes(pin)).collect())),
            entry("exp", Value::Integer(self.expires.into())),
        ]);
        let mut cbor = Vec::new();
        ciborium::into_writer(&map, &mut cbor).expect("a Vec takes all writes");
        let body = URL_SAFE_NO_PAD.encode(cbor);
        let sum = crc32fast::hash(body.as_bytes());
        format!("{PREFIX}{body}.{sum:08x}")
    }

    /// Reads a token; white space around it is ignored.
    pub fn parse(text: &str) -> Result<JoinToken, TokenError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        if rest.len() > TEXT_BYTES_MAX {
            return Err(TokenError::Content("it is too long"));
        }
        let (body, sum) = rest.split_once('.').ok_or(TokenError::Truncated)?;
        if sum.len() < 8 {
            return Err(TokenError::Truncated);
        }
        if format!("{:08x}", crc32fast::hash(body.as_bytes())) != sum {
            return Err(TokenError::Checksum);
        }
        let cbor = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Content("no base64"))?;
        let value = ciborium::from_reader(cbor.as_slice());
        let Ok(Value::Map(map)) = value else { return Err(TokenError::Content("no CBOR map")) };
        JoinToken::from_map(&map)
    }

    fn from_map(map: &[(Value, Value)]) -> Result<JoinToken, TokenError> {
        let get =
            |key: &str| map.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, value)| value);
        let integer =
            |key| get(key).and_then(Value::as_integer).and_then(|i| i64::try_from(i).ok());
        if integer("v") != Some(1) {
            return Err(TokenError::Content("its version is not 1"));
        }
        let token_id = bytes(get("id")).ok_or(TokenError::Content("its id is not 16 bytes"))?;
        let secret =
            bytes(get("secret")).ok_or(TokenError::Content("its secret is not 32 bytes"))?;
        let fleet_id = get("fleet").and_then(Value::as_text).unwrap_or_default().to_owned();
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if fleet_id.len() != 32 || !fleet_id.bytes().all(hex) {
            return Err(TokenError::Content("its fleet id is not 32 hexadecimal digits"));
        }
        let list = |key| get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let endpoint =
            |value: &Value| value.as_text().filter(|t| is_endpoint(t)).map(str::to_owned);
        let endpoints: Option<Vec<_>> = list("at").iter().map(endpoint).collect();
        let endpoints = endpoints.filter(|all| (1..=ENDPOINTS_MAX).contains(&all.len()));
        let endpoints =
            endpoints.ok_or(TokenError::Content("its addresses are not `host:port`"))?;
        let pins: Option<Vec<_>> = list("pins").iter().map(|value| bytes(Some(value))).collect();
        let pins = pins.filter(|all| (1..=PINS_MAX).contains(&all.len()));
        let pins = pins.ok_or(TokenError::Content("its pins are not 1 to 3 of 32 bytes"))?;
        let expires = integer("exp").ok_or(TokenError::Content("its end is no time"))?;
        Ok(JoinToken { token_id, secret: Secret(secret), fleet_id, endpoints, pins, expires })
    }
}

fn bytes<const N: usize>(value: Option<&Value>) -> Option<[u8; N]> {
    value?.as_bytes()?.as_slice().try_into().ok()
}

/// `host:port` or `[v6]:port`: enough to keep a damaged token from being dialled.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]%".contains(&b);
    text.len() <= ENDPOINT_BYTES_MAX
        && !host.is_empty()
        && host.bytes().all(plain)
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

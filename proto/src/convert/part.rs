//! The parts that several messages share: digests, object keys, object states, texts, trace contexts.

use model::{Digest, Health, ObjectKey, ObjectParts, ObjectStatus, Reason};

use super::Error;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::v1;

/// Length of a W3C `traceparent` of version 00.
const TRACEPARENT_BYTES: usize = 55;
/// Longest `tracestate` that we carry: the length the W3C recommendation asks everybody to propagate.
const TRACESTATE_BYTES_MAX: usize = 512;

/// `text`, or its longest prefix of at most `max` bytes that ends between two characters.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A text for people, cut to what a message may carry.
pub(super) fn message(text: &str) -> String {
    cut(text, MESSAGE_BYTES_MAX).to_owned()
}

/// A digest that must be there.
pub fn digest_from_wire(field: &'static str, bytes: &[u8]) -> Result<Digest, Error> {
    match <[u8; 32]>::try_from(bytes) {
        Ok(raw) => Ok(Digest::from_bytes(raw)),
        Err(_) => {
            Err(Error::new(field, format!("a digest has 32 bytes, this one {}", bytes.len())))
        }
    }
}

/// A digest that may be absent: no bytes at all.
pub(super) fn digest_from_wire_optional(
    field: &'static str,
    bytes: &[u8],
) -> Result<Option<Digest>, Error> {
    if bytes.is_empty() { Ok(None) } else { digest_from_wire(field, bytes).map(Some) }
}

/// The 32 bytes of a digest.
pub fn digest_to_wire(digest: &Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}

/// The 32 bytes of a digest, or none.
pub fn digest_to_wire_optional(digest: Option<&Digest>) -> Vec<u8> {
    digest.map(digest_to_wire).unwrap_or_default()
}

/// A trace context, when it is one. A damaged one is dropped: traces are never worth a message.
pub fn trace_from_wire(trace: Option<v1::TraceContext>) -> Option<v1::TraceContext> {
    let mut trace = trace?;
    let shaped = |b: u8| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if trace.traceparent.len() != TRACEPARENT_BYTES || !trace.traceparent.bytes().all(shaped) {
        return None;
    }
    if trace.tracestate.len() > TRACESTATE_BYTES_MAX {
        trace.tracestate.clear();
    }
    Some(trace)
}

impl From<ObjectKey> for v1::ObjectKey {
    fn from(key: ObjectKey) -> v1::ObjectKey {
        let ObjectParts { group, kind, namespace, name } = key.into();
        v1::ObjectKey { group, kind, namespace, name }
    }
}

impl TryFrom<v1::ObjectKey> for ObjectKey {
    type Error = Error;
    fn try_from(key: v1::ObjectKey) -> Result<ObjectKey, Error> {
        let v1::ObjectKey { group, kind, namespace, name } = key;
        if kind.is_empty() || name.is_empty() {
            return Err(Error::new("key", "an object has a kind and a name"));
        }
        if [&group, &kind, &namespace, &name].iter().any(|part| part.contains(['/', '\n'])) {
            return Err(Error::new("key", "a part holds `/` or a line break"));
        }
        Ok(ObjectParts { group, kind, namespace, name }.into())
    }
}

impl From<ObjectStatus> for v1::ObjectStatus {
    fn from(status: ObjectStatus) -> v1::ObjectStatus {
        v1::ObjectStatus {
            key: Some(status.key.into()),
            health: status.health.as_str().to_owned(),
            reason: status.reason.map(|r| r.code().to_owned()).unwrap_or_default(),
            message: message(&status.message),
        }
    }
}

impl TryFrom<v1::ObjectStatus> for ObjectStatus {
    type Error = Error;
    fn try_from(status: v1::ObjectStatus) -> Result<ObjectStatus, Error> {
        let key = status.key.ok_or_else(|| Error::new("key", "it is missing"))?;
        Ok(ObjectStatus {
            key: key.try_into()?,
            health: health(&status.health),
            reason: Reason::from_code(&status.reason),
            message: message(&status.message),
        })
    }
}

/// The health behind a word; a word of a newer peer is "cannot be told".
fn health(word: &str) -> Health {
    const ALL: [Health; 6] = [
        Health::Healthy,
        Health::Suspended,
        Health::Progressing,
        Health::Missing,
        Health::Degraded,
        Health::Unknown,
    ];
    ALL.into_iter().find(|h| h.as_str() == word).unwrap_or(Health::Unknown)
}

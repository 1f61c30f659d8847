//! One encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, bound to its place.

use aes_gcm::aead::generic_array::typenum::U32;
use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};
use zeroize::Zeroizing;

/// SOPS's nonces are 32 bytes long, not the usual 12.
type Cipher = AesGcm<Aes256, U32>;

/// What a value was before.
pub(super) struct Plain {
    /// As JSON.
    pub(super) value: Value,
    /// As SOPS's code over all values counts it.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Opens a value that stands at `place`.
pub(super) fn open(sealed: &str, key: &[u8; 32], place: &str) -> Result<Plain, &'static str> {
    let (mut bytes, nonce, tag, kind) = parts(sealed).ok_or("is not encrypted as SOPS does it")?;
    let cipher = Cipher::new(key.into());
    let opened = cipher.decrypt_in_place_detached(
        Nonce::<U32>::from_slice(&nonce),
        place.as_bytes(),
        &mut bytes,
        Tag::from_slice(&tag),
    );
    opened.map_err(|_| "was changed or moved since it was encrypted")?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| "is no text; put it into `data` in base64")?;
    let value = match kind {
        "str" | "bytes" => Some(Value::from(text)),
        "int" => text.parse::<i64>().ok().map(Value::from),
        "float" => text.parse::<f64>().ok().and_then(number).map(Value::Number),
        "bool" => match text {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    let value = value.ok_or("is encrypted as a type that no object has")?;
    Ok(Plain { value, bytes })
}

type Parts<'a> = (Zeroizing<Vec<u8>>, Vec<u8>, Vec<u8>, &'a str);

fn parts(sealed: &str) -> Option<Parts<'_>> {
    let inner = sealed.strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
    let mut fields = inner.split(',');
    let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix(':');
    let bytes = STANDARD.decode(field("data")?).ok()?;
    let nonce = STANDARD.decode(field("iv")?).ok().filter(|nonce| nonce.len() == 32)?;
    let tag = STANDARD.decode(field("tag")?).ok().filter(|tag| tag.len() == 16)?;
    let kind = field("type")?;
    fields.next().is_none().then_some((Zeroizing::new(bytes), nonce, tag, kind))
}

/// A whole number without a fraction, as objects are written.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
fn number(float: f64) -> Option<Number> {
    /// Whole numbers up to here are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() <= EXACT {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

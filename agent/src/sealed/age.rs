//! The file format of age, as far as SOPS uses it: armored, for X25519 recipients, one chunk.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use x25519_dalek::PublicKey;
use zeroize::Zeroizing;

use super::keys::{Identity, Keyring};

/// The key that encrypts the values of one object.
pub(super) type DataKey = Zeroizing<[u8; 32]>;

/// First line of every file.
const VERSION: &str = "age-encryption.org/v1";
/// What separates the keys of two recipients of the same secret.
const WRAP: &[u8] = b"age-encryption.org/v1/X25519";
/// Columns of a body in base64; a shorter line ends it.
const COLUMNS: usize = 64;
/// Bytes of the armored text: a header of some dozen recipients, and 32 bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One recipient's part of the header.
struct Stanza<'a> {
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

/// A file, taken apart.
struct File<'a> {
    stanzas: Vec<Stanza<'a>>,
    /// The header up to and with its three dashes, which its code covers.
    covered: &'a [u8],
    mac: Vec<u8>,
    payload: &'a [u8],
}

/// Opens `armored` with the first identity that it is meant for; `None`: none of them is.
pub(super) fn open(armored: &str, keys: &Keyring) -> Result<Option<DataKey>, &'static str> {
    let bytes = bare(armored).ok_or("is no armored age file")?;
    let file = parse(&bytes).ok_or("is no age file of version 1")?;
    let pairs = keys.identities().iter().flat_map(|one| file.stanzas.iter().map(move |s| (one, s)));
    for (identity, stanza) in
        pairs.filter(|(_, stanza)| stanza.arguments.first() == Some(&"X25519"))
    {
        if let Some(key) = unwrap(identity, stanza)? {
            return content(&file, &key).map(Some);
        }
    }
    Ok(None)
}

/// Without armor.
fn bare(armored: &str) -> Option<Vec<u8>> {
    let text = armored.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = text.strip_prefix("-----BEGIN AGE ENCRYPTED FILE-----")?;
    let text = text.strip_suffix("-----END AGE ENCRYPTED FILE-----")?;
    let joined: String = text.split_whitespace().collect();
    STANDARD.decode(joined).ok()
}

/// A line and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

fn parse(bytes: &[u8]) -> Option<File<'_>> {
    let (version, mut rest) = line(bytes)?;
    if version != VERSION {
        return None;
    }
    let mut stanzas = Vec::new();
    loop {
        let (head, after) = line(rest)?;
        if let Some(mac) = head.strip_prefix("--- ") {
            let covered = &bytes[..bytes.len() - rest.len() + "---".len()];
            let mac = STANDARD_NO_PAD.decode(mac).ok()?;
            return Some(File { stanzas, covered, mac, payload: after });
        }
        let arguments = head.strip_prefix("-> ")?.split(' ').collect();
        let mut body = Vec::new();
        rest = after;
        loop {
            let (part, after) = line(rest)?;
            rest = after;
            if part.len() > COLUMNS {
                return None;
            }
            body.extend(STANDARD_NO_PAD.decode(part).ok()?);
            if part.len() < COLUMNS {
                break;
            }
        }
        stanzas.push(Stanza { arguments, body });
    }
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(Some(salt), secret);
    hkdf.expand(info, &mut *key).expect("32 bytes are one block of SHA-256");
    key
}

/// Opens a box; `None`: another key, or spoiled.
fn unseal(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// The file key, if this stanza is for this identity.
fn unwrap(
    identity: &Identity,
    stanza: &Stanza<'_>,
) -> Result<Option<Zeroizing<Vec<u8>>>, &'static str> {
    /// A file key of 16 bytes, sealed.
    const WRAPPED: usize = 32;
    let share = match stanza.arguments.as_slice() {
        ["X25519", share] => STANDARD_NO_PAD.decode(share).ok(),
        _ => None,
    };
    let share = share.and_then(|share| <[u8; 32]>::try_from(share).ok());
    let share = share.ok_or("holds a recipient that cannot be read")?;
    if stanza.body.len() != WRAPPED {
        return Err("holds a recipient that cannot be read");
    }
    let shared = identity.secret.diffie_hellman(&PublicKey::from(share));
    if !shared.was_contributory() {
        return Err("holds a share that is no point of the curve's group");
    }
    let salt = [share, *identity.public.as_bytes()].concat();
    let wrap = derive(shared.as_bytes(), &salt, WRAP);
    Ok(unseal(&wrap, [0; 12], &stanza.body))
}

/// The content: 32 bytes.
fn content(file: &File<'_>, key: &[u8]) -> Result<DataKey, &'static str> {
    const CHANGED: &str = "was changed since it was encrypted";
    let header = derive(key, &[], b"header");
    let mut mac = Hmac::<Sha256>::new_from_slice(&*header).expect("HMAC takes any key length");
    mac.update(file.covered);
    mac.verify_slice(&file.mac).map_err(|_| CHANGED)?;
    let (salt, sealed) = file.payload.split_at_checked(16).ok_or(CHANGED)?;
    let mut last = [0; 12];
    last[11] = 1;
    let bytes = unseal(&derive(key, salt, b"payload"), last, sealed).ok_or(CHANGED)?;
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| "holds no key of 32 bytes")?;
    Ok(Zeroizing::new(key))
}

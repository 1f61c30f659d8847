//! age identities, as `age-keygen` writes them.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use x25519_dalek::{PublicKey, StaticSecret};

/// Human-readable part of an identity.
const IDENTITY: &str = "age-secret-key-";
/// Human-readable part of a recipient.
const RECIPIENT: &str = "age";

/// A line that is no identity; its words are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} of {place} is no age identity (`AGE-SECRET-KEY-1…`, as `age-keygen` writes them)"
)]
pub struct NotAKey {
    place: String,
    line: usize,
}

/// One identity.
pub(super) struct Identity {
    pub(super) secret: StaticSecret,
    pub(super) public: PublicKey,
    recipient: String,
}

/// All identities that the agent holds at this moment. Never printed.
#[derive(Default)]
pub struct Keyring {
    place: String,
    identities: Vec<Identity>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} of {})", self.identities.len(), self.place)
    }
}

impl Keyring {
    /// Nothing yet, out of a place for messages: a file, or a Secret.
    pub fn of(place: impl Into<String>) -> Keyring {
        Keyring { place: place.into(), identities: Vec::new() }
    }

    /// Takes the identities of a text: one a line, `#` begins a remark. `part` names the text within the place.
    pub fn read(&mut self, part: &str, text: &str) -> Result<(), NotAKey> {
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = if part.is_empty() {
                self.place.clone()
            } else {
                format!("`{part}` of {}", self.place)
            };
            let identity = identity(line).ok_or(NotAKey { place, line: at + 1 })?;
            self.identities.push(identity);
        }
        Ok(())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// Where they come from.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whom they open for.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.identities.iter().map(|identity| identity.recipient.as_str())
    }

    pub(super) fn identities(&self) -> &[Identity] {
        &self.identities
    }
}

fn identity(line: &str) -> Option<Identity> {
    let parsed = CheckedHrpstring::new::<Bech32>(line).ok()?;
    if !parsed.hrp().as_str().eq_ignore_ascii_case(IDENTITY) {
        return None;
    }
    let bytes: Vec<u8> = parsed.byte_iter().collect();
    let secret = StaticSecret::from(<[u8; 32]>::try_from(bytes).ok()?);
    let public = PublicKey::from(&secret);
    let recipient =
        bech32::encode::<Bech32>(Hrp::parse(RECIPIENT).ok()?, public.as_bytes()).ok()?;
    Some(Identity { secret, public, recipient })
}

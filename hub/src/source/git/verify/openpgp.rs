//! Signatures made by OpenPGP keys: by a primary key or by a subkey that it lets sign, at a time when both
//! counted.

use std::io::Cursor;

use jiff::Timestamp;
use pgp::{
    composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{self, SignatureType},
    types::{KeyDetails, Tag},
};

/// A key whose signatures count.
#[derive(Debug, Clone)]
pub(super) struct Key(Box<SignedPublicKey>);

/// A signature.
#[derive(Debug)]
pub(super) struct Signature(DetachedSignature);

/// Why a signature of a known key does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the signature does not fit")]
    Forged,
    #[error("the signature rests on a weak hash")]
    Weak,
    #[error("the key, or its owner, was revoked")]
    Revoked,
    #[error("the key had expired when it signed")]
    Expired,
    #[error("the key may not sign")]
    NotForSigning,
}

impl Key {
    /// Reads a `-----BEGIN PGP PUBLIC KEY BLOCK-----`.
    pub(super) fn parse(text: &str) -> Option<Key> {
        let (key, _) = SignedPublicKey::from_armor_single(Cursor::new(text.as_bytes())).ok()?;
        Some(Key(Box::new(key)))
    }

    pub(super) fn print(&self) -> String {
        self.0.primary_key.fingerprint().to_string().to_uppercase()
    }

    /// The newest signature by which the key speaks of itself.
    fn own(&self) -> Option<&packet::Signature> {
        let (key, details) = (&self.0.primary_key, &self.0.details);
        let direct = details.direct_signatures.iter().filter(|s| s.verify_key(key).is_ok());
        let users = details.users.iter().flat_map(|user| {
            user.signatures.iter().filter(|signature| {
                signature.is_certification()
                    && signature.verify_certification(key, Tag::UserId, &user.id).is_ok()
            })
        });
        direct.chain(users).max_by_key(|signature| seconds(signature.created()))
    }

    fn is_revoked(&self) -> bool {
        let (key, details) = (&self.0.primary_key, &self.0.details);
        details.revocation_signatures.iter().any(|s| s.verify_key(key).is_ok())
    }

    /// The newest signature that binds a subkey, unless it was revoked.
    fn binding<'a>(&self, subkey: &'a SignedPublicSubKey) -> Result<&'a packet::Signature, Flaw> {
        let primary = &self.0.primary_key;
        let genuine =
            |s: &&packet::Signature| s.verify_subkey_binding(primary, &subkey.key).is_ok();
        let of =
            |typ| subkey.signatures.iter().filter(move |s| s.typ() == Some(typ)).filter(genuine);
        if of(SignatureType::SubkeyRevocation).next().is_some() {
            return Err(Flaw::Revoked);
        }
        let newest = of(SignatureType::SubkeyBinding).max_by_key(|s| seconds(s.created()));
        let binding = newest.ok_or(Flaw::NotForSigning)?;
        // The subkey must say too that it belongs to the primary: otherwise somebody else's could be claimed.
        let back = binding.embedded_signature();
        let both = back.is_some_and(|s| s.verify_primary_key_binding(&subkey.key, primary).is_ok());
        if both && binding.key_flags().sign() { Ok(binding) } else { Err(Flaw::NotForSigning) }
    }
}

impl Signature {
    pub(super) fn parse(armour: &[u8]) -> Option<Signature> {
        let (signature, _) = DetachedSignature::from_armor_single(Cursor::new(armour)).ok()?;
        Some(Signature(signature))
    }

    /// The key that says it made this.
    pub(super) fn print(&self) -> String {
        let signature = &self.0.signature;
        let fingerprint = signature.issuer_fingerprint().first().map(ToString::to_string);
        let id = || signature.issuer_key_id().first().map(ToString::to_string);
        let name = fingerprint.or_else(id).unwrap_or_else(|| "without a name".to_owned());
        name.to_uppercase()
    }

    /// When it says it was made.
    pub(super) fn at(&self) -> Option<Timestamp> {
        Timestamp::from_second(seconds(self.0.signature.created())).ok()
    }

    /// Whether this key, or a subkey of it, says that it made this.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        let signature = &self.0.signature;
        let says = |of: &dyn KeyDetails| {
            let fingerprints = signature.issuer_fingerprint();
            if fingerprints.is_empty() {
                signature.issuer_key_id().contains(&&of.legacy_key_id())
            } else {
                fingerprints.contains(&&of.fingerprint())
            }
        };
        says(&key.0.primary_key) || key.0.public_subkeys.iter().any(|subkey| says(&subkey.key))
    }

    /// Whether it did, for these bytes, when it was allowed to.
    pub(super) fn check(&self, key: &Key, data: &[u8]) -> Result<(), Flaw> {
        let signature = &self.0.signature;
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err(Flaw::Forged);
        }
        let strong = [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
            HashAlgorithm::Sha3_256,
            HashAlgorithm::Sha3_512,
        ];
        if !signature.hash_alg().is_some_and(|hash| strong.contains(&hash)) {
            return Err(Flaw::Weak);
        }
        let at = seconds(signature.created());
        let own = key.own().ok_or(Flaw::NotForSigning)?;
        if key.is_revoked() {
            return Err(Flaw::Revoked);
        }
        let primary = &key.0.primary_key;
        if is_over(seconds(Some(primary.created_at())), own, at) {
            return Err(Flaw::Expired);
        }
        if self.0.verify(primary, data).is_ok() {
            return if own.key_flags().sign() { Ok(()) } else { Err(Flaw::NotForSigning) };
        }
        for subkey in &key.0.public_subkeys {
            if self.0.verify(&subkey.key, data).is_ok() {
                let binding = key.binding(subkey)?;
                let born = seconds(Some(subkey.key.created_at()));
                return if is_over(born, binding, at) { Err(Flaw::Expired) } else { Ok(()) };
            }
        }
        Err(Flaw::Forged)
    }
}

/// Whether a key was not yet made, or had run out, at that time.
fn is_over(born: i64, binding: &packet::Signature, at: i64) -> bool {
    let life = binding.key_expiration_time().map(|life| i64::from(life.as_secs()));
    at < born || life.is_some_and(|life| life != 0 && at >= born + life)
}

/// Seconds since 1970; a signature without a time counts as made before every key.
fn seconds(at: Option<pgp::types::Timestamp>) -> i64 {
    at.map_or(0, |at| i64::from(at.as_secs()))
}

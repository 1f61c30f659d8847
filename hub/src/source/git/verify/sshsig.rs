//! Signatures made by SSH keys, as `git` writes them with `gpg.format=ssh`.

use russh::keys::{HashAlg, PublicKey, ssh_key::SshSig};

/// What the signature must say it is for: one that was made for anything else does not count.
const NAMESPACE: &str = "git";

/// A key whose signatures count.
#[derive(Debug, Clone)]
pub(super) struct Key(PublicKey);

/// A signature.
#[derive(Debug)]
pub(super) struct Signature(SshSig);

impl Key {
    /// Reads a line such as `ssh-ed25519 AAAA… comment`.
    pub(super) fn parse(text: &str) -> Option<Key> {
        PublicKey::from_openssh(text.trim()).ok().map(Key)
    }

    pub(super) fn print(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl Signature {
    pub(super) fn parse(armour: &[u8]) -> Option<Signature> {
        let text = std::str::from_utf8(armour).ok()?.trim_end();
        // Git leaves out the last line's end, which the form asks for.
        let text = format!("{text}\n");
        SshSig::from_pem(text).ok().map(Signature)
    }

    /// The key that says it made this.
    pub(super) fn print(&self) -> String {
        PublicKey::from(self.0.public_key().clone()).fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether this key says that it made this.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.0.public_key() == key.0.key_data()
    }

    /// Whether it did, for these bytes.
    pub(super) fn fits(&self, key: &Key, data: &[u8]) -> bool {
        self.is_of(key) && key.0.verify(NAMESPACE, data, &self.0).is_ok()
    }
}

//! Keys: one for TLS (P-256, new at every renewal) and one for recovery (Ed25519, made once).

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::Error;

fn fault(what: impl std::fmt::Display) -> Error {
    Error::Key(what.to_string())
}

/// The key of a certificate. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct TlsKey(Vec<u8>);

impl std::fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsKey(…)")
    }
}

impl TlsKey {
    /// Makes one.
    pub fn generate() -> Result<TlsKey, Error> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(fault)?;
        Ok(TlsKey(pair.serialize_der()))
    }

    /// From PKCS #8.
    pub fn from_der(der: Vec<u8>) -> TlsKey {
        TlsKey(der)
    }

    /// PKCS #8.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// A certificate request. It names nobody: the hub knows who we are.
    pub fn request(&self) -> Result<Vec<u8>, Error> {
        let pair = KeyPair::try_from(self.0.as_slice()).map_err(fault)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&pair).map_err(fault)?.der().to_vec())
    }
}

/// The key that proves who we are when the certificate is gone.
pub(super) struct RecoveryKey {
    der: Vec<u8>,
    pair: Ed25519KeyPair,
}

impl RecoveryKey {
    pub(super) fn generate() -> Result<RecoveryKey, Error> {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(fault)?;
        RecoveryKey::from_der(der.as_ref().to_vec())
    }

    pub(super) fn from_der(der: Vec<u8>) -> Result<RecoveryKey, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(fault)?;
        Ok(RecoveryKey { der, pair })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

//! From a certificate request to a certificate. Of the request only the public key counts: names,
//! extensions and attributes in it are not read.

use jiff::{SignedDuration, Timestamp};
use model::{ClusterUid, Digest};
use rcgen::{
    ExtendedKeyUsagePurpose, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, PublicKeyData as _, SanType, SubjectPublicKeyInfo,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::authority::Authority;
use super::ca::params;
use super::{Error, identity};

/// Life of an agent's certificate: renewed daily, so that a hub may be away for a day and a half.
const AGENT_LIFE: SignedDuration = SignedDuration::from_hours(72);

/// A certificate request whose sender has shown to own the key.
pub struct Request {
    key: SubjectPublicKeyInfo,
    spki: Digest,
}

/// Why a certificate request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrFault {
    /// Not DER, or something behind it.
    #[error("the certificate request is not a PKCS #10 request in DER")]
    Malformed,
    /// RSA, a curve that we do not take, or no key at all.
    #[error("the key of the certificate request is not P-256, P-384 or Ed25519")]
    KeyType,
    /// The signature is not by the key in it.
    #[error("the certificate request is not signed by its own key")]
    Possession,
}

/// A certificate for an agent.
#[derive(Debug, Clone)]
pub struct Issued {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// 16 bytes; what the registry keeps.
    pub serial: Vec<u8>,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Request {
    /// Reads a request and checks its proof of possession.
    pub fn parse(der: &[u8]) -> Result<Request, CsrFault> {
        let (rest, csr) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrFault::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrFault::Malformed);
        }
        let spki = csr.certification_request_info.subject_pki.raw;
        let key = SubjectPublicKeyInfo::from_der(spki).map_err(|_| CsrFault::KeyType)?;
        let ours = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519];
        if !ours.contains(&key.algorithm()) {
            return Err(CsrFault::KeyType);
        }
        csr.verify_signature().map_err(|_| CsrFault::Possession)?;
        Ok(Request { key, spki: Digest::of(spki) })
    }

    /// SHA-256 of the public key.
    pub fn spki(&self) -> Digest {
        self.spki
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("spki", &self.spki).finish_non_exhaustive()
    }
}

impl Authority {
    /// A certificate for the key of `request` and the identity of `cluster`, good for 72 hours.
    pub fn issue(&self, request: &Request, cluster: &ClusterUid) -> Result<Issued, Error> {
        let now = self.clock().now();
        let mut params = params(now, AGENT_LIFE)?;
        let name = identity::uri(self.fleet_id(), cluster);
        let name = name.as_str().try_into().map_err(Error::Certificate)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref().map(rcgen::SerialNumber::to_bytes);
        let issuers = self.issuers();
        let leaf =
            params.signed_by(&request.key, &issuers.agents.issuer).map_err(Error::Certificate)?;
        Ok(Issued {
            chain: vec![leaf.der().to_vec(), issuers.agents.der.to_vec()],
            serial: serial.unwrap_or_default(),
            not_after: now.saturating_add(AGENT_LIFE).unwrap_or(now),
        })
    }
}

//! Making and reading back authorities: keys, certificates, and their records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Error, random};

/// Every certificate is valid from an hour ago, so that a peer whose clock is behind accepts it.
const BACKDATE: SignedDuration = SignedDuration::from_hours(1);

/// A certificate that can sign, with its key.
pub(super) struct Ca {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) der: CertificateDer<'static>,
    pub(super) not_after: Timestamp,
}

/// How a [`Ca`] is stored. The key is in the clear: whoever reads the hub's data directory (0700, files
/// 0600) is the hub.
#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    certificate: String,
    key: String,
}

/// What a new authority is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    ServerIssuer,
    AgentIssuer,
}

impl Role {
    fn title(self) -> &'static str {
        match self {
            Role::Root => "Tidegate root",
            Role::ServerIssuer => "Tidegate servers",
            Role::AgentIssuer => "Tidegate agents",
        }
    }

    fn life(self) -> SignedDuration {
        let days = match self {
            Role::Root => 3650,
            Role::ServerIssuer | Role::AgentIssuer => 90,
        };
        SignedDuration::from_hours(24 * days)
    }
}

impl Ca {
    /// A new key and certificate, signed by `parent`, or by itself when there is none.
    pub(super) fn make(
        role: Role,
        fleet_id: &str,
        parent: Option<&Ca>,
        now: Timestamp,
    ) -> Result<Ca, Error> {
        let key = new_key()?;
        let mut params = params(now, role.life())?;
        params.distinguished_name.push(DnType::OrganizationName, fleet_id);
        params.distinguished_name.push(DnType::CommonName, role.title());
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let below = u8::from(role == Role::Root);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.use_authority_key_identifier_extension = true;
        match role {
            Role::Root => {}
            Role::ServerIssuer => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            Role::AgentIssuer => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
        }
        let not_after = add(now, role.life());
        let certificate = match parent {
            Some(parent) => params.signed_by(&key, &parent.issuer),
            None => params.self_signed(&key),
        };
        let der = certificate.map_err(Error::Certificate)?.der().clone();
        Ok(Ca { issuer: Issuer::new(params, key), der, not_after })
    }

    /// The record to store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let record = Record {
            v: 1,
            certificate: STANDARD.encode(&self.der),
            key: STANDARD.encode(self.issuer.key().serialized_der()),
        };
        serde_json::to_vec(&record).expect("three plain fields")
    }

    /// Reads a record back and checks that key and certificate belong together.
    pub(super) fn decode(part: &'static str, bytes: &[u8]) -> Result<Ca, Error> {
        let damaged = |what: &str| Error::Damaged { part, what: what.to_owned() };
        let record: Record =
            serde_json::from_slice(bytes).map_err(|_| damaged("not the JSON it should be"))?;
        if record.v != 1 {
            return Err(damaged("written by a newer version"));
        }
        let base64 = |text: &str| STANDARD.decode(text).map_err(|_| damaged("not base64"));
        let der = CertificateDer::from(base64(&record.certificate)?);
        let key = PrivatePkcs8KeyDer::from(base64(&record.key)?);
        let key = KeyPair::try_from(&key).map_err(|_| damaged("its key cannot be read"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|_| damaged("its certificate cannot be read"))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(damaged("key and certificate do not belong together"));
        }
        let not_after = parsed.validity().not_after.timestamp();
        let not_after = Timestamp::from_second(not_after)
            .map_err(|_| damaged("its certificate ends at no time"))?;
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|_| damaged("its certificate cannot sign"))?;
        Ok(Ca { issuer, der, not_after })
    }

    /// Whether a successor should be made: half its life is over.
    pub(super) fn is_old(&self, role: Role, now: Timestamp) -> bool {
        add(now, role.life() / 2) >= self.not_after
    }
}

/// Parameters of a certificate without any name, with a random serial.
pub(super) fn params(now: Timestamp, life: SignedDuration) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date(add(now, -BACKDATE))?;
    params.not_after = date(add(now, life))?;
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    Ok(params)
}

/// A new P-256 key.
pub(super) fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Certificate)
}

/// 16 random bytes that stay 16 bytes as a positive number: 126 bits of chance.
fn serial() -> Result<[u8; 16], Error> {
    let mut serial = random::<16>()?;
    serial[0] = (serial[0] & 0x3f) | 0x40;
    Ok(serial)
}

fn add(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

fn date(time: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| Error::Clock(time))
}

//! Who signed an artifact, as `cosign` tells it beside the artifact: by a key that the source names, or without a
//! key that anybody keeps, by a certificate for the identity of a person or a build. Everything is decided from what
//! the registry holds and what the source was given: no log and no authority is asked.
//!
//! Deliberately absent: transparency for keys. Who names a key trusts whoever holds it.

mod keyless;
mod sct;
mod root;
mod evidence;
mod found;

use base64::Engine;
use jiff::Timestamp;
use model::{
    Reason,
    source::{Signer, SourceVerify},
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::{Artifact, Asker, Fault, Secret, Voucher, sha256};
use found::{Attestation, Statement};

/// What stands before the point in the key of an ECDSA key on P-256.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Signatures of one artifact of which it is said why they do not count.
const TOLD_MAX: usize = 3;

/// The signers of an artifact.
#[derive(Debug)]
pub(in crate::source) struct Keys {
    keys: Vec<(Signer, Vec<u8>)>,
    keyless: Option<model::source::Keyless>,
}

/// Why a signature does not count, in words that follow "signed, and not as the source wants it: ".
type Flaw = String;

fn unreadable(what: &str) -> Flaw {
    format!("{what} of one cannot be read")
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, Flaw> {
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| unreadable(what))
}

impl Keys {
    /// Reads the keys of a source; says which cannot be read otherwise.
    pub(super) fn parse(verify: &SourceVerify) -> Result<Keys, String> {
        let mut keys = Vec::new();
        for signer in &verify.signers {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(signer.key.as_bytes());
            let point = der.ok().and_then(|der| der.strip_prefix(&P256).map(<[u8]>::to_vec));
            let unreadable =
                || format!("of `{}` is no PEM block of an ECDSA key on P-256", signer.name);
            keys.push((signer.clone(), point.ok_or_else(unreadable)?));
        }
        Ok(Keys { keys, keyless: verify.keyless.clone() })
    }

    /// Who signed the artifact of this digest.
    pub(super) async fn judge(
        &self,
        all: &Artifact,
        asker: &Asker<'_>,
        label: &str,
        digest: &str,
    ) -> Result<Voucher, Fault> {
        let what = format!("`{}` at {label}", all.config.url);
        let court = self.court(asker)?;
        let mut flaws = Vec::new();
        for statement in found::statements(all, asker, digest).await? {
            match self.of_statement(court.as_ref(), &statement, digest, asker.now) {
                Ok(voucher) => return Ok(voucher),
                Err(flaw) => flaws.push(flaw),
            }
        }
        for bundle in found::bundles(all, asker, digest).await? {
            match self.of_bundle(court.as_ref(), &bundle, digest, asker.now) {
                Ok(voucher) => return Ok(voucher),
                Err(flaw) => flaws.push(flaw),
            }
        }
        let names = self.names();
        if flaws.is_empty() {
            let message = format!("{what} is not signed; the source trusts {names}");
            return Err(Fault::new(Reason::CommitUnsigned, message));
        }
        flaws.sort();
        flaws.dedup();
        flaws.truncate(TOLD_MAX);
        let message =
            format!("{what} is signed, and not as the source wants it: {}", flaws.join("; "));
        Err(Fault::new(Reason::SignatureRefused, format!("{message}; it trusts {names}")))
    }

    /// Reads what keyless signatures are checked against; it may have been renewed.
    fn court(&self, asker: &Asker<'_>) -> Result<Option<keyless::Court<'_>>, Fault> {
        let Some(keyless) = &self.keyless else { return Ok(None) };
        let root = asker.trusted_root.as_ref().map(Secret::bytes).unwrap_or_default();
        let court = keyless::Court::new(keyless, root, asker.now).map_err(|why| {
            let place = &keyless.trusted_root;
            let message = format!("`{place}` does not hold a trusted root of Sigstore: {why}");
            Fault::new(Reason::SecretUnreadable, message)
        })?;
        Ok(Some(court))
    }

    /// Judges what stands under the old tag: a statement, its signature, and for keyless ones what vouches for it.
    fn of_statement(
        &self,
        court: Option<&keyless::Court<'_>>,
        statement: &Statement,
        digest: &str,
        now: Timestamp,
    ) -> Result<Voucher, Flaw> {
        // A statement about something else may be genuine too.
        if !statement.is_about(digest) {
            return Err("one signature is about another artifact".to_owned());
        }
        if let Some(judged) = self.by_key(&statement.payload, &statement.signature, now) {
            return judged;
        }
        match (court, &statement.certificate) {
            (Some(court), Some(_)) => court.statement(statement),
            (None, Some(_)) => Err("one is by a certificate, and only keys are trusted".to_owned()),
            (_, None) => Err("one is by a key that is not trusted".to_owned()),
        }
    }

    /// Judges a bundle.
    fn of_bundle(
        &self,
        court: Option<&keyless::Court<'_>>,
        bundle: &[u8],
        digest: &str,
        now: Timestamp,
    ) -> Result<Voucher, Flaw> {
        let read = Attestation::parse(bundle)?;
        read.is_signature_of(digest)?;
        if read.has_certificate() {
            let court = court
                .ok_or_else(|| "one is by a certificate, and only keys are trusted".to_owned())?;
            return court.bundle(&read);
        }
        let unknown = || Err("one is by a key that is not trusted".to_owned());
        self.by_key(&read.signed_text(), read.signature(), now).unwrap_or_else(unknown)
    }

    /// Whose key made this signature over a text; `None` when no known one did.
    fn by_key(
        &self,
        text: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Option<Result<Voucher, Flaw>> {
        let genuine = |(_, point): &&(Signer, Vec<u8>)| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
            key.verify(text, signature).is_ok()
        };
        let (signer, point) = self.keys.iter().find(genuine)?;
        let early = signer.valid_from.is_some_and(|from| now < from);
        // The statement carries no time that could be trusted, so that now is what counts.
        let late = signer.valid_until.is_some_and(|until| now > until);
        if early || late {
            let when = if early { "does not count yet" } else { "counts no more" };
            return Some(Err(format!("one is by `{}`, whose key {when}", signer.name)));
        }
        let key = sha256(point).get(..16).unwrap_or_default().to_owned();
        Some(Ok(Voucher { signer: signer.name.clone(), key }))
    }

    fn names(&self) -> String {
        let keys = self.keys.iter().map(|(signer, _)| format!("`{}`", signer.name));
        let identities = self.keyless.iter().flat_map(|keyless| &keyless.identities);
        let identities =
            identities.map(|who| format!("`{}` (`{}` of `{}`)", who.name, who.subject, who.issuer));
        keys.chain(identities).collect::<Vec<_>>().join(", ")
    }
}

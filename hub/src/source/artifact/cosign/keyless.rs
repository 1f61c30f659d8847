//! Signatures by certificates that live for minutes: who it was stands in the certificate, when it was in the log.
//!
//! Of each, all of this is checked against the trusted root that the source was given: the log's promise, and its proof
//! where there is one, that it holds this very signature; with that time, the certificate's path to an authority that
//! counted then, and that it was published; the signature; and last whether the identity and its issuer are ones that
//! the source names. What carries no such evidence is refused, never looked up.

use jiff::Timestamp;
use model::source::{Identity, Keyless};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use serde_json::Value as Json;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{
    Flaw, P256, Voucher, decode,
    evidence::{self, Evidence},
    found::{Attestation, Statement},
    root::Root,
    sct, sha256,
};
use crate::source::fault::quote;

/// What a certificate must be for: signing code (1.3.6.1.5.5.7.3.3).
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// Where a certificate says who vouched for its subject, in the newer and the older form.
const ISSUER: &str = "1.3.6.1.4.1.57264.1.8";
const ISSUER_OLD: &str = "1.3.6.1.4.1.57264.1.1";

/// What keyless signatures are checked against.
pub(super) struct Court<'a> {
    root: Root,
    identities: &'a [Identity],
    now: Timestamp,
}

impl Court<'_> {
    /// Reads a trusted root.
    pub(super) fn new<'a>(
        keyless: &'a Keyless,
        root: &[u8],
        now: Timestamp,
    ) -> Result<Court<'a>, String> {
        let root = Root::parse(root).map_err(|why| quote(&why))?;
        Ok(Court { root, identities: &keyless.identities, now })
    }

    /// Judges a statement with what stands beside it.
    pub(super) fn statement(&self, statement: &Statement) -> Result<Voucher, Flaw> {
        self.judge(&evidence::of_statement(statement)?)
    }

    /// Judges a bundle.
    pub(super) fn bundle(&self, bundle: &Attestation) -> Result<Voucher, Flaw> {
        let (payload, signature) = (bundle.payload(), bundle.signature());
        self.judge(&evidence::of_bundle(&bundle.json, (payload, bundle.signed_text(), signature))?)
    }

    fn judge(&self, evidence: &Evidence) -> Result<Voucher, Flaw> {
        let at = Timestamp::from_second(evidence.entry.time).unwrap_or(Timestamp::MAX);
        if at > self.now {
            return Err(format!("one is of a time to come, {at}"));
        }
        self.root.entered(&evidence.entry, at)?;
        let Some((own, between)) = evidence.certificates.split_first() else {
            return Err("one has no certificate".to_owned());
        };
        let malformed = || "the certificate of one cannot be read".to_owned();
        let (rest, leaf) = X509Certificate::from_der(own).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let trusted = self.root.authorities(at);
        path(own, between, &trusted, at)?;
        let issuers: Vec<_> = trusted.iter().chain(between).collect();
        sct::check(&self.root, &leaf, &issuers)?;
        is_entry_of(evidence, own)?;
        let point = leaf.public_key().raw.strip_prefix(&P256).ok_or_else(|| {
            "one is by a key that is not an ECDSA key on P-256, which cannot be checked".to_owned()
        })?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
        if key.verify(&evidence.message, &evidence.signature).is_err() {
            return Err("one signature does not fit its certificate".to_owned());
        }
        let (subject, issuer) = identity(&leaf);
        let is = |who: &&Identity| who.issuer == issuer && fits(&who.subject, &subject);
        let Some(who) = self.identities.iter().find(is) else {
            return Err(format!("one is by `{}` of `{}`", quote(&subject), quote(&issuer)));
        };
        Ok(Voucher { signer: who.name.clone(), key: subject })
    }
}

/// That the certificate leads to an authority, is for signing, and counted at that time.
fn path(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'static>],
    trusted: &[CertificateDer<'static>],
    at: Timestamp,
) -> Result<(), Flaw> {
    if trusted.is_empty() {
        return Err(format!("one is of {at}, when no authority of the trusted root counted"));
    }
    let wrong = |error: webpki::Error| {
        if matches!(error, webpki::Error::CertExpired { .. }) {
            return format!("one was signed at {at}, after its certificate had ended");
        }
        if matches!(error, webpki::Error::CertNotValidYet { .. }) {
            return format!("one was signed at {at}, before its certificate began");
        }
        format!("the certificate of one leads to no trusted authority: {error}")
    };
    let anchors: Vec<_> =
        trusted.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
    let second = u64::try_from(at.as_second()).unwrap_or(0);
    let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(second));
    let end = webpki::EndEntityCert::try_from(own).map_err(wrong)?;
    let usage = webpki::KeyUsage::required(CODE_SIGNING);
    let all = webpki::ALL_VERIFICATION_ALGS;
    end.verify_for_usage(all, &anchors, between, then, usage, None, None).map(drop).map_err(wrong)
}

/// That the entry of the log is about this signature, by this certificate, over this text: an entry about something else
/// would lend its time to a forgery.
fn is_entry_of(evidence: &Evidence, own: &CertificateDer<'_>) -> Result<(), Flaw> {
    let body: Json = serde_json::from_slice(&evidence.entry.body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let (hash, signature, by) = match (text("/kind"), text("/apiVersion")) {
        ("hashedrekord", "0.0.1") => {
            let hash = text("/spec/data/hash/value");
            (hash, text("/spec/signature/content"), text("/spec/signature/publicKey/content"))
        }
        ("dsse", "0.0.1") => {
            let signed =
                body.pointer("/spec/signatures").and_then(Json::as_array).map_or(0, Vec::len);
            if signed != 1 {
                return Err(format!("the entry of the log has {signed} signatures"));
            }
            let by = text("/spec/signatures/0/verifier");
            (text("/spec/payloadHash/value"), text("/spec/signatures/0/signature"), by)
        }
        (kind, version) => {
            let kind = quote(&format!("{kind} {version}"));
            return Err(format!(
                "one has an entry of kind `{kind}` in a log, which is not understood"
            ));
        }
    };
    let by = decode(by, "the entry of the log")?;
    let same = hash == sha256(&evidence.entered)
        && decode(signature, "the entry of the log")? == evidence.signature
        && CertificateDer::from_pem_slice(&by).is_ok_and(|der| der.as_ref() == own.as_ref());
    if same { Ok(()) } else { Err("the entry of the log is about another signature".to_owned()) }
}

/// Whom a certificate is for, and who vouched for that; empty when it does not say.
fn identity(leaf: &X509Certificate<'_>) -> (String, String) {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let subject = names.iter().find_map(|name| {
        if let GeneralName::URI(text) | GeneralName::RFC822Name(text) = name {
            return Some((*text).to_owned());
        }
        None
    });
    let value = |oid: &str| {
        let found = leaf.extensions().iter().find(|one| one.oid.to_id_string() == oid);
        found.map(|one| one.value)
    };
    // A short text of ASN.1: kind, length, bytes.
    let new = value(ISSUER).and_then(|bytes| match bytes {
        [0x0c, length, text @ ..] if usize::from(*length) == text.len() && *length < 128 => {
            Some(text)
        }
        [0x0c, 0x81, length, text @ ..] if usize::from(*length) == text.len() => Some(text),
        _ => None,
    });
    let issuer = new.or_else(|| value(ISSUER_OLD)).and_then(|text| std::str::from_utf8(text).ok());
    (subject.unwrap_or_default(), issuer.unwrap_or_default().to_owned())
}
/// Whether `*` can stand for texts that make `pattern` the subject.
fn fits(pattern: &str, subject: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = subject.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_as_a_whole() {
        let flow = "https://github.com/acme/fleet/.github/workflows/release.yml@refs/tags/v1";
        for pattern in
            [flow, "https://github.com/acme/fleet/*", "https://github.com/acme/*@refs/tags/*"]
        {
            assert!(fits(pattern, flow), "{pattern}");
        }
        for pattern in [
            "https://github.com/acme/fleet",
            "*/fleet",
            "https://github.com/acme/*@refs/heads/*",
            "",
        ] {
            assert!(!fits(pattern, flow), "{pattern}");
        }
        assert!(!fits("ada@acme.example", "ada@acme.example.evil"));
        assert!(!fits("ada@acme.example", "eve+ada@acme.example"));
    }
}

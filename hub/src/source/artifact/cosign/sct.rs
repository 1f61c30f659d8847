//! That a certificate was published: logs of certificates sign it before the proof of it goes into it (RFC 6962).

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Flaw, root::Root};

/// The extension that holds the proofs, as it begins in a certificate: an object identifier (1.3.6.1.4.1.11129.2.4.2).
const PROOFS: &[u8] = &[0x06, 0x0a, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
const PROOFS_ID: &str = "1.3.6.1.4.1.11129.2.4.2";

/// Where the extensions stand in a certificate.
const EXTENSIONS: u8 = 0xa3;

/// Checks that one of the logs of the root has it.
pub(super) fn check(
    root: &Root,
    leaf: &X509Certificate<'_>,
    issuers: &[&CertificateDer<'static>],
) -> Result<(), Flaw> {
    let found = leaf.extensions().iter().find(|one| one.oid.to_id_string() == PROOFS_ID);
    let Some(found) = found else {
        return Err("the certificate of one was never published".to_owned());
    };
    let unreadable = || "the proof that the certificate was published cannot be read".to_owned();
    let proofs = list(found.value).ok_or_else(unreadable)?;
    let before = without_proofs(leaf.tbs_certificate.as_ref()).ok_or_else(unreadable)?;
    let length = u32::try_from(before.len()).map_err(|_| unreadable())?.to_be_bytes();
    for issuer in issuers {
        let Ok((_, issuer)) = X509Certificate::from_der(issuer) else { continue };
        if issuer.subject().as_raw() != leaf.issuer().as_raw() {
            continue;
        }
        let key = digest(&SHA256, issuer.public_key().raw);
        for proof in &proofs {
            let head = [&[0, 0][..], proof.time, &[0, 1], key.as_ref(), &length[1..]].concat();
            let more = u16::try_from(proof.more.len()).unwrap_or(u16::MAX).to_be_bytes();
            let text = [&head[..], &before, &more, proof.more].concat();
            let time = proof.time.try_into().map_or(0, u64::from_be_bytes);
            let at = i64::try_from(time).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            if at.is_some_and(|at| root.published(proof.log, at, &text, proof.signature)) {
                return Ok(());
            }
        }
    }
    Err("the certificate of one was published in no log that is trusted".to_owned())
}

/// One proof.
struct Proof<'a> {
    log: &'a [u8],
    /// Milliseconds of the epoch, as they are signed.
    time: &'a [u8],
    more: &'a [u8],
    signature: &'a [u8],
}

/// Takes so many bytes from the front.
fn take<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(front)
}

/// Takes what two bytes say the length of.
fn counted<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(from, 2)?;
    take(from, usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

fn list(extension: &[u8]) -> Option<Vec<Proof<'_>>> {
    let mut outer = extension;
    let (kind, mut text, _) = element(&mut outer)?;
    if kind != 0x04 || !outer.is_empty() {
        return None;
    }
    let mut all = counted(&mut text)?;
    let mut proofs = Vec::new();
    while !all.is_empty() {
        let mut one = counted(&mut all)?;
        let version = take(&mut one, 1)?;
        let (log, time) = (take(&mut one, 32)?, take(&mut one, 8)?);
        let more = counted(&mut one)?;
        // ECDSA with SHA-256; others are of logs whose keys are not understood.
        let way = take(&mut one, 2)?;
        let signature = counted(&mut one)?;
        if version == [0] && way == [4, 3] {
            proofs.push(Proof { log, time, more, signature });
        }
    }
    Some(proofs)
}

/// The next element of ASN.1: its kind, what is in it, and all of it.
fn element<'a>(from: &mut &'a [u8]) -> Option<(u8, &'a [u8], &'a [u8])> {
    let whole = *from;
    let kind = take(from, 1)?[0];
    let first = take(from, 1)?[0];
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let bytes = take(from, usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 3 {
            return None;
        }
        bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let inside = take(from, length)?;
    Some((kind, inside, &whole[..whole.len() - from.len()]))
}

/// An element of ASN.1.
fn wrapped(kind: u8, inside: &[u8]) -> Vec<u8> {
    let length = inside.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![kind];
    if inside.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
    }
    out.extend_from_slice(length);
    out.extend_from_slice(inside);
    out
}

/// The part of a certificate that is signed, as it was before the proofs went into it.
fn without_proofs(signed: &[u8]) -> Option<Vec<u8>> {
    let mut outer = signed;
    let (kind, mut parts, _) = element(&mut outer)?;
    let mut out = Vec::new();
    while !parts.is_empty() {
        let (part, mut inside, whole) = element(&mut parts)?;
        if part != EXTENSIONS {
            out.extend_from_slice(whole);
            continue;
        }
        let (sequence, mut all, _) = element(&mut inside)?;
        let mut kept = Vec::new();
        while !all.is_empty() {
            let (_, extension, whole) = element(&mut all)?;
            if !extension.starts_with(PROOFS) {
                kept.extend_from_slice(whole);
            }
        }
        out.extend(wrapped(EXTENSIONS, &wrapped(sequence, &kept)));
    }
    Some(wrapped(kind, &out))
}

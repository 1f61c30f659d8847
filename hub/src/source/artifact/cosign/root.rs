//! Sigstore's `trusted_root.json`: authorities and logs, each with the time in which it counts, and what can be checked
//! with their keys.

use base64::Engine;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::{Flaw, P256, evidence::Entry};

/// The file, as far as it is used. Authorities that stamp times are not among it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    tlogs: Vec<FileLog>,
    #[serde(default)]
    ctlogs: Vec<FileLog>,
    #[serde(default)]
    certificate_authorities: Vec<FileAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileLog {
    public_key: FileKey,
    log_id: FileId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileKey {
    raw_bytes: String,
    #[serde(default)]
    valid_for: Span,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAuthority {
    cert_chain: FileChain,
    #[serde(default)]
    valid_for: Span,
}

#[derive(Deserialize)]
struct FileChain {
    certificates: Vec<FileCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileCertificate {
    raw_bytes: String,
}

/// When something counts; without a bound, always.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Span {
    #[serde(default)]
    start: Option<Timestamp>,
    #[serde(default)]
    end: Option<Timestamp>,
}

impl Span {
    fn covers(self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at <= end)
    }
}

/// A log and its key, a point on P-256.
struct Log {
    id: Vec<u8>,
    point: Vec<u8>,
    span: Span,
}

/// What is trusted.
pub(super) struct Root {
    logs: Vec<Log>,
    published: Vec<Log>,
    authorities: Vec<(Vec<CertificateDer<'static>>, Span)>,
}

impl Root {
    /// Reads it; why it cannot be read.
    pub(super) fn parse(text: &[u8]) -> Result<Root, String> {
        let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let decode = |text: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.map_err(|_| "a part of it is not base64".to_owned())
        };
        let logs = |all: Vec<FileLog>| -> Result<Vec<Log>, String> {
            let mut logs = Vec::new();
            for log in all {
                // Keys of other kinds belong to logs whose entries are not understood.
                if let Some(point) = decode(&log.public_key.raw_bytes)?.strip_prefix(&P256) {
                    let (id, point) = (decode(&log.log_id.key_id)?, point.to_vec());
                    logs.push(Log { id, point, span: log.public_key.valid_for });
                }
            }
            Ok(logs)
        };
        let mut authorities = Vec::new();
        for authority in file.certificate_authorities {
            let mut chain = Vec::new();
            for certificate in authority.cert_chain.certificates {
                chain.push(CertificateDer::from(decode(&certificate.raw_bytes)?));
            }
            authorities.push((chain, authority.valid_for));
        }
        let root = Root { logs: logs(file.tlogs)?, published: logs(file.ctlogs)?, authorities };
        let missing = [
            (root.logs.is_empty(), "log"),
            (root.published.is_empty(), "log of certificates"),
            (root.authorities.is_empty(), "authority"),
        ];
        match missing.into_iter().find(|(missing, _)| *missing) {
            Some((_, what)) => Err(format!("it names no {what} with a key that is understood")),
            None => Ok(root),
        }
    }

    /// The certificates of authorities that counted then.
    pub(super) fn authorities(&self, at: Timestamp) -> Vec<CertificateDer<'static>> {
        let counted = self.authorities.iter().filter(|(_, span)| span.covers(at));
        counted.flat_map(|(chain, _)| chain.iter().cloned()).collect()
    }

    /// Whether the log promised this entry at its time, and proves that it kept the promise where it does.
    pub(super) fn entered(&self, entry: &Entry, at: Timestamp) -> Result<(), Flaw> {
        let known = |log: &&Log| log.id == entry.log && log.span.covers(at);
        let Some(log) = self.logs.iter().find(known) else {
            return Err("one is in a log that is not trusted, or was not then".to_owned());
        };
        let body = base64::engine::general_purpose::STANDARD.encode(&entry.body);
        let (id, time, index) = (hex::encode(&entry.log), entry.time, entry.index);
        // As the log signs it: sorted, without white space.
        let promise = format!(
            "{{\"body\":\"{body}\",\"integratedTime\":{time},\"logID\":\"{id}\",\"logIndex\":{index}}}"
        );
        if !log.signed(promise.as_bytes(), &entry.promise) {
            return Err("one has a promise that its log did not make".to_owned());
        }
        let Some(proof) = &entry.proof else { return Ok(()) };
        let root = climb(&entry.body, proof.index, proof.size, &proof.hashes)
            .ok_or_else(|| "one has an inclusion proof of a wrong length".to_owned())?;
        let note = |(text, rest): (&str, &str)| -> Option<()> {
            let text = format!("{text}\n");
            let mut lines = text.lines().skip(1);
            let size: u64 = lines.next()?.parse().ok()?;
            let named = base64::engine::general_purpose::STANDARD.decode(lines.next()?).ok()?;
            let by_log = rest.lines().filter_map(|line| line.rsplit(' ').next()).any(|signed| {
                let signed = base64::engine::general_purpose::STANDARD.decode(signed);
                // Four bytes that hint at the key, and the signature.
                signed
                    .is_ok_and(|signed| log.signed(text.as_bytes(), signed.get(4..).unwrap_or(&[])))
            });
            (size == proof.size && named == root && by_log).then_some(())
        };
        proof
            .checkpoint
            .split_once("\n\n")
            .and_then(note)
            .ok_or_else(|| "one has an inclusion proof that leads to no root of its log".to_owned())
    }

    /// Whether a log of certificates signed this, at a time at which it counted.
    pub(super) fn published(&self, id: &[u8], at: Timestamp, text: &[u8], tag: &[u8]) -> bool {
        let known = |log: &&Log| log.id == id && log.span.covers(at);
        self.published.iter().filter(known).any(|log| log.signed(text, tag))
    }
}

impl Log {
    fn signed(&self, text: &[u8], tag: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(text, tag).is_ok()
    }
}

/// The root of the tree that an entry is in, by the hashes beside its path (RFC 6962).
fn climb(body: &[u8], index: u64, size: u64, hashes: &[Vec<u8>]) -> Option<Vec<u8>> {
    if index >= size {
        return None;
    }
    let node = |left: &[u8], right: &[u8]| {
        digest(&SHA256, &[&[1], left, right].concat()).as_ref().to_vec()
    };
    let mut hash = digest(&SHA256, &[&[0], body].concat()).as_ref().to_vec();
    let (mut at, mut last) = (index, size - 1);
    for beside in hashes {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            hash = node(beside, &hash);
            while at % 2 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root of all, and the path of one, worked out the plain way.
    fn tree(leaves: &[Vec<u8>], of: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        if leaves.len() == 1 {
            return (
                digest(&SHA256, &[&[0][..], &leaves[0]].concat()).as_ref().to_vec(),
                Vec::new(),
            );
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let inside = if of < half {
            (tree(left, of), tree(right, 0).0)
        } else {
            (tree(right, of - half), tree(left, 0).0)
        };
        let ((own, mut path), beside) = inside;
        let both = if of < half { [own, beside.clone()] } else { [beside.clone(), own] };
        path.push(beside);
        (digest(&SHA256, &[&[1][..], &both[0], &both[1]].concat()).as_ref().to_vec(), path)
    }

    #[test]
    fn every_leaf_of_every_tree_climbs_to_its_root_and_nothing_else_does() {
        for size in 1..20_usize {
            let leaves: Vec<Vec<u8>> = (0..size).map(|n| vec![u8::try_from(n).unwrap()]).collect();
            for of in 0..size {
                let (root, path) = tree(&leaves, of);
                let (index, count) = (of as u64, size as u64);
                assert_eq!(
                    climb(&leaves[of], index, count, &path),
                    Some(root.clone()),
                    "{of} of {size}"
                );
                assert_ne!(climb(b"else", index, count, &path), Some(root.clone()));
                if size > 1 {
                    assert_ne!(climb(&leaves[of], index, count, &path[1..]), Some(root.clone()));
                    let other = (index + 1) % count;
                    assert_ne!(
                        climb(&leaves[of], other, count, &path),
                        Some(root),
                        "{of} of {size}"
                    );
                }
            }
        }
        assert_eq!(climb(b"x", 1, 1, &[]), None);
    }
}

//! What a keyless signature consists of, read from either form that `cosign` writes: who, over what, and what the log
//! said of it. Nothing is believed here.

use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Flaw, decode, found::Statement, unreadable};

/// Certificates between a signer and an authority that are looked at.
const CHAIN_MAX: usize = 5;

/// A signature by a certificate.
pub(super) struct Evidence {
    /// Of the signer first, then those between it and an authority.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What was signed.
    pub(super) message: Vec<u8>,
    /// What the entry of the log has the hash of.
    pub(super) entered: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) entry: Entry,
}

/// What the log said.
pub(super) struct Entry {
    pub(super) log: Vec<u8>,
    pub(super) index: u64,
    /// Seconds of the epoch; counts only with the promise that it is signed by.
    pub(super) time: i64,
    pub(super) body: Vec<u8>,
    pub(super) promise: Vec<u8>,
    pub(super) proof: Option<Proof>,
}

/// That the entry is in the log: a path from it to a root that the log signed.
pub(super) struct Proof {
    pub(super) index: u64,
    pub(super) size: u64,
    pub(super) hashes: Vec<Vec<u8>>,
    /// The signed note.
    pub(super) checkpoint: String,
}

/// What the log said about a statement, as `cosign` up to version 2 keeps it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Logged {
    signed_entry_timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The statement under a tag with what stands beside it.
pub(super) fn of_statement(statement: &Statement) -> Result<Evidence, Flaw> {
    let (Some(certificate), Some(log)) = (&statement.certificate, &statement.log) else {
        return Err("one carries nothing that a log said of it, so that its time is unknown".into());
    };
    let logged: Logged = serde_json::from_str(log).map_err(|_| unreadable("what the log said"))?;
    let mut certificates = Vec::new();
    for pem in [Some(certificate), statement.chain.as_ref()].into_iter().flatten() {
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()).take(CHAIN_MAX) {
            certificates.push(der.map_err(|_| unreadable("a certificate"))?.into_owned());
        }
    }
    let said = logged.payload;
    Ok(Evidence {
        certificates,
        message: statement.payload.clone(),
        entered: statement.payload.clone(),
        signature: statement.signature.clone(),
        entry: Entry {
            log: hex::decode(&said.log_id).map_err(|_| unreadable("the name of the log"))?,
            index: said.log_index,
            time: said.integrated_time,
            body: decode(&said.body, "the entry of the log")?,
            promise: decode(&logged.signed_entry_timestamp, "the promise of the log")?,
            proof: None,
        },
    })
}

/// What a bundle carries beside its envelope, whose payload, signed text and signature are given.
pub(super) fn of_bundle(
    bundle: &Json,
    (payload, message, signature): (&[u8], Vec<u8>, &[u8]),
) -> Result<Evidence, Flaw> {
    let material = &bundle["verificationMaterial"];
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let mut certificates = Vec::new();
    let one = material.pointer("/certificate/rawBytes");
    let chain = material.pointer("/x509CertificateChain/certificates").and_then(Json::as_array);
    let chain = chain.into_iter().flatten().filter_map(|one| one.get("rawBytes"));
    for raw in one.into_iter().chain(chain).take(CHAIN_MAX) {
        certificates.push(CertificateDer::from(decode(&text(raw), "a certificate")?));
    }
    let entries = material["tlogEntries"].as_array().map_or(&[][..], Vec::as_slice);
    let [entry] = entries else {
        let count = entries.len();
        return Err(format!("one has {count} entries of a log; one is what can be checked"));
    };
    let Some(promise) = entry.pointer("/inclusionPromise/signedEntryTimestamp") else {
        return Err("one has no time that its log signed; stamps of other authorities are not \
                    understood"
            .to_owned());
    };
    let number =
        |value: &Json| -> Option<u64> { value.as_u64().or_else(|| value.as_str()?.parse().ok()) };
    let proof = match entry.get("inclusionProof") {
        None => None,
        Some(proof) => {
            let hashes = proof["hashes"].as_array().map_or(&[][..], Vec::as_slice);
            let hashes = hashes.iter().map(|hash| decode(&text(hash), "the proof of the log"));
            Some(Proof {
                index: number(&proof["logIndex"]).unwrap_or(0),
                size: number(&proof["treeSize"]).ok_or_else(|| unreadable("the proof"))?,
                hashes: hashes.collect::<Result<_, _>>()?,
                checkpoint: text(&proof["checkpoint"]["envelope"]),
            })
        }
    };
    let time = number(&entry["integratedTime"]).and_then(|time| i64::try_from(time).ok());
    Ok(Evidence {
        certificates,
        message,
        entered: payload.to_vec(),
        signature: signature.to_vec(),
        entry: Entry {
            log: decode(&text(&entry["logId"]["keyId"]), "the name of the log")?,
            index: number(&entry["logIndex"]).unwrap_or(0),
            time: time.ok_or_else(|| unreadable("the time"))?,
            body: decode(&text(&entry["canonicalizedBody"]), "the entry of the log")?,
            promise: decode(&text(promise), "the promise of the log")?,
            proof,
        },
    })
}

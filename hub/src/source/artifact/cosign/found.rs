//! What a registry holds beside an artifact: statements under the tag `sha256-….sig`, as `cosign` wrote them before
//! version 3, and bundles that refer to the artifact, as it writes them since.

use std::collections::BTreeMap;

use base64::Engine;
use model::Reason;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{super::oci, Artifact, Asker, Fault, Flaw, decode, sha256};
use crate::source::fault::quote;

/// Where the parts stand beside a statement.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";

/// Kind of a bundle, whatever its version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Kind of what is in the envelope of a bundle.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// What a bundle says that is a signature, and no other attestation.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// Bundles of one artifact that are looked at; every attestation is one too.
const BUNDLES_MAX: usize = 20;

/// A statement that somebody signed, and what stands beside it.
pub(super) struct Statement {
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// PEM.
    pub(super) certificate: Option<String>,
    /// PEM.
    pub(super) chain: Option<String>,
    /// What the log said, JSON.
    pub(super) log: Option<String>,
}

impl Statement {
    /// Whether it is about the artifact of this digest.
    pub(super) fn is_about(&self, digest: &str) -> bool {
        let read: Option<serde_json::Value> = serde_json::from_slice(&self.payload).ok();
        let about = read
            .as_ref()
            .and_then(|s| s.pointer("/critical/image/docker-manifest-digest")?.as_str());
        about.and_then(|about| about.strip_prefix("sha256:")) == Some(digest)
    }
}

/// The statements under the tag that belongs to a digest.
pub(super) async fn statements(
    all: &Artifact,
    asker: &Asker<'_>,
    digest: &str,
) -> Result<Vec<Statement>, Fault> {
    let manifest = match oci::manifest(all, asker, &format!("sha256-{digest}.sig")).await {
        Ok(manifest) => manifest,
        Err(fault) if fault.reason == Reason::OciNotFound => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    let mut found = Vec::new();
    for layer in &oci::read(all, &manifest)?.layers {
        let empty = BTreeMap::new();
        let beside = layer.annotations.as_ref().unwrap_or(&empty);
        let Some(text) = beside.get(SIGNATURE) else { continue };
        let Ok(signature) = base64::engine::general_purpose::STANDARD.decode(text) else {
            continue;
        };
        let text = |name: &str| beside.get(name).filter(|text| !text.is_empty()).cloned();
        found.push(Statement {
            payload: oci::blob(all, asker, layer).await?,
            signature,
            certificate: text(CERTIFICATE),
            chain: text(CHAIN),
            log: text(LOG),
        });
    }
    Ok(found)
}

/// What refers to an artifact.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    digest: String,
    #[serde(default)]
    artifact_type: Option<String>,
}

/// The bundles that refer to an artifact: asked for where registries keep them, or under the tag for those that keep
/// no list.
pub(super) async fn bundles(
    all: &Artifact,
    asker: &Asker<'_>,
    digest: &str,
) -> Result<Vec<Vec<u8>>, Fault> {
    let index = match oci::referrers(all, asker, digest).await? {
        Some(index) => index,
        None => match oci::manifest(all, asker, &format!("sha256-{digest}")).await {
            Ok(index) => index,
            Err(fault) if fault.reason == Reason::OciNotFound => return Ok(Vec::new()),
            Err(other) => return Err(other),
        },
    };
    let index: Index = serde_json::from_slice(&index)
        .map_err(|_| all.invalid("what refers to the artifact cannot be read"))?;
    let is_bundle =
        |of: &&Referrer| of.artifact_type.as_deref().is_some_and(|kind| kind.starts_with(BUNDLE));
    let mut found = Vec::new();
    for referrer in index.manifests.iter().filter(is_bundle).take(BUNDLES_MAX) {
        let manifest = oci::manifest(all, asker, &referrer.digest).await?;
        if referrer.digest.strip_prefix("sha256:") != Some(sha256(&manifest).as_str()) {
            return Err(all.invalid("what refers to the artifact does not fit its digest"));
        }
        for layer in &oci::read(all, &manifest)?.layers {
            if layer.media_type.starts_with(BUNDLE) {
                found.push(oci::blob(all, asker, layer).await?);
            }
        }
    }
    Ok(found)
}

/// A bundle that was read: an envelope with a statement about artifacts.
pub(super) struct Attestation {
    /// All of it.
    pub(super) json: Json,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Attestation {
    pub(super) fn parse(bytes: &[u8]) -> Result<Attestation, Flaw> {
        let json: Json =
            serde_json::from_slice(bytes).map_err(|_| "one bundle cannot be read".to_owned())?;
        let envelope = &json["dsseEnvelope"];
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&envelope["payloadType"]);
        if kind != STATEMENT {
            let kind = quote(&kind);
            return Err(format!("one bundle carries no statement, but `{kind}`"));
        }
        let signatures = envelope["signatures"].as_array().map_or(0, Vec::len);
        if signatures != 1 {
            return Err(format!("one bundle has {signatures} signatures, and not one"));
        }
        let payload = decode(&text(&envelope["payload"]), "the statement")?;
        let signature = decode(&text(&envelope["signatures"][0]["sig"]), "the signature")?;
        Ok(Attestation { json, payload, signature })
    }

    /// Whether a certificate says who signed.
    pub(super) fn has_certificate(&self) -> bool {
        self.json["verificationMaterial"].get("publicKey").is_none()
    }

    /// That it says "this is signed" of the artifact: a list of its parts or of its weak spots, signed by the same
    /// hand, is no consent.
    pub(super) fn is_signature_of(&self, digest: &str) -> Result<(), Flaw> {
        let said: Json = serde_json::from_slice(&self.payload)
            .map_err(|_| "the statement of one bundle cannot be read".to_owned())?;
        let kind = said["predicateType"].as_str().unwrap_or_default();
        if kind != SIGNED {
            return Err(format!("one bundle attests `{}`, and is no signature", quote(kind)));
        }
        let subjects = said["subject"].as_array().map_or(&[][..], Vec::as_slice);
        let about = |subject: &Json| {
            subject.pointer("/digest/sha256").and_then(Json::as_str) == Some(digest)
        };
        if subjects.iter().any(about) {
            Ok(())
        } else {
            Err("one signature is about another artifact".to_owned())
        }
    }

    /// The statement.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What was signed: the statement with its kind and both lengths.
    pub(super) fn signed_text(&self) -> Vec<u8> {
        let (kind, length) = (STATEMENT.len(), self.payload.len());
        let head = format!("DSSEv1 {kind} {STATEMENT} {length} ");
        [head.as_bytes(), &self.payload].concat()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

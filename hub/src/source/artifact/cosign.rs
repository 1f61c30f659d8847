//! Signatures that `cosign sign --key` leaves beside an artifact: a statement that names the digest, and over it a
//! signature by an ECDSA key on P-256.

use base64::Engine;
use model::{
    Reason,
    source::{Signer, SourceVerify},
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::{Artifact, Asker, Fault, Voucher, oci, sha256};

/// Where the signature stands.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What stands before the point in the key of an ECDSA key on P-256.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The signers of an artifact.
#[derive(Debug)]
pub(in crate::source) struct Keys(Vec<(Signer, Vec<u8>)>);

impl Keys {
    /// Reads the keys of a source; says which cannot be read otherwise.
    pub(super) fn parse(verify: &SourceVerify) -> Result<Keys, String> {
        let mut all = Vec::new();
        for signer in &verify.signers {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(signer.key.as_bytes());
            let point = der.ok().and_then(|der| der.strip_prefix(&P256).map(<[u8]>::to_vec));
            let unreadable =
                || format!("of `{}` is no PEM block of an ECDSA key on P-256", signer.name);
            all.push((signer.clone(), point.ok_or_else(unreadable)?));
        }
        Ok(Keys(all))
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
        let names = || {
            let names: Vec<_> =
                self.0.iter().map(|(signer, _)| format!("`{}`", signer.name)).collect();
            names.join(", ")
        };
        let manifest = match oci::manifest(all, asker, &format!("sha256-{digest}.sig")).await {
            Ok(manifest) => manifest,
            Err(fault) if fault.reason == Reason::OciNotFound => {
                let message = format!("{what} is not signed; the source trusts {}", names());
                return Err(Fault::new(Reason::CommitUnsigned, message));
            }
            Err(other) => return Err(other),
        };
        for layer in &oci::read(all, &manifest)?.layers {
            let Some(text) = layer.annotations.as_ref().and_then(|all| all.get(SIGNATURE)) else {
                continue;
            };
            let Ok(tag) = base64::engine::general_purpose::STANDARD.decode(text) else { continue };
            let statement = oci::blob(all, asker, layer).await?;
            let genuine = |point: &Vec<u8>| {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
                key.verify(&statement, &tag).is_ok()
            };
            let Some((signer, point)) = self.0.iter().find(|(_, point)| genuine(point)) else {
                continue;
            };
            // A statement about something else may be genuine too.
            let read: Option<serde_json::Value> = serde_json::from_slice(&statement).ok();
            let about = read
                .as_ref()
                .and_then(|s| s.pointer("/critical/image/docker-manifest-digest")?.as_str());
            if about != Some(&format!("sha256:{digest}")) {
                continue;
            }
            let now = asker.now;
            let early = signer.valid_from.is_some_and(|from| now < from);
            // The statement carries no time that could be trusted, so that now is what counts.
            let late = signer.valid_until.is_some_and(|until| now > until);
            if early || late {
                let when = if early { "does not count yet" } else { "counts no more" };
                let message = format!("{what} is signed by `{}`, whose key {when}", signer.name);
                return Err(Fault::new(Reason::SignatureRefused, message));
            }
            let key = sha256(point).get(..16).unwrap_or_default().to_owned();
            return Ok(Voucher { signer: signer.name.clone(), key });
        }
        let message = format!("{what} is signed, and not by any of {}", names());
        Err(Fault::new(Reason::SignatureRefused, message))
    }
}

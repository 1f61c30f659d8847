//! A Sigstore of our own: an authority that certifies for minutes, a log that certificates are published in, and a
//! log that signatures are entered in. Each part can be made wrong by itself.

use base64::Engine;
use hub::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SigningKey,
};
use serde_json::json;

use super::registry::Registry;

pub(super) const SUBJECT: &str =
    "https://github.com/acme/fleet/.github/workflows/release.yml@refs/tags/v1";
pub(super) const ISSUER: &str = "https://token.actions.example";

/// What a bundle says that is a signature.
pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// A key that signs what a log holds.
pub(super) struct Log(KeyPair);

impl Log {
    pub(super) fn new() -> Log {
        Log(key())
    }

    fn spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    fn id(&self) -> Vec<u8> {
        sha256(&self.spki())
    }

    fn document(&self) -> serde_json::Value {
        json!({
            "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64(&self.spki()), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": { "start": "2020-01-01T00:00:00Z" },
            },
            "logId": { "keyId": base64(&self.id()) },
        })
    }
}

/// Who certifies.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let (key, mut params) = (key(), CertificateParams::new(Vec::new()).unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { params, key, der }
    }
}

/// All of it.
pub(super) struct Sigstore {
    pub(super) authority: Authority,
    pub(super) published: Log,
    pub(super) log: Log,
}

impl Sigstore {
    pub(super) fn new() -> Sigstore {
        Sigstore { authority: Authority::new(), published: Log::new(), log: Log::new() }
    }

    /// What a source is given; the authority counted until `end`, if it ended.
    pub(super) fn root(&self, end: Option<&str>) -> String {
        let mut valid = json!({ "start": "2020-01-01T00:00:00Z" });
        if let Some(end) = end {
            valid["end"] = json!(end);
        }
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.log.document()],
            "certificateAuthorities": [{
                "subject": { "organization": "acme", "commonName": "authority" },
                "uri": "https://authority.example",
                "certChain": { "certificates": [{ "rawBytes": base64(&self.authority.der) }] },
                "validFor": valid,
            }],
            "ctlogs": [self.published.document()],
            "timestampAuthorities": [],
        })
        .to_string()
    }

    /// How a signature is made that has nothing wrong about it.
    pub(super) fn genuine(&self) -> Made<'_> {
        Made {
            subject: SUBJECT,
            issuer: ISSUER,
            authority: &self.authority,
            published: Some(&self.published),
            log: &self.log,
            began: 20,
            taken: 19,
            usage: ExtendedKeyUsagePurpose::CodeSigning,
            about: None,
            says: SIGNED,
            entered: None,
            promised: true,
            proven: true,
            foreign_key: false,
        }
    }
}

/// How a signature is made.
#[derive(Clone)]
pub(super) struct Made<'a> {
    pub(super) subject: &'a str,
    pub(super) issuer: &'a str,
    pub(super) authority: &'a Authority,
    /// Where the certificate was published.
    pub(super) published: Option<&'a Log>,
    pub(super) log: &'a Log,
    /// Minutes ago that the certificate began to count, for ten minutes.
    pub(super) began: i64,
    /// Minutes ago that the log took the signature.
    pub(super) taken: i64,
    pub(super) usage: ExtendedKeyUsagePurpose,
    /// The digest that is signed; default: that of the artifact.
    pub(super) about: Option<String>,
    /// What a bundle attests.
    pub(super) says: &'a str,
    /// What the log entered; default: what was signed.
    pub(super) entered: Option<&'a [u8]>,
    /// With the promise of the log, which carries the time.
    pub(super) promised: bool,
    /// Whether the path through the log leads to its root.
    pub(super) proven: bool,
    /// Signed by another key than that of the certificate.
    pub(super) foreign_key: bool,
}

fn ago(minutes: i64) -> Timestamp {
    let now = Timestamp::from_second(Clock::system().now().as_second()).unwrap();
    now - SignedDuration::from_mins(minutes)
}

impl Made<'_> {
    /// The certificate of a key, with the proof inside that it was published.
    fn certificate(&self, key: &KeyPair) -> rcgen::Certificate {
        let time =
            |at: Timestamp| time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(rcgen::SerialNumber::from(vec![7; 16]));
        params.not_before = time(ago(self.began));
        params.not_after = time(ago(self.began - 10));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![self.usage.clone()];
        params.subject_alt_names = vec![if self.subject.contains("://") {
            SanType::URI(self.subject.try_into().unwrap())
        } else {
            SanType::Rfc822Name(self.subject.try_into().unwrap())
        }];
        let text = [&[0x0c, u8::try_from(self.issuer.len()).unwrap()][..], self.issuer.as_bytes()];
        let issuer =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], text.concat());
        params.custom_extensions = vec![issuer];
        let by = Issuer::from_params(&self.authority.params, &self.authority.key);
        let Some(log) = self.published else { return params.signed_by(key, &by).unwrap() };
        let before = params.signed_by(key, &by).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(before.der()).unwrap();
        let proof = publish(log, &self.authority.key, read.tbs_certificate.as_ref());
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, proof));
        params.signed_by(key, &by).unwrap()
    }

    /// What the log enters about a signature, and everything that shows it.
    fn enter(&self, body: &serde_json::Value) -> serde_json::Value {
        let body = body.to_string();
        let (at, index) = (ago(self.taken).as_second(), 1);
        // Sorted and without white space, as it is signed.
        let promise = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{at},\"logID\":\"{}\",\"logIndex\":{index}}}",
            base64(body.as_bytes()),
            hex::encode(self.log.id()),
        );
        let promise = self.log.0.sign(promise.as_bytes()).unwrap();
        let (leaf, sibling) = (sha256(&[&[0][..], body.as_bytes()].concat()), sha256(b"before"));
        let root = sha256(&[&[1][..], sibling.as_slice(), leaf.as_slice()].concat());
        let note = format!("log.example - 1\n2\n{}\n", base64(&root));
        let signed = self.log.0.sign(note.as_bytes()).unwrap();
        let signed = base64(&[&self.log.id()[..4], signed.as_slice()].concat());
        let sibling = if self.proven { sibling } else { sha256(b"else") };
        let mut entry = json!({
            "logIndex": index.to_string(), "logId": { "keyId": base64(&self.log.id()) },
            "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
            "integratedTime": at.to_string(),
            "inclusionProof": {
                "logIndex": "1", "treeSize": "2", "rootHash": base64(&root), "hashes": [base64(&sibling)],
                "checkpoint": { "envelope": format!("{note}\n\u{2014} log.example {signed}\n") },
            },
            "canonicalizedBody": base64(body.as_bytes()),
        });
        if self.promised {
            entry["inclusionPromise"] = json!({ "signedEntryTimestamp": base64(&promise) });
        }
        entry
    }

    /// As `cosign` up to version 2 leaves it: a statement under a tag.
    pub(super) async fn tag(&self, registry: &Registry, repository: &str, of: &str) {
        let says = self.about.clone().unwrap_or_else(|| of.to_owned());
        let statement = format!(
            "{{\"critical\":{{\"identity\":{{}},\"image\":{{\"docker-manifest-digest\":\"{says}\"}},\
             \"type\":\"cosign container image signature\"}},\"optional\":null}}"
        );
        let key = key();
        let certificate = self.certificate(&key);
        let signing = if self.foreign_key { self::key() } else { key };
        let signature = signing.sign(statement.as_bytes()).unwrap();
        let entered = sha256(self.entered.unwrap_or(statement.as_bytes()));
        let entry = self.enter(&json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex::encode(entered) } },
                "signature": {
                    "content": base64(&signature),
                    "publicKey": { "content": base64(certificate.pem().as_bytes()) },
                },
            },
        }));
        let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
        let mut layer = registry.blob(repository, kind, statement.as_bytes()).await;
        layer["annotations"] = json!({
            "dev.cosignproject.cosign/signature": base64(&signature),
            "dev.sigstore.cosign/certificate": certificate.pem(),
            "dev.sigstore.cosign/chain": "",
        });
        if self.promised {
            let logged = json!({
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"], "logIndex": 1,
                    "integratedTime": entry["integratedTime"].as_str().unwrap().parse::<i64>().unwrap(),
                    "logID": hex::encode(self.log.id()),
                },
            });
            layer["annotations"]["dev.sigstore.cosign/bundle"] = json!(logged.to_string());
        }
        let name = format!("sha256-{}.sig", of.strip_prefix("sha256:").unwrap());
        registry.push(repository, &name, vec![layer]).await;
    }

    /// The document that `cosign` since version 3 writes.
    pub(super) fn bundle(&self, of: &str) -> serde_json::Value {
        let key = key();
        let certificate = self.certificate(&key);
        let signing = if self.foreign_key { self::key() } else { key };
        let (payload, signature, mut bundle) =
            envelope(&signing, self.about.as_deref().unwrap_or(of), self.says);
        let entered = sha256(self.entered.unwrap_or(payload.as_bytes()));
        let mut entry = self.enter(&json!({
            "apiVersion": "0.0.1", "kind": "dsse", "spec": {
                "envelopeHash": { "algorithm": "sha256", "value": hex::encode(sha256(b"")) },
                "payloadHash": { "algorithm": "sha256", "value": hex::encode(entered) },
                "signatures": [{
                    "signature": base64(&signature), "verifier": base64(certificate.pem().as_bytes()),
                }],
            },
        }));
        entry["kindVersion"]["kind"] = json!("dsse");
        bundle["verificationMaterial"] = json!({
            "certificate": { "rawBytes": base64(certificate.der()) }, "tlogEntries": [entry],
        });
        bundle
    }
}

/// A signed statement about a digest: its text, the signature, and a bundle that lacks who it was.
fn envelope(key: &KeyPair, digest: &str, says: &str) -> (String, Vec<u8>, serde_json::Value) {
    let kind = "application/vnd.in-toto+json";
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": digest.strip_prefix("sha256:").unwrap() } }],
        "predicateType": says, "predicate": {},
    })
    .to_string();
    let signed = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let signature = key.sign(signed.as_bytes()).unwrap();
    let bundle = json!({
        "mediaType": BUNDLE,
        "dsseEnvelope": {
            "payload": base64(payload.as_bytes()), "payloadType": kind,
            "signatures": [{ "sig": base64(&signature), "keyid": "" }],
        },
    });
    (payload, signature, bundle)
}

/// As `cosign sign --key` since version 3.
pub(super) fn by_key(key: &KeyPair, digest: &str) -> serde_json::Value {
    let (_, _, mut bundle) = envelope(key, digest, SIGNED);
    bundle["verificationMaterial"] = json!({ "publicKey": { "hint": "" }, "tlogEntries": [] });
    bundle
}

/// Puts bundles beside an artifact, under the tag for registries that keep no list of what refers to it.
pub(super) async fn refer(
    registry: &Registry,
    repository: &str,
    of: &str,
    bundles: &[serde_json::Value],
) {
    let mut manifests = Vec::new();
    for bundle in bundles {
        let layer = registry.blob(repository, BUNDLE, bundle.to_string().as_bytes()).await;
        let config = registry.blob(repository, "application/vnd.oci.empty.v1+json", b"{}").await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "config": config, "layers": [layer],
        })
        .to_string();
        let digest = super::registry::digest(manifest.as_bytes());
        registry.put(repository, &digest, MANIFEST, manifest.as_bytes()).await;
        manifests.push(json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.len(), "artifactType": BUNDLE,
        }));
    }
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string();
    registry.put(repository, &of.replace(':', "-"), INDEX, index.as_bytes()).await;
}

/// A proof that a certificate was published: over the certificate as it was before the proof went into it.
fn publish(log: &Log, authority: &KeyPair, certificate: &[u8]) -> Vec<u8> {
    let at = u64::try_from(ago(20).as_millisecond()).unwrap().to_be_bytes();
    let length = u32::try_from(certificate.len()).unwrap().to_be_bytes();
    let signed = [
        &[0, 0][..],
        &at,
        &[0, 1],
        &sha256(&authority.subject_public_key_info()),
        &length[1..],
        certificate,
        &[0, 0],
    ]
    .concat();
    let signature = log.0.sign(&signed).unwrap();
    let two = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let one = [&[0][..], &log.id(), &at, &[0, 0, 4, 3], &two(signature.len()), &signature].concat();
    let list = [&two(one.len() + 2)[..], &two(one.len()), &one].concat();
    [&[0x04, u8::try_from(list.len()).unwrap()][..], &list].concat()
}

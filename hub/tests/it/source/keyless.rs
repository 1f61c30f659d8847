//! Artifacts that are signed without a key that anybody keeps, in both forms that `cosign` writes.

use std::fs;

use model::source::{Identity, Keyless, Signer, SourceVerify};
use rcgen::ExtendedKeyUsagePurpose;

use super::{
    artifact::{of, quick, until_digest},
    registry::{Registry, digest},
    sigstore::{Authority, ISSUER, Log, Made, Sigstore, by_key, refer},
    *,
};

struct Here {
    dir: tempfile::TempDir,
    registry: Registry,
    sigstore: Sigstore,
    /// The artifact.
    pushed: String,
}

async fn here() -> Option<Here> {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(&dir.path().join("registry"), false)?;
    let pushed = registry.push_files("apps", "1.0.0", &[("a.yaml", "a: 1\n")]).await;
    let sigstore = Sigstore::new();
    fs::write(dir.path().join("root.json"), sigstore.root(None)).unwrap();
    Some(Here { dir, registry, sigstore, pushed })
}

impl Here {
    /// A source that trusts releases of one repository.
    fn follow(&self) -> Sources {
        let identity = Identity {
            name: "ci".to_owned(),
            issuer: ISSUER.to_owned(),
            subject: "https://github.com/acme/fleet/.github/workflows/*@refs/tags/*".to_owned(),
        };
        let keyless = Keyless {
            trusted_root: file(&self.dir.path().join("root.json")).unwrap(),
            identities: vec![identity],
        };
        let verify = Some(SourceVerify { keyless: Some(keyless), ..SourceVerify::default() });
        let sources = start(self.dir.path(), quick());
        sources.add(SourceConfig { verify, ..of(&self.registry, "apps", "1.0.0") }).unwrap();
        sources
    }

    async fn bundle(&self, made: &Made<'_>) {
        refer(&self.registry, "apps", &self.pushed, &[made.bundle(&self.pushed)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyless_signature_of_a_named_identity_counts_long_after_its_certificate_ended() {
    let Some(here) = here().await else { return };
    let sources = here.follow();
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert!(
        status.state.message().contains("`ci` (`https://github.com/acme/"),
        "{:?}",
        status.state
    );
    here.sigstore.genuine().tag(&here.registry, "apps", &here.pushed).await;
    let status = until_digest(&sources, &here.pushed).await;
    let signed_by = status.signed_by.unwrap();
    assert_eq!(signed_by, format!("ci ({})", super::sigstore::SUBJECT));
    sources.stop().await;
    // Another artifact, and the form of newer versions, among attestations that are no signature.
    let second = here.registry.push_files("apps", "1.0.0", &[("a.yaml", "a: 2\n")]).await;
    let parts = Made { says: "https://spdx.dev/Document", ..here.sigstore.genuine() };
    let bundles = [parts.bundle(&second), here.sigstore.genuine().bundle(&second)];
    refer(&here.registry, "apps", &second, &bundles).await;
    let sources = here.follow();
    until_digest(&sources, &second).await;
    assert_eq!(read(&sources, "a.yaml"), "a: 2\n");
}

#[expect(clippy::too_many_lines, reason = "a table, one row a case")]
#[tokio::test(flavor = "multi_thread")]
async fn a_keyless_signature_counts_only_when_nothing_about_it_is_wrong() {
    let Some(here) = here().await else { return };
    let (other, foreign, genuine) = (Authority::new(), Log::new(), here.sigstore.genuine());
    let elsewhere = Some(digest(b"another artifact"));
    // What is wrong, what is said of it under a tag, and what of a bundle.
    let wrong: Vec<(&str, Made<'_>, &str, &str)> = vec![
        (
            "another workflow",
            Made { subject: "https://github.com/acme/fleet-evil/x", ..genuine.clone() },
            "by `https://github.com/acme/fleet-evil/x`",
            "by `https://github.com/acme/fleet-evil/x`",
        ),
        (
            "a person who is called so",
            Made { subject: "ci@acme.example", ..genuine.clone() },
            "by `ci@acme.example` of",
            "by `ci@acme.example` of",
        ),
        (
            "another issuer",
            Made { issuer: "https://token.evil.example", ..genuine.clone() },
            "of `https://token.evil.example`",
            "of `https://token.evil.example`",
        ),
        (
            "another authority",
            Made { authority: &other, ..genuine.clone() },
            "leads to no trusted authority",
            "leads to no trusted authority",
        ),
        (
            "a certificate for servers",
            Made { usage: ExtendedKeyUsagePurpose::ServerAuth, ..genuine.clone() },
            "leads to no trusted authority",
            "leads to no trusted authority",
        ),
        (
            "a certificate that was never published",
            Made { published: None, ..genuine.clone() },
            "was never published",
            "was never published",
        ),
        (
            "a certificate published elsewhere",
            Made { published: Some(&foreign), ..genuine.clone() },
            "in no log that is trusted",
            "in no log that is trusted",
        ),
        (
            "signed after the certificate ended",
            Made { taken: 5, ..genuine.clone() },
            "after its certificate had ended",
            "after its certificate had ended",
        ),
        (
            "signed before the certificate began",
            Made { taken: 30, ..genuine.clone() },
            "before its certificate began",
            "before its certificate began",
        ),
        ("a log that nobody knows", Made { log: &foreign, ..genuine.clone() }, "log", "log"),
        (
            "an entry about something else",
            Made { entered: Some(b"something else"), ..genuine.clone() },
            "about another signature",
            "about another signature",
        ),
        (
            "about another artifact",
            Made { about: elsewhere, ..genuine.clone() },
            "about another artifact",
            "about another artifact",
        ),
        (
            "by another key than the certified one",
            Made { foreign_key: true, ..genuine.clone() },
            "does not fit its certificate",
            "does not fit its certificate",
        ),
        (
            "without a time",
            Made { promised: false, ..genuine.clone() },
            "its time is unknown",
            "no time that its log signed",
        ),
        (
            "a path that does not lead to the root of the log",
            Made { proven: false, ..genuine.clone() },
            "",
            "leads to no root of its log",
        ),
        (
            "a list of its parts",
            Made { says: "https://spdx.dev/Document", ..genuine.clone() },
            "",
            "is no signature",
        ),
    ];
    let sources = here.follow();
    for (what, made, tagged, bundled) in wrong {
        let refused = |status: &SourceStatus, words: &str| {
            status.state.reason() == Some(Reason::SignatureRefused)
                && status.state.message().contains(words)
        };
        if !bundled.is_empty() {
            here.bundle(&made).await;
            until(&sources, &format!("{what}: {bundled}"), |s| refused(s, bundled)).await;
            here.registry.forget("apps", &here.pushed.replace(':', "-"));
        }
        if !tagged.is_empty() {
            made.tag(&here.registry, "apps", &here.pushed).await;
            until(&sources, &format!("{what}: {tagged}"), |s| refused(s, tagged)).await;
            let tag = format!("{}.sig", here.pushed.replace(':', "-"));
            here.registry.forget("apps", &tag);
        }
        until_reason(&sources, Reason::CommitUnsigned).await;
        assert!(sources.snapshot(&name()).is_none(), "{what}");
    }
    here.bundle(&genuine).await;
    until_digest(&sources, &here.pushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trusted_root_is_read_anew_and_an_authority_counts_in_its_time_only() {
    let Some(here) = here().await else { return };
    let root = here.dir.path().join("root.json");
    here.bundle(&here.sigstore.genuine()).await;
    fs::write(&root, "{\"mediaType\": 7}").unwrap();
    let sources = here.follow();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(
        status.state.message().contains("root.json` does not hold a trusted root"),
        "{:?}",
        status.state
    );
    fs::remove_file(&root).unwrap();
    let gone = |status: &SourceStatus| status.state.message().contains("No such file");
    until(&sources, "gone", gone).await;
    fs::write(&root, here.sigstore.root(Some("2021-01-01T00:00:00Z"))).unwrap();
    let status = until_reason(&sources, Reason::SignatureRefused).await;
    assert!(status.state.message().contains("authority"), "{:?}", status.state);
    fs::write(&root, here.sigstore.root(None)).unwrap();
    until_digest(&sources, &here.pushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_by_a_key_counts_as_a_statement_by_it_does() {
    let Some(here) = here().await else { return };
    let pair = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (ada, eve) = (pair(), pair());
    let key = ada.public_key_pem();
    let signer = Signer { name: "ada".to_owned(), key, valid_from: None, valid_until: None };
    let verify = Some(SourceVerify { signers: vec![signer], ..SourceVerify::default() });
    let sources = start(here.dir.path(), quick());
    sources.add(SourceConfig { verify, ..of(&here.registry, "apps", "1.0.0") }).unwrap();
    for (bundle, says) in [
        (by_key(&eve, &here.pushed), "by a key that is not trusted"),
        (by_key(&ada, &digest(b"another artifact")), "about another artifact"),
        (here.sigstore.genuine().bundle(&here.pushed), "only keys are trusted"),
    ] {
        refer(&here.registry, "apps", &here.pushed, &[bundle]).await;
        let refused = |status: &SourceStatus| status.state.message().contains(says);
        until(&sources, says, refused).await;
        assert!(sources.snapshot(&name()).is_none(), "{says}");
    }
    refer(&here.registry, "apps", &here.pushed, &[by_key(&ada, &here.pushed)]).await;
    let status = until_digest(&sources, &here.pushed).await;
    assert!(status.signed_by.unwrap().starts_with("ada ("));
}

#[test]
fn who_is_trusted_is_named_in_full() {
    let with = |url: &str, change: fn(&mut Keyless)| {
        let mut keyless = Keyless {
            trusted_root: "file:/etc/root.json".to_owned(),
            identities: vec![Identity {
                name: "ci".to_owned(),
                issuer: ISSUER.to_owned(),
                subject: "https://github.com/acme/*".to_owned(),
            }],
        };
        change(&mut keyless);
        let verify = Some(SourceVerify { keyless: Some(keyless), ..SourceVerify::default() });
        let config = SourceConfig { verify, ..config(url, "1.0.0") };
        config.check().map_err(|error| error.to_string())
    };
    let oci = "oci://registry.example/apps";
    assert_eq!(with(oci, |_| {}), Ok(()));
    for (change, says) in [
        ((|k| k.identities.clear()) as fn(&mut Keyless), "must be 1 to"),
        (|k| k.identities[0].subject = "*".to_owned(), "would be anybody"),
        (|k| k.identities[0].subject = String::new(), "must name somebody"),
        (|k| k.identities[0].issuer = "*".to_owned(), "must begin with `https://`"),
        (|k| k.identities[0].name = String::new(), "must be there, and once only"),
        (|k| k.trusted_root = "/etc/root.json".to_owned(), "names no place"),
    ] {
        let refused = with(oci, change).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    let refused = with("https://git.example/fleet.git", |_| {}).unwrap_err();
    assert!(refused.contains("`oci://` only"), "{refused}");
}

//! Manifests and charts from a registry and from a Helm repository.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::Engine;
use model::source::{Signer, SourceVerify};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

use super::{
    registry::{Registry, archive, digest},
    server::Server,
    *,
};

pub(super) fn quick() -> SourceLimits {
    SourceLimits { registry_interval: Duration::from_millis(20), ..limits() }
}

pub(super) fn of(registry: &Registry, repository: &str, reference: &str) -> SourceConfig {
    let mut config = config(&registry.url(repository), reference);
    config.auth.ca = file(&registry.ca);
    config
}

pub(super) async fn until_digest(sources: &Sources, digest: &str) -> SourceStatus {
    let plain = digest.strip_prefix("sha256:").unwrap_or(digest).to_owned();
    let at = |status: &SourceStatus| {
        status.state.reason().is_none()
            && status.revision.as_ref().is_some_and(|r| r.commit.as_str() == plain)
    };
    until(sources, &format!("at {digest}"), at).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_followed_over_a_restart_and_while_the_registry_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let first = registry.push_files("fleet/apps", "latest", &[("apps/web/a.yaml", "a: 1\n")]).await;
    let sources = start(dir.path(), quick());
    sources.add(of(&registry, "fleet/apps", "latest")).unwrap();
    let status = until_digest(&sources, &first).await;
    assert_eq!(status.revision.unwrap().to_string(), format!("latest@{first}"));
    assert_eq!(read(&sources, "apps/web/a.yaml"), "a: 1\n");
    let looks = sources.status(&name()).unwrap().looks;
    let status = until(&sources, "more looks", |status| status.looks > looks + 5).await;
    assert_eq!(status.fetches, 1, "what did not change is not fetched");
    let second =
        registry.push_files("fleet/apps", "latest", &[("apps/web/a.yaml", "a: 2\n")]).await;
    until_digest(&sources, &second).await;
    assert_eq!(read(&sources, "apps/web/a.yaml"), "a: 2\n");
    registry.kill();
    let status = until_reason(&sources, Reason::OciUnreachable).await;
    assert_eq!(status.revision.unwrap().to_string(), format!("latest@{second}"));
    sources.stop().await;
    let sources = start(dir.path(), quick());
    sources.add(of(&registry, "fleet/apps", "latest")).unwrap();
    until_reason(&sources, Reason::OciUnreachable).await;
    assert_eq!(read(&sources, "apps/web/a.yaml"), "a: 2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_digests_are_followed_and_what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let sources = start(dir.path(), quick());
    let first = registry.push_files("apps", "1.2.0", &[("a.yaml", "a: 1\n")]).await;
    let second = registry.push_files("apps", "1.10.0", &[("a.yaml", "a: 2\n")]).await;
    registry.push_files("apps", "2.0.0", &[("a.yaml", "a: 3\n")]).await;
    sources.add(of(&registry, "apps", "semver:^1")).unwrap();
    let status = until_digest(&sources, &second).await;
    assert_eq!(status.revision.unwrap().reference, "1.10.0");
    sources.add(of(&registry, "apps", &first)).unwrap();
    until_digest(&sources, &first).await;
    assert_eq!(read(&sources, "a.yaml"), "a: 1\n");
    for (repository, reference, says) in [
        ("apps", "nightly", "no tag `nightly`"),
        ("apps", "semver:^7", "no version of `^7`"),
        ("nothing", "latest", "no tag `latest`"),
    ] {
        sources.add(of(&registry, repository, reference)).unwrap();
        let status = until_reason(&sources, Reason::OciNotFound).await;
        assert!(status.state.message().contains(says), "{:?}", status.state);
        assert!(sources.snapshot(&name()).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_an_account_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), true) else { return };
    let pushed = registry.push_files("apps", "1.0.0", &[("a.yaml", "a: 1\n")]).await;
    let sources = start(dir.path(), quick());
    let mut config = of(&registry, "apps", "1.0.0");
    sources.add(config.clone()).unwrap();
    let status = until_reason(&sources, Reason::OciAuthFailed).await;
    assert!(status.state.message().contains("wants credentials"), "{:?}", status.state);
    let credentials = dir.path().join("credentials");
    config.auth.credentials = file(&credentials);
    fs::write(&credentials, "ada:hunter2").unwrap();
    sources.add(config).unwrap();
    let says = |s: &SourceStatus| s.state.message().contains("refuses access");
    let status = until(&sources, "refused", says).await;
    assert!(!status.state.message().contains("hunter2"));
    fs::write(&credentials, "ada:secret").unwrap();
    until_digest(&sources, &pushed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_registry_loses_the_folder_round_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let packed = archive(&[("web/Chart.yaml", "name: web\n"), ("web/templates/a.yaml", "a: 1\n")]);
    let layer = registry.blob("charts/web", kind, &packed).await;
    let pushed = registry.push("charts/web", "1.0.0", vec![layer]).await;
    let sources = start(dir.path(), quick());
    sources.add(of(&registry, "charts/web", "semver:*")).unwrap();
    until_digest(&sources, &pushed).await;
    assert_eq!(read(&sources, "Chart.yaml"), "name: web\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_none_or_leaves_its_folder_is_refused_and_the_last_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let sources = start(dir.path(), quick());
    let good = registry.push_files("apps", "latest", &[("a.yaml", "a: 1\n")]).await;
    sources.add(of(&registry, "apps", "latest")).unwrap();
    until_digest(&sources, &good).await;
    let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
    let garbage = registry.blob("apps", tar, b"this is no archive").await;
    let nameless = registry.blob("apps", "text/plain", b"hello").await;
    for (layer, says) in [(garbage, "cannot be unpacked"), (nameless, "without a name")] {
        registry.push("apps", "latest", vec![layer]).await;
        let says_so = |status: &SourceStatus| status.state.message().contains(says);
        let status = until(&sources, says, says_so).await;
        assert_eq!(status.state.reason(), Some(Reason::OciInvalid));
        assert_eq!(status.revision.unwrap().to_string(), format!("latest@{good}"));
        assert_eq!(read(&sources, "a.yaml"), "a: 1\n");
    }
}

/// What `cosign sign --key` writes.
async fn cosign(registry: &Registry, repository: &str, of: &str, says: &str, pair: &EcdsaKeyPair) {
    let statement = format!(
        "{{\"critical\":{{\"identity\":{{}},\"image\":{{\"docker-manifest-digest\":\"{says}\"}},\
         \"type\":\"cosign container image signature\"}},\"optional\":null}}"
    );
    let tag = pair.sign(&SystemRandom::new(), statement.as_bytes()).unwrap();
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    let mut layer = registry.blob(repository, kind, statement.as_bytes()).await;
    let text = base64::engine::general_purpose::STANDARD.encode(tag.as_ref());
    layer["annotations"] = serde_json::json!({"dev.cosignproject.cosign/signature": text});
    let name = format!("sha256-{}.sig", of.strip_prefix("sha256:").unwrap());
    registry.push(repository, &name, vec![layer]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_taken_only_with_the_cosign_signature_of_a_trusted_key() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let pair = || {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::from_pkcs8(kind, &key.serialize_der(), &random).unwrap();
        (key.public_key_pem(), pair)
    };
    let ((ada, ada_pair), (_, eve_pair)) = (pair(), pair());
    let pushed = registry.push_files("apps", "1.0.0", &[("a.yaml", "a: 1\n")]).await;
    let signer = Signer { name: "ada".to_owned(), key: ada, valid_from: None, valid_until: None };
    let verify = Some(SourceVerify { signers: vec![signer], ..SourceVerify::default() });
    let sources = start(dir.path(), quick());
    sources.add(SourceConfig { verify, ..of(&registry, "apps", "1.0.0") }).unwrap();
    until_reason(&sources, Reason::CommitUnsigned).await;
    cosign(&registry, "apps", &pushed, &pushed, &eve_pair).await;
    until_reason(&sources, Reason::SignatureRefused).await;
    // Genuine, and about something else.
    cosign(&registry, "apps", &pushed, &digest(b"other"), &ada_pair).await;
    let looks = sources.status(&name()).unwrap().looks;
    let status = until(&sources, "more looks", |status| status.looks > looks + 3).await;
    assert_eq!(status.state.reason(), Some(Reason::SignatureRefused));
    assert!(sources.snapshot(&name()).is_none());
    cosign(&registry, "apps", &pushed, &pushed, &ada_pair).await;
    let status = until_digest(&sources, &pushed).await;
    assert!(status.signed_by.unwrap().starts_with("ada ("));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_helm_repository_is_followed_by_version_and_checked_by_digest() {
    let dir = tempfile::tempdir().unwrap();
    let packed = |text: &str| archive(&[("web/Chart.yaml", text)]);
    let index = |entries: &[(&str, &[u8])]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(version, bytes)| {
                format!(
                    "  - {{name: web, version: {version}, digest: {}, urls: [web-{version}.tgz]}}\n",
                    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
                )
            })
            .collect();
        format!("apiVersion: v1\nentries:\n  web:\n{}", entries.concat()).into_bytes()
    };
    let (one, two) = (packed("version: 1.0.0\n"), packed("version: 1.1.0\n"));
    let files = Arc::new(Mutex::new(std::collections::BTreeMap::from([
        ("/charts/index.yaml", index(&[("1.0.0", &one)])),
        ("/charts/web-1.0.0.tgz", one.clone()),
        ("/charts/web-1.1.0.tgz", two.clone()),
    ])));
    let shelf = files.clone();
    let server = Server::start_answering(move |head| {
        shelf.lock().unwrap().get(head.uri.path()).map_or((404, Vec::new()), |b| (200, b.clone()))
    })
    .await;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &server.root).unwrap();
    let follow = |chart: &str, reference: &str| {
        let url = format!("https://127.0.0.1:{}/charts", server.port);
        let mut config = config(&url, reference);
        config.chart = Some(chart.to_owned());
        config.auth.ca = file(&ca);
        config
    };
    let sources = start(dir.path(), quick());
    sources.add(follow("web", "semver:^1")).unwrap();
    until_digest(&sources, &digest(&one)).await;
    assert_eq!(read(&sources, "Chart.yaml"), "version: 1.0.0\n");
    files.lock().unwrap().insert("/charts/index.yaml", index(&[("1.0.0", &one), ("1.1.0", &two)]));
    let status = until_digest(&sources, &digest(&two)).await;
    assert_eq!(status.revision.unwrap().reference, "1.1.0");
    // Another file under the digest of the index.
    let three = packed("version: 1.2.0\n");
    let all = [("1.1.0", two.as_slice()), ("1.2.0", three.as_slice())];
    files.lock().unwrap().insert("/charts/index.yaml", index(&all));
    files.lock().unwrap().insert("/charts/web-1.2.0.tgz", packed("evil\n"));
    let status = until_reason(&sources, Reason::OciInvalid).await;
    assert!(status.state.message().contains("does not fit the digest"), "{:?}", status.state);
    assert_eq!(read(&sources, "Chart.yaml"), "version: 1.1.0\n");
    for (chart, reference) in [("db", "semver:*"), ("web", "9.9.9")] {
        sources.add(follow(chart, reference)).unwrap();
        until_reason(&sources, Reason::OciNotFound).await;
    }
    files.lock().unwrap().insert("/charts/index.yaml", b"<html>".to_vec());
    sources.add(follow("web", "1.0.0")).unwrap();
    until_reason(&sources, Reason::OciInvalid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_hands_out_tokens_is_asked_for_one_and_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let packed = archive(&[("a.yaml", "a: 1\n")]);
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest(&packed), "size": packed.len(),
        }],
    }))
    .unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, named) = (asked.clone(), digest(&manifest));
    let port = Arc::new(Mutex::new(0));
    let known = port.clone();
    let (wanted, bytes) = (named.clone(), packed.clone());
    let server = Server::start_answering_with(move |head| {
        let given = head.headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or("");
        let path = head.uri.path();
        heard.lock().unwrap().push(format!("{path} {given}"));
        if path == "/token" {
            let query = head.uri.query().unwrap_or_default();
            assert!(query.contains("scope=repository%3Aapps%3Apull"), "{query}");
            let account = base64::engine::general_purpose::STANDARD.encode("ada:secret");
            let fits = given == format!("Basic {account}");
            let body = br#"{"token":"t0ken","expires_in":300}"#.to_vec();
            return if fits { (200, Vec::new(), body) } else { (401, Vec::new(), Vec::new()) };
        }
        if given != "Bearer t0ken" {
            let port = *known.lock().unwrap();
            let how = format!(
                "Bearer realm=\"https://127.0.0.1:{port}/token\",service=\"r\",scope=\"repository:apps:pull\""
            );
            return (401, vec![("www-authenticate", how)], Vec::new());
        }
        let headers = vec![("docker-content-digest", wanted.clone())];
        match path.split('/').nth(3) {
            Some("manifests") => (200, headers, manifest.clone()),
            Some("blobs") => (200, Vec::new(), bytes.clone()),
            _ => (404, Vec::new(), Vec::new()),
        }
    })
    .await;
    *port.lock().unwrap() = server.port;
    let (ca, credentials) = (dir.path().join("ca.pem"), dir.path().join("credentials"));
    fs::write(&ca, &server.root).unwrap();
    fs::write(&credentials, "ada:secret").unwrap();
    let mut config = config(&format!("oci://127.0.0.1:{}/apps", server.port), "latest");
    config.auth.ca = file(&ca);
    config.auth.credentials = file(&credentials);
    let sources = start(dir.path(), quick());
    sources.add(config).unwrap();
    until_digest(&sources, &named).await;
    until(&sources, "20 looks", |status| status.looks >= 20).await;
    let asked = asked.lock().unwrap();
    assert_eq!(asked.iter().filter(|line| line.starts_with("/token")).count(), 1);
    let basic = asked.iter().filter(|line| line.contains("Basic") && !line.starts_with("/token"));
    assert_eq!(basic.count(), 0, "the account goes to the place of tokens only");
}

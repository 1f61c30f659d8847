//! Tokens of a GitHub App, from a double of GitHub's API.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::Engine;
use model::source::GithubApp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::{server::Server, trouble::https, *};

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test(flavor = "multi_thread")]
async fn an_app_makes_its_tokens_keeps_them_and_renews_what_was_refused() {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let here = https(Some(&base64("x-access-token:first"))).await;
    let key = here.dir.path().join("app.pem");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success());
    let pem = fs::read_to_string(&key).unwrap();
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let der =
        <rustls_pki_types::PrivateKeyDer<'_> as rustls_pki_types::pem::PemObject>::from_pem_slice(
            pem.as_bytes(),
        )
        .unwrap();
    let rustls_pki_types::PrivateKeyDer::Pkcs1(der) = der else { panic!("PKCS#1 was asked for") };
    let pair = ring::signature::RsaKeyPair::from_der(der.secret_pkcs1_der()).unwrap();
    let public = ring::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let (token, asked) = (Arc::new(Mutex::new("first")), Arc::new(Mutex::new(0)));
    let (given, count) = (token.clone(), asked.clone());
    let github = Server::start_answering(move |head| {
        if head.uri.path() != "/app/installations/42/access_tokens" {
            return (404, Vec::new());
        }
        *count.lock().unwrap() += 1;
        let statement = head.headers["authorization"].to_str().unwrap();
        let statement = statement.strip_prefix("Bearer ").unwrap();
        let (text, tag) = statement.rsplit_once('.').unwrap();
        let decode =
            |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
        if key.verify(text.as_bytes(), &decode(tag)).is_err() {
            return (401, Vec::new());
        }
        let claims: serde_json::Value =
            serde_json::from_slice(&decode(text.split_once('.').unwrap().1)).unwrap();
        assert_eq!(claims["iss"], "7");
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 600);
        let until = Clock::system().now() + Duration::from_hours(1);
        let token = *given.lock().unwrap();
        (201, format!("{{\"token\":\"{token}\",\"expires_at\":\"{until}\"}}").into_bytes())
    })
    .await;
    // One file with the roots of both servers.
    let roots = here.dir.path().join("roots.pem");
    fs::write(&roots, format!("{}{}", here.server.root, github.root)).unwrap();
    let mut config = here.config();
    config.auth.ca = file(&roots);
    let app = |installation: &str| {
        Some(GithubApp {
            app_id: "7".to_owned(),
            installation_id: installation.to_owned(),
            key: file(&key).unwrap(),
            api_url: Some(format!("https://127.0.0.1:{}", github.port)),
        })
    };
    config.auth.github_app = app("43");
    let sources = start(here.dir.path(), limits());
    sources.add(config.clone()).unwrap();
    let status = until_reason(&sources, Reason::GitAuthFailed).await;
    assert!(status.state.message().contains("no such installation"), "{:?}", status.state);
    config.auth.github_app = app("42");
    sources.add(config).unwrap();
    until_at(&sources, &here.repository.head()).await;
    until(&sources, "20 looks", |status| status.looks >= 20).await;
    assert_eq!(*asked.lock().unwrap(), 1, "a token is kept as long as it counts");
    *token.lock().unwrap() = "second";
    here.server.account(&base64("x-access-token:second"));
    let commit = here.repository.commit("a.txt", "2");
    until_at(&sources, &commit).await;
    assert_eq!(*asked.lock().unwrap(), 2);
}

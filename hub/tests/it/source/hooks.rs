//! Hints from forges, through the endpoint of a whole hub.

use hub::{config::Serve, run};
use ring::hmac;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_hint_leads_to_a_look_and_nothing_else_does() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let serve =
        Serve { poll: Duration::from_hours(1), ..Serve::on_loopback(dir.path().join("hub")) };
    let running = run::start(&serve, Clock::system()).await.unwrap();
    let base = format!("http://{}", running.http);
    let token = std::fs::read_to_string(dir.path().join("hub/admin.token")).unwrap();
    let client = reqwest::Client::new();
    let body = serde_json::json!({
        "name": "fleet", "url": repository.url(), "ref": "main",
        "webhook": {"provider": "github", "secret": format!("file:{}", secret.display())},
    });
    let added = client.post(format!("{base}/api/v1/sources")).bearer_auth(token.trim()).json(&body);
    let added = added.send().await.unwrap();
    assert!(added.status().is_success(), "{}", added.text().await.unwrap());
    let revision = || async {
        let list = client.get(format!("{base}/api/v1/sources")).bearer_auth(token.trim());
        let list: serde_json::Value = list.send().await.unwrap().json().await.unwrap();
        list["items"][0]["revision"].as_str().unwrap_or_default().to_owned()
    };
    let begin = std::time::Instant::now();
    while !revision().await.contains(repository.head().as_str()) {
        assert!(begin.elapsed() < PATIENCE);
    }
    let commit = repository.commit("a.txt", "2");
    let text = br#"{"ref":"refs/heads/main"}"#;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2");
    let tag = format!("sha256={}", hex::encode(hmac::sign(&key, text)));
    let hint = |source: &str, tag: &str, text: Vec<u8>| {
        let request = client.post(format!("{base}/hooks/v1/{source}"));
        request.header("x-hub-signature-256", tag).body(text).send()
    };
    for (source, tag) in [("fleet", "sha256=00"), ("other", tag.as_str()), ("-", tag.as_str())] {
        assert_eq!(hint(source, tag, text.to_vec()).await.unwrap().status(), 401, "{source}");
    }
    assert_eq!(hint("fleet", &tag, vec![0; (1 << 20) + 1]).await.unwrap().status(), 413);
    assert!(!revision().await.contains(commit.as_str()));
    assert_eq!(hint("fleet", &tag, text.to_vec()).await.unwrap().status(), 202);
    let begin = std::time::Instant::now();
    while !revision().await.contains(commit.as_str()) {
        assert!(begin.elapsed() < PATIENCE, "the hint led to no look");
    }
    let again = hint("fleet", &tag, text.to_vec()).await.unwrap();
    assert_eq!(again.status(), 202);
    assert!(again.text().await.unwrap().contains("before"), "a replay is told and changes nothing");
    running.stop().await.unwrap();
}

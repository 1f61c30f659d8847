//! How the hub proves itself over HTTPS, what it never tells, and how it behaves towards the server.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::Engine;
use hub::source::{KubernetesApi, Surroundings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    server::{Mood, Server},
    trouble::https,
    *,
};

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_checked_and_renewed_without_a_restart() {
    let here = https(Some(&base64("ada:secret"))).await;
    let credentials = here.dir.path().join("credentials");
    let sources = start(here.dir.path(), limits());
    sources.add(here.config()).unwrap();
    let status = until_reason(&sources, Reason::GitAuthFailed).await;
    assert!(status.state.message().contains("the source has none"), "{:?}", status.state);
    let mut config = here.config();
    config.auth.credentials = file(&credentials);
    for (text, reason, says) in [
        (":hunter2", Reason::SecretUnreadable, "neither `user:password` nor a token"),
        ("ada:hunter2\n", Reason::GitAuthFailed, "refuses access (401)"),
    ] {
        fs::write(&credentials, text).unwrap();
        sources.add(config.clone()).unwrap();
        let status = until_reason(&sources, reason).await;
        assert!(status.state.message().contains(says), "{:?}", status.state);
        assert!(!status.state.message().contains("hunter2"), "{:?}", status.state);
    }
    fs::write(&credentials, "ada:secret\n").unwrap();
    until_at(&sources, &here.repository.head()).await;
    fs::remove_file(&credentials).unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("cannot be read"), "{:?}", status.state);
    fs::write(&credentials, "ada:renewed\n").unwrap();
    here.server.account(&base64("ada:renewed"));
    until_at(&sources, &here.repository.head()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_alone_is_enough_and_may_come_from_the_environment() {
    // Cargo sets the variable for every test; its value plays the token.
    let here = https(Some(&base64("x-access-token:hub"))).await;
    let sources = start(here.dir.path(), limits());
    let mut config = here.config();
    config.auth.credentials = Some("env:CARGO_PKG_NAME".to_owned());
    sources.add(config.clone()).unwrap();
    until_at(&sources, &here.repository.head()).await;
    config.auth.credentials = Some("env:NO_SUCH_VARIABLE".to_owned());
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("`env:NO_SUCH_VARIABLE`"), "{:?}", status.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_out_with_the_first_request_and_connections_are_kept() {
    let here = https(Some(&base64("ada:secret"))).await;
    let credentials = here.dir.path().join("credentials");
    fs::write(&credentials, "ada:secret").unwrap();
    let sources = start(here.dir.path(), limits());
    let mut config = here.config();
    config.auth.credentials = file(&credentials);
    sources.add(config).unwrap();
    until(&sources, "20 looks", |status| status.looks >= 20).await;
    let (looks, requests) = (here.server.count("ls-refs"), here.server.requests());
    assert!(requests <= 2 * looks + 4, "{requests} requests for {looks} looks");
    assert!(here.server.connections() <= 3, "{} connections", here.server.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_opens_a_server_that_wants_one() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["hub.example".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let server = Server::start_for(dir.path(), None, Some(roots)).await;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &server.root).unwrap();
    let sources = start(dir.path(), limits());
    let mut config = config(&server.url("repo"), "main");
    config.auth.ca = file(&ca);
    sources.add(config.clone()).unwrap();
    let status = until_reason(&sources, Reason::GitTlsFailed).await;
    assert!(status.state.message().contains("CertificateRequired"), "{:?}", status.state);
    let pair = dir.path().join("client.pem");
    config.auth.client_certificate = file(&pair);
    fs::write(&pair, certificate.pem()).unwrap();
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("client.pem"), "{:?}", status.state);
    fs::write(&pair, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
    until_at(&sources, &repository.head()).await;
}

/// A proxy that opens tunnels for whoever shows `account`; keeps the heads of what it was asked.
async fn proxy(account: &str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, wanted) = (asked.clone(), format!("Basic {}", base64(account)));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (heard, wanted) = (heard.clone(), wanted.clone());
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n\r\n") {
                    bytes.push(client.read_u8().await.unwrap());
                }
                let request = String::from_utf8(bytes).unwrap();
                heard.lock().unwrap().push(request.clone());
                if !request.contains(&wanted) {
                    let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                    client.write_all(refusal).await.unwrap();
                    return;
                }
                let to = request.split(' ').nth(1).unwrap();
                let mut server = TcpStream::connect(to).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_used_with_credentials_of_its_own() {
    let here = https(Some(&base64("ada:secret"))).await;
    let (port, asked) = proxy("proxy:hunter2").await;
    let (own, other) = (here.dir.path().join("own"), here.dir.path().join("proxy"));
    fs::write(&own, "ada:secret").unwrap();
    let sources = start(here.dir.path(), limits());
    let mut config = here.config();
    config.auth.credentials = file(&own);
    config.auth.proxy = Some(format!("http://127.0.0.1:{port}"));
    sources.add(config.clone()).unwrap();
    let status = until_reason(&sources, Reason::GitAuthFailed).await;
    assert!(status.state.message().contains("the proxy refuses access"), "{:?}", status.state);
    fs::write(&other, "proxy:hunter2").unwrap();
    config.auth.proxy_credentials = file(&other);
    sources.add(config).unwrap();
    until_at(&sources, &here.repository.head()).await;
    let asked = asked.lock().unwrap().join("");
    assert!(!asked.contains(&base64("ada:secret")), "the proxy never sees what is for the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubernetes_secret_is_read_in_the_hubs_own_namespace_only() {
    let here = https(Some(&base64("ada:secret"))).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let api = Server::start_answering(move |head| {
        heard.lock().unwrap().push(head.uri.path().to_owned());
        let token = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        if token != Some("Bearer pod-token") {
            return (401, b"who are you?".to_vec());
        }
        match head.uri.path() {
            "/api/v1/namespaces/tidegate/secrets/fleet" => {
                let data = base64("ada:secret");
                (
                    200,
                    format!("{{\"kind\":\"Secret\",\"data\":{{\"login\":\"{data}\"}}}}")
                        .into_bytes(),
                )
            }
            "/api/v1/namespaces/tidegate/secrets/forbidden" => (403, Vec::new()),
            _ => (404, Vec::new()),
        }
    })
    .await;
    let pod = here.dir.path().join("pod");
    fs::create_dir_all(&pod).unwrap();
    fs::write(pod.join("ca.crt"), &api.root).unwrap();
    fs::write(pod.join("token"), "pod-token").unwrap();
    let kubernetes = KubernetesApi {
        url: format!("https://127.0.0.1:{}", api.port),
        namespace: "tidegate".to_owned(),
        token_file: pod.join("token"),
        ca_file: pod.join("ca.crt"),
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    let own = here.dir.path().join("sources");
    let beside = Surroundings { own, kubernetes: Some(kubernetes) };
    let sources =
        Sources::start_beside(here.dir.path(), Clock::system(), limits(), beside).unwrap();
    let mut config = here.config();
    for (place, says) in [
        ("secret:nothing/login", "namespace `tidegate` has no such Secret"),
        ("secret:forbidden/login", "the hub may not read it in namespace `tidegate`"),
        ("secret:fleet/other", "it has no such key"),
    ] {
        config.auth.credentials = Some(place.to_owned());
        sources.add(config.clone()).unwrap();
        let says = |status: &SourceStatus| status.state.message().contains(says);
        let status = until(&sources, place, says).await;
        assert_eq!(status.state.reason(), Some(Reason::SecretUnreadable));
    }
    config.auth.credentials = Some("secret:fleet/login".to_owned());
    sources.add(config).unwrap();
    until_at(&sources, &here.repository.head()).await;
    let reads = || asked.lock().unwrap().iter().filter(|path| path.ends_with("/fleet")).count();
    let before = reads();
    let looks = sources.status(&name()).unwrap().looks;
    until(&sources, "20 more looks", |status| status.looks >= looks + 20).await;
    assert_eq!(reads(), before, "what was read is kept for a while");
    here.server.account(&base64("ada:renewed"));
    until_reason(&sources, Reason::GitAuthFailed).await;
    until(&sources, "read again", |_| reads() > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_own_files_are_nobodys_credentials() {
    let here = https(Some(&base64("x-access-token:admin"))).await;
    fs::create_dir_all(here.dir.path().join("sources")).unwrap();
    let own = here.dir.path().join("sources/admin.token");
    fs::write(&own, "admin").unwrap();
    let link = here.dir.path().join("link");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    let sources = start(here.dir.path(), limits());
    for path in [&own, &link] {
        let mut config = here.config();
        config.auth.credentials = file(path);
        sources.add(config).unwrap();
        let status = until_reason(&sources, Reason::SecretUnreadable).await;
        assert!(status.state.message().contains("the hub's own data"), "{:?}", status.state);
    }
    assert_eq!(here.server.requests(), 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_within_the_server_and_never_with_credentials_to_another() {
    let here = https(Some(&base64("ada:secret"))).await;
    let credentials = here.dir.path().join("credentials");
    fs::write(&credentials, "ada:secret").unwrap();
    fs::rename(here.dir.path().join("repo"), here.dir.path().join("new")).unwrap();
    here.server.mood(Mood::Moved("/new/.git"));
    let sources = start(here.dir.path(), limits());
    let mut config = here.config();
    config.auth.credentials = file(&credentials);
    sources.add(config.clone()).unwrap();
    let moved = Repository { dir: here.dir.path().join("new") };
    until_at(&sources, &moved.head()).await;
    let other = Arc::new(Mutex::new(0));
    let count = other.clone();
    let thief = Server::start_answering(move |_| {
        *count.lock().unwrap() += 1;
        (200, Vec::new())
    })
    .await;
    let to = format!("https://127.0.0.1:{}/new", thief.port);
    here.server.mood(Mood::Moved(to.leak()));
    let status = until_reason(&sources, Reason::SourceMoved).await;
    assert!(status.state.message().contains(&thief.port.to_string()), "{:?}", status.state);
    assert_eq!(*other.lock().unwrap(), 0, "the other server was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_the_server_asks_for_is_kept_also_when_poked() {
    let here = https(None).await;
    let sources = start(here.dir.path(), limits());
    sources.add(here.config()).unwrap();
    until_at(&sources, &here.repository.head()).await;
    here.server.mood(Mood::Limited(3600));
    let status = until_reason(&sources, Reason::SourceRateLimited).await;
    let next = status.state.next.unwrap().at.unwrap();
    let wait = next.duration_since(Clock::system().now());
    assert!(wait.as_secs() > 3500, "the next look is in {wait}");
    here.server.mood(Mood::Good);
    let requests = here.server.requests();
    for _ in 0..50 {
        sources.poke(&name());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(here.server.requests(), requests);
    assert_eq!(status.revision.unwrap().commit, here.repository.head());
}

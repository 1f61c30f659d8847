//! A Git server over HTTPS on loopback that can be told to misbehave.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Serves the repositories.
    Good,
    /// Answers with this code.
    Code(u16),
    /// Answers 200 with a page for people.
    Page,
    /// Never answers.
    Silent,
    /// Cuts packs off in the middle.
    Cut,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The root that signed the server's certificate, in PEM form.
    pub(crate) root: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    root: PathBuf,
    account: Option<String>,
    mood: Mutex<Mood>,
    /// Bodies of the requests so far; a look has `ls-refs`, a fetch has `fetch`.
    commands: Mutex<Vec<String>>,
}

impl Server {
    /// Serves the repositories below `root`; `account` is `user:password` in base64, when one is asked for.
    pub(crate) async fn start(root: &Path, account: Option<&str>) -> Server {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        let secret = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            account: account.map(|account| format!("Basic {account}")),
            mood: Mutex::new(Mood::Good),
            commands: Mutex::new(Vec::new()),
        });
        let task =
            tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), shared.clone()));
        Server { port, root: certificate.pem(), shared, task }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}/.git", self.port)
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// How many requests carried this Git command.
    pub(crate) fn count(&self, command: &str) -> usize {
        let line = format!("command={command}");
        self.shared.commands.lock().unwrap().iter().filter(|body| body.contains(&line)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(stream, acceptor.clone(), shared.clone()));
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that goes away in the middle is no fault of this test.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let command = String::from_utf8_lossy(&body).into_owned();
    shared.commands.lock().unwrap().push(command.clone());
    let mood = *shared.mood.lock().unwrap();
    match mood {
        Mood::Code(code) => return plain(code, "no"),
        Mood::Page => return plain(200, "<html>Welcome</html>"),
        Mood::Silent => std::future::pending::<()>().await,
        Mood::Good | Mood::Cut => {}
    }
    let given = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    if shared.account.is_some() && shared.account.as_deref() != given {
        let mut refusal = plain(401, "who are you?");
        let basic = http::HeaderValue::from_static("Basic realm=\"git\"");
        refusal.headers_mut().insert("www-authenticate", basic);
        return refusal;
    }
    let mut response = backend(&shared.root, &head, &body).await;
    if mood == Mood::Cut && command.contains("command=fetch") {
        let whole = response.into_body().collect().await.unwrap().to_bytes();
        let mut cut = Response::new(Full::new(whole.slice(..whole.len() - 40)));
        let kind = http::HeaderValue::from_static("application/x-git-upload-pack-result");
        cut.headers_mut().insert("content-type", kind);
        response = cut;
    }
    response
}

fn plain(code: u16, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// Runs Git's own CGI program.
async fn backend(root: &Path, head: &http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the git program runs");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(body).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(&output[end + 4..])));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name == "Status" {
            let code = value.split(' ').next().unwrap().parse().unwrap();
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
        } else {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    response
}

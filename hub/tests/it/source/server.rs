//! A Git server over HTTPS on loopback that can be told to misbehave.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
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
    /// Answers 429 and asks for a pause of so many seconds.
    Limited(u32),
    /// Sends to another place: the path below this server, or another server.
    Moved(&'static str),
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
    account: Mutex<Option<String>>,
    mood: Mutex<Mood>,
    /// Bodies of the requests so far; a look has `ls-refs`, a fetch has `fetch`.
    commands: Mutex<Vec<String>>,
    connections: AtomicUsize,
    answer: Mutex<Option<Answer>>,
}

/// Code, headers, body.
type Told = (u16, Vec<(&'static str, String)>, Vec<u8>);

type Answer = Arc<dyn Fn(&http::request::Parts) -> Told + Send + Sync>;

impl Server {
    /// Serves the repositories below `root`; `account` is `user:password` in base64, when one is asked for.
    pub(crate) async fn start(root: &Path, account: Option<&str>) -> Server {
        Server::start_for(root, account, None).await
    }

    /// As [`Server::start`]; with roots of clients, only whoever shows a certificate of theirs is served.
    pub(crate) async fn start_for(
        root: &Path,
        account: Option<&str>,
        clients: Option<rustls::RootCertStore>,
    ) -> Server {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        let secret = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .unwrap(),
            ),
        };
        let config = builder.with_single_cert(chain, secret).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            account: Mutex::new(account.map(|account| format!("Basic {account}"))),
            mood: Mutex::new(Mood::Good),
            commands: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            answer: Mutex::new(None),
        });
        let task =
            tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), shared.clone()));
        Server { port, root: certificate.pem(), shared, task }
    }

    /// A server that answers as it is told, instead of serving repositories.
    pub(crate) async fn start_answering(
        answer: impl Fn(&http::request::Parts) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Server {
        Server::start_answering_with(move |head| {
            let (code, body) = answer(head);
            (code, Vec::new(), body)
        })
        .await
    }

    /// As [`Server::start_answering`], with headers.
    pub(crate) async fn start_answering_with(
        answer: impl Fn(&http::request::Parts) -> Told + Send + Sync + 'static,
    ) -> Server {
        let server = Server::start(Path::new("/nonexistent"), None).await;
        *server.shared.answer.lock().unwrap() = Some(Arc::new(answer));
        server
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}/.git", self.port)
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Asks for another account from now on.
    pub(crate) fn account(&self, account: &str) {
        *self.shared.account.lock().unwrap() = Some(format!("Basic {account}"));
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.commands.lock().unwrap().len()
    }

    /// Bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
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
        shared.connections.fetch_add(1, Ordering::Relaxed);
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
    let told = shared.answer.lock().unwrap().clone();
    if let Some(told) = told {
        let (code, headers, body) = told(&head);
        let mut response = Response::new(Full::new(Bytes::from(body)));
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        return response;
    }
    let mood = *shared.mood.lock().unwrap();
    match mood {
        Mood::Code(code) => return plain(code, "no"),
        Mood::Limited(seconds) => {
            let mut refusal = plain(429, "slow down");
            refusal.headers_mut().insert("retry-after", seconds.into());
            return refusal;
        }
        Mood::Moved(to) if !head.uri.path().starts_with(to) => {
            let mut answer = plain(301, "elsewhere");
            let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            let rest = head.uri.path().split_once("/.git").map_or("", |(_, rest)| rest);
            let place = format!("{to}{rest}{query}").parse().unwrap();
            answer.headers_mut().insert("location", place);
            return answer;
        }
        Mood::Page => return plain(200, "<html>Welcome</html>"),
        Mood::Silent => std::future::pending::<()>().await,
        Mood::Good | Mood::Cut | Mood::Moved(_) => {}
    }
    let given = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let wanted = shared.account.lock().unwrap().clone();
    if wanted.is_some() && wanted.as_deref() != given {
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

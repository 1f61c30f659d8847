//! HTTPS on loopback for many clusters: `/clusters/NAME` is the API server of the cluster NAME.

mod tls;

use crate::{cluster::Cluster, status::Status};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

type Clusters = Arc<Mutex<BTreeMap<String, Cluster>>>;

/// An HTTPS server on 127.0.0.1, on a port of the system's choice.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    clusters: Clusters,
    authority: tls::Authority,
    certificate: String,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn lock(clusters: &Clusters) -> MutexGuard<'_, BTreeMap<String, Cluster>> {
    clusters.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts serving these clusters.
    pub async fn start(clusters: Vec<Cluster>) -> io::Result<Server> {
        let by_name = clusters.into_iter().map(|cluster| (cluster.name().to_owned(), cluster));
        let clusters: Clusters = Arc::new(Mutex::new(by_name.collect()));
        let authority = tls::authority().map_err(io::Error::other)?;
        Server::listen(SocketAddr::from(([127, 0, 0, 1], 0)), clusters, authority).await
    }

    async fn listen(
        addr: SocketAddr,
        clusters: Clusters,
        authority: tls::Authority,
    ) -> io::Result<Server> {
        let acceptor = tls::acceptor(&authority).map_err(io::Error::other)?;
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, acceptor, clusters.clone(), stopped));
        let certificate = authority.certificate();
        Ok(Server { addr, clusters, authority, certificate, stop, task })
    }

    /// Starts again at the same address with another certificate: of the same authority, or of a new one, which no
    /// client trusts that was told of the old one.
    pub async fn renew(self, new_authority: bool) -> io::Result<Server> {
        let Server { addr, clusters, authority, stop, task, .. } = self;
        stop.send_replace(true);
        let _ended = task.await;
        let authority =
            if new_authority { tls::authority().map_err(io::Error::other)? } else { authority };
        Server::listen(addr, clusters, authority).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves one more cluster, or another one under the same name.
    pub fn add(&self, cluster: Cluster) {
        lock(&self.clusters).insert(cluster.name().to_owned(), cluster);
    }

    /// The base URL of a cluster's API.
    pub fn url(&self, cluster: &str) -> String {
        format!("https://{}/clusters/{cluster}", self.addr)
    }

    /// The certificate that clients must trust, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A kubeconfig with the certificate and the cluster's bearer token. For a cluster that is not
    /// served the token is one that nobody accepts.
    pub fn kubeconfig(&self, cluster: &str) -> String {
        let token = lock(&self.clusters)
            .get(cluster)
            .map_or_else(|| "no-such-cluster".to_owned(), |cluster| cluster.token().to_owned());
        let (url, data) = (self.url(cluster), STANDARD.encode(&self.certificate));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\nclusters:\n- name: {cluster}\n  \
             cluster:\n    server: {url}\n    certificate-authority-data: {data}\nusers:\n- name: \
             {cluster}\n  user:\n    token: {token}\ncontexts:\n- name: {cluster}\n  context:\n    \
             cluster: {cluster}\n    user: {cluster}\n    namespace: default\n"
        )
    }

    /// Stops: closes the port and every connection.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It only ends by being told so; a panic inside has been reported by then.
        let _ended = self.task.await;
    }
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    clusters: Clusters,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, tls.clone(), clusters.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, clusters: Clusters) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let stream = match tls.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a client refused TLS");
            return;
        }
    };
    let service = service_fn(move |request| route(clusters.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

fn refuse(status: &Status) -> Response<Body> {
    let body = Full::new(Bytes::from(status.to_value().to_string()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() =
        http::StatusCode::from_u16(status.code).unwrap_or(http::StatusCode::BAD_REQUEST);
    let content = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content);
    response
}

/// Finds the cluster, checks the token, and passes the request on with the prefix cut off.
async fn route(clusters: Clusters, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let uri = request.uri().clone();
    let rest = uri.path().strip_prefix("/clusters/").unwrap_or_default();
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(cluster) = lock(&clusters).get(name).cloned() else {
        let text = format!("no cluster `{name}` here");
        return Ok(refuse(&Status::new(404, "NotFound", text)));
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) != Some(cluster.token()) {
        return Ok(refuse(&Status::new(401, "Unauthorized", "Unauthorized")));
    }
    let (mut parts, body) = request.into_parts();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    parts.uri = format!("/{path}{query}").parse().map_err(io::Error::other)?;
    cluster.service().call(Request::from_parts(parts, body)).await
}

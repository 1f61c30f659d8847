//! Requests to one API server, and their answers.
//!
//! kube's own retry is off: a write that is repeated behind our back cannot be told from one that was
//! answered. TCP keepalive finds dead connections under quiet watches.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use super::account::Account;
use super::door::Door;
use super::kinds::Discovery;
use super::leash::Leash;
use super::limit::{Cost, Limiter, Permit};
use super::{Error, Reply};
use crate::config::{Kubeconfig, Limits};
use crate::metrics::Metrics;

/// Longest wait for one answer; a watch is not bound by it.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Largest body of one answer, in bytes: a page of 500 objects of 100 kB.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a cluster handle is made of.
#[derive(Debug)]
pub struct Options<'a> {
    /// How to reach it.
    pub kubeconfig: &'a Kubeconfig,
    /// How hard to work it.
    pub limits: &'a Limits,
    /// Where to count.
    pub metrics: Arc<Metrics>,
}

/// One API server.
#[derive(Clone)]
pub struct Cluster {
    door: Arc<Door>,
    limiter: Arc<Limiter>,
    account: Option<Arc<Account>>,
    leash: Option<Arc<Leash>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) discovery: Arc<Discovery>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

/// Form of an answer's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    /// As they are.
    Full,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `PartialObjectMetadataList`.
    MetadataList,
    /// Aggregated discovery.
    Discovery,
}

impl Accept {
    fn header(self) -> &'static str {
        match self {
            Accept::Full => "application/json",
            Accept::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Accept::MetadataList => {
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
            }
            Accept::Discovery => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
            }
        }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) verb: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) accept: Accept,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    pub(super) etag: Option<String>,
}

impl Ask {
    pub(super) fn get(verb: &'static str, path: String, accept: Accept) -> Ask {
        Ask { verb, method: Method::GET, path, accept, body: None, etag: None }
    }

    /// For messages: verb and path, never the body.
    pub(super) fn what(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.verb)
    }

    fn cost(&self) -> Cost {
        if self.method == Method::GET { Cost::Read } else { Cost::Write }
    }

    fn request(&self, account: Option<&Account>) -> Result<Request<Body>, Error> {
        let mut builder = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(http::header::ACCEPT, self.accept.header());
        if let Some(etag) = &self.etag {
            builder = builder.header(http::header::IF_NONE_MATCH, etag);
        }
        for (name, value) in account.into_iter().flat_map(Account::headers) {
            builder = builder.header(name, value);
        }
        let body = match &self.body {
            Some((content_type, bytes)) => {
                builder = builder.header(http::header::CONTENT_TYPE, *content_type);
                Body::from(bytes.clone())
            }
            None => Body::empty(),
        };
        builder.body(body).map_err(|e| Error::Unexpected { what: self.what(), why: e.to_string() })
    }
}

impl Cluster {
    /// Reads the kubeconfig; connects with the first request.
    pub async fn connect(options: Options<'_>) -> Result<Cluster, Error> {
        let door = Arc::new(Door::new(options.kubeconfig).await?);
        let limits = options.limits;
        let limiter = Limiter::new(
            limits.writes_per_second,
            limits.writes_burst,
            limits.reads_per_second,
            limits.in_flight,
        );
        let discovery = Arc::new(Discovery::default());
        Ok(Cluster {
            door,
            limiter,
            account: None,
            leash: None,
            metrics: options.metrics,
            discovery,
        })
    }

    /// The same API server in the name of `account`, over the same connections and under the same limits.
    #[must_use]
    pub fn speaking_for(&self, account: Account) -> Cluster {
        Cluster { account: Some(Arc::new(account)), ..self.clone() }
    }

    /// The same API server, for writes only while `leash` holds.
    pub(super) fn on_leash(&self, leash: Arc<Leash>) -> Cluster {
        Cluster { leash: Some(leash), ..self.clone() }
    }

    /// In whose name requests are made, when not in the agent's own.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Sends one request and reads the whole answer. An error means that the request did not arrive, or
    /// (reads) that it does not matter whether it did; a write without an answer is code 0.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Reply, Error> {
        Ok(self.ask_etag(ask).await?.0)
    }

    pub(super) async fn ask_etag(&self, ask: Ask) -> Result<(Reply, Option<String>), Error> {
        let permit = self.limiter.acquire(ask.cost()).await;
        // After the wait: an agent that slept on must not write.
        if ask.cost() == Cost::Write && self.leash.as_ref().is_some_and(|leash| !leash.holds()) {
            let why = "another agent of this cluster may lead by now".to_owned();
            return Err(Error::Unreachable { what: ask.what(), why });
        }
        let start = Instant::now();
        let got = tokio::time::timeout(ANSWER_MAX, self.exchange(&ask)).await;
        drop(permit);
        let got = got.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", ANSWER_MAX.as_secs());
            Err(Lost { sent: true, why })
        });
        let code = got.as_ref().map_or(0, |(reply, _)| reply.code);
        self.metrics.requested(ask.verb, code, start.elapsed());
        self.limiter.answered(start.elapsed());
        match got {
            Ok((reply, etag)) => {
                if reply.code == 429 {
                    self.limiter.throttled(reply.retry_after);
                }
                Ok((reply, etag))
            }
            Err(lost) if lost.sent && ask.cost() == Cost::Write => {
                let reply = Reply { code: 0, body: Value::Null, text: lost.why, retry_after: None };
                Ok((reply, None))
            }
            Err(lost) => Err(Error::Unreachable { what: ask.what(), why: lost.why }),
        }
    }

    /// Sends a request. When who we are or who the server is was refused, the next one is sent with what the kubeconfig
    /// says by then.
    async fn send(&self, request: Request<Body>) -> Result<http::Response<Body>, kube::Error> {
        let answer = self.door.client().send(request).await;
        let refused = match &answer {
            Ok(answer) => answer.status() == http::StatusCode::UNAUTHORIZED,
            Err(fault) => innermost(fault).contains("certificate"),
        };
        if refused {
            self.door.refused().await;
        }
        answer
    }

    async fn exchange(&self, ask: &Ask) -> Result<(Reply, Option<String>), Lost> {
        let request = ask
            .request(self.account.as_deref())
            .map_err(|e| Lost { sent: false, why: e.to_string() })?;
        let answer = self.send(request).await.map_err(|fault| Lost::of(&fault))?;
        let code = answer.status().as_u16();
        let (head, body) = answer.into_parts();
        let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
        let retry_after = header(http::header::RETRY_AFTER)
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let etag = header(http::header::ETAG).map(str::to_owned);
        let body = http_body_util::Limited::new(body, BODY_BYTES_MAX).collect().await;
        let bytes = body.map_err(|e| Lost { sent: true, why: innermost(&*e) })?.to_bytes();
        let (body, text) = match serde_json::from_slice(&bytes) {
            Ok(body) => (body, String::new()),
            Err(_) => (Value::Null, String::from_utf8_lossy(&bytes).chars().take(512).collect()),
        };
        Ok((Reply { code, body, text, retry_after }, etag))
    }

    /// Starts a request whose answer does not end: the body comes as a stream. The permit is given back
    /// at once, because a watch costs the server no seat once it runs.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<http::Response<Body>, Error> {
        let permit: Permit = self.limiter.acquire(Cost::Read).await;
        let start = Instant::now();
        let request = ask.request(self.account.as_deref())?;
        let got = tokio::time::timeout(ANSWER_MAX, self.send(request)).await;
        drop(permit);
        let answer = match got {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(fault)) => Err(innermost(&fault)),
            Err(_) => Err("no answer".to_owned()),
        };
        let code = answer.as_ref().map_or(0, |a| a.status().as_u16());
        self.metrics.requested(ask.verb, code, start.elapsed());
        if code == 429 {
            self.limiter.throttled(None);
        }
        answer.map_err(|why| Error::Unreachable { what: ask.what(), why })
    }
}

/// No answer.
struct Lost {
    /// Whether the request may have arrived.
    sent: bool,
    why: String,
}

impl Lost {
    fn of(fault: &kube::Error) -> Lost {
        // A connection that was never made carried nothing.
        let mut at: Option<&(dyn StdError + 'static)> = Some(fault);
        let mut sent = true;
        while let Some(cause) = at {
            if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>()
                && client.is_connect()
            {
                sent = false;
            }
            at = cause.source();
        }
        Lost { sent, why: innermost(fault) }
    }
}

/// The cause that says most.
pub(super) fn innermost(fault: &dyn StdError) -> String {
    let mut at = fault;
    while let Some(cause) = at.source() {
        at = cause;
    }
    at.to_string()
}

//! A hub that serves what a test tells it to, over real TLS, and remembers every report.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use model::{
    AppName, Digest, Directive, Epoch, Grant, Manifest, ObjectEntry, ObjectKey, ObjectParts, Phase,
    Reason,
};
use proto::convert::{Directed, GrantOptions, Reported};
use proto::token::{JoinToken, Secret};
use proto::v1::agent_server::{Agent, AgentServer};
use proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use proto::v1::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const FLEET: &str = "0123456789abcdef0123456789abcdef";
/// Longest wait for anything; a machine under load is slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the hub knows.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) content: BTreeMap<Digest, Bytes>,
    pub(crate) directives: BTreeMap<AppName, Directed>,
    pub(crate) reports: Vec<(AppName, model::Report)>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) hellos: Vec<Hello>,
    /// Digests of all that was sent, also within bundles.
    pub(crate) pulled: Vec<Digest>,
    pub(crate) bundles: Bundles,
    /// Whether each bundle that was sent began from a base.
    pub(crate) on_base: Vec<bool>,
    pub(crate) enrolled: BTreeSet<Vec<u8>>,
    pub(crate) refuse_enrolment: Option<Reason>,
    pub(crate) lose_replies: u32,
    pub(crate) renewals: u32,
    pub(crate) recoveries: Vec<RecoverRequest>,
    pub(crate) lose_recoveries: u32,
    pub(crate) facts: Vec<u8>,
    pub(crate) life: Duration,
    pub(crate) term: u64,
    session: Option<(u64, mpsc::Sender<Result<HubMessage, Status>>)>,
    sessions: u64,
}

/// How the hub answers a packed pull.
#[derive(Clone, Copy, Default)]
pub(crate) enum Bundles {
    #[default]
    Right,
    /// As a hub that does not know them: item by item.
    Never,
    /// With another release than the one that was asked for.
    Wrong,
    /// With bytes that are no bundle.
    Noise,
}

pub(crate) struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority { root, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        let (_, root) = x509_parser::parse_x509_certificate(&self.root).unwrap();
        *Digest::of(root.tbs_certificate.subject_pki.raw).as_bytes()
    }

    fn server(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![leaf, self.root.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn agent(&self, csr: &[u8], life: Duration) -> Vec<u8> {
        let csr = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        let mut params = CertificateParams::default();
        let now = time::OffsetDateTime::now_utc();
        // A certificate counts whole seconds: one without a life must have ended in the second before this one.
        let ended = time::Duration::seconds(2);
        let life = time::Duration::try_from(life).unwrap();
        params.not_before = now - time::Duration::hours(1).min(life) - ended;
        params.not_after = now + life - ended;
        params.signed_by(&csr.public_key, &self.issuer).unwrap().der().to_vec()
    }
}

/// Serves until dropped.
#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) book: Arc<Mutex<Book>>,
    authority: Arc<Authority>,
    port: Arc<Mutex<u16>>,
    changed: watch::Sender<u64>,
    stop: Arc<Mutex<Option<tokio_util::sync::CancellationToken>>>,
}

/// Bytes by which an object is named.
pub(crate) fn canonical(object: &Value) -> Bytes {
    Bytes::from(object.to_string())
}

fn key_of(object: &Value) -> ObjectKey {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
    let api = text("/apiVersion");
    ObjectParts {
        group: api.split_once('/').map_or("", |(g, _)| g).to_owned(),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
    .into()
}

impl Hub {
    pub(crate) async fn start() -> Hub {
        Hub::with(Authority::new(), &format!("hub.{FLEET}.internal")).await
    }

    pub(crate) async fn with(authority: Authority, name: &str) -> Hub {
        agent::identity::install_provider();
        let book = Book { term: 1, life: Duration::from_hours(72), ..Book::default() };
        let hub = Hub {
            book: Arc::new(Mutex::new(book)),
            authority: Arc::new(authority),
            port: Arc::default(),
            changed: watch::channel(0).0,
            stop: Arc::default(),
        };
        hub.listen(name).await;
        hub
    }

    /// Binds, at the port of before if there was one.
    pub(crate) async fn listen(&self, name: &str) {
        let port = *self.port.lock().unwrap();
        let listener = loop {
            match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => break listener,
                // the old listener is closing
                Err(_) => tokio::task::yield_now().await,
            }
        };
        *self.port.lock().unwrap() = listener.local_addr().unwrap().port();
        let (chain, key) = self.authority.server(name);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.root.clone()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut config =
            rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
                .with_client_cert_verifier(clients)
                .with_single_cert(chain, key)
                .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (accepted, incoming) = mpsc::channel::<std::io::Result<_>>(16);
        let stop = tokio_util::sync::CancellationToken::new();
        *self.stop.lock().unwrap() = Some(stop.clone());
        let accepting = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = accepting.cancelled() => return,
                    got = listener.accept() => {
                        let Ok((tcp, _)) = got else { continue };
                        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
                        tokio::spawn(async move {
                            if let Ok(stream) = acceptor.accept(tcp).await {
                                drop(accepted.send(Ok(stream)).await);
                            }
                        });
                    }
                }
            }
        });
        let served = tonic::transport::Server::builder()
            .add_service(AgentServer::new(self.clone()))
            .add_service(EnrolmentServer::new(self.clone()))
            .serve_with_incoming(ReceiverStream::new(incoming));
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = served => {}
            }
        });
    }

    /// Gone at once, as by `kill -9`.
    pub(crate) fn stop(&self) {
        if let Some(stop) = self.stop.lock().unwrap().take() {
            stop.cancel();
        }
        if let Some((_, out)) = self.book.lock().unwrap().session.take() {
            drop(out.try_send(Err(Status::unavailable("killed"))));
        }
    }

    pub(crate) fn token(&self, id: u8) -> JoinToken {
        JoinToken {
            token_id: [id; 16],
            secret: Secret::new([7; 32]),
            fleet_id: FLEET.to_owned(),
            endpoints: vec![format!("127.0.0.1:{}", self.port.lock().unwrap())],
            pins: vec![self.authority.pin()],
            expires: i64::MAX,
        }
    }

    /// Content, without a grant.
    pub(crate) fn publish(&self, objects: &[Value]) -> Digest {
        let mut book = self.book.lock().unwrap();
        let mut entries = Vec::new();
        for object in objects {
            let bytes = canonical(object);
            let digest = Digest::of(&bytes);
            let length = u32::try_from(bytes.len()).unwrap();
            entries.push(ObjectEntry { key: key_of(object), digest, bytes: length });
            book.content.insert(digest, bytes);
        }
        let manifest = Manifest::new(entries);
        let digest = manifest.digest();
        book.content.insert(digest, Bytes::from(manifest.canonical()));
        digest
    }

    pub(crate) fn grant(&self, app: &str, epoch: u64, objects: &[Value]) -> Digest {
        self.grant_with(app, epoch, objects, GrantOptions::default())
    }

    pub(crate) fn grant_with(
        &self,
        app: &str,
        epoch: u64,
        objects: &[Value],
        options: GrantOptions,
    ) -> Digest {
        let digest = self.publish(objects);
        let grant = Grant { epoch: Epoch(epoch), digest };
        self.say(app, Directive::Grant(grant), options);
        digest
    }

    pub(crate) fn say(&self, app: &str, directive: Directive, options: GrantOptions) {
        let app = AppName::parse(app).unwrap();
        let directed = Directed { app: app.clone(), directive, options, trace: None };
        let mut book = self.book.lock().unwrap();
        book.directives.insert(app, directed.clone());
        let term = book.term;
        book.send(term, hub_message::Message::Directive(directed.into()));
    }

    /// Waits until the book satisfies `test`.
    pub(crate) async fn until<T>(&self, what: &str, test: impl Fn(&Book) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let look = async {
            loop {
                if let Some(found) = test(&self.book.lock().unwrap()) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        if let Ok(found) = tokio::time::timeout(PATIENCE, look).await {
            found
        } else {
            let book = self.book.lock().unwrap();
            let last: Vec<_> = book.reports.iter().rev().take(3).collect();
            panic!("waited for {what}; last reports: {last:#?}; refused: {:?}", book.refused)
        }
    }

    /// Waits for a report about `epoch` in a phase.
    pub(crate) async fn reported(
        &self,
        app: &str,
        epoch: u64,
        test: impl Fn(&Phase) -> bool,
    ) -> model::Report {
        self.until(&format!("{app} at epoch {epoch}"), |book| {
            let of = book.reports.iter().rev().find(|(a, _)| a.as_str() == app)?;
            (of.1.epoch == Epoch(epoch) && test(&of.1.phase)).then(|| of.1.clone())
        })
        .await
    }

    pub(crate) async fn healthy(&self, app: &str, epoch: u64) -> model::Report {
        self.reported(app, epoch, |phase| *phase == Phase::Healthy).await
    }

    pub(crate) async fn failed(&self, app: &str, epoch: u64) -> (Reason, String) {
        let report = self.reported(app, epoch, |p| matches!(p, Phase::Failed { .. })).await;
        let Phase::Failed { reason, message } = report.phase else { unreachable!() };
        (reason, message)
    }

    /// Time for the agent to do what it should not: four reports of a state that is told every two seconds.
    pub(crate) async fn some_reports_later(&self) {
        let before = self.book.lock().unwrap().reports.len();
        self.until("four reports", |b| (b.reports.len() >= before + 4).then_some(())).await;
    }

    /// Sends as a hub of term `term` would.
    pub(crate) fn send_as(&self, term: u64, message: hub_message::Message) {
        self.book.lock().unwrap().send(term, message);
    }

    fn note(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book.lock().unwrap());
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Book {
    /// A bundle, if one is wanted and this hub makes them.
    fn bundle(&mut self, request: &PullRequest) -> Option<(Vec<u8>, bool)> {
        let digest = |name: &Vec<u8>| Digest::from_bytes(name.clone().try_into().unwrap());
        let manifest = |book: &Book, name| Manifest::parse(book.content.get(&digest(name))?).ok();
        if !request.packed || !request.objects.is_empty() {
            return None;
        }
        let wanted = manifest(self, &request.manifest)?;
        let has_base = !request.base.is_empty();
        let base = has_base.then(|| manifest(self, &request.base)).flatten();
        let wanted = match self.bundles {
            Bundles::Right => wanted,
            Bundles::Never => return None,
            Bundles::Wrong => Manifest::new(wanted.entries()[1..].to_vec()),
            Bundles::Noise => return Some((b"noise".to_vec(), false)),
        };
        let held = base.iter().flat_map(Manifest::entries).map(|e| e.digest);
        let held: BTreeSet<Digest> = held.collect();
        let lacked = wanted.entries().iter().map(|e| e.digest).filter(|d| !held.contains(d));
        let lacked = lacked.filter_map(|d| Some((d, self.content.get(&d)?.clone())));
        let objects: BTreeMap<_, _> = lacked.collect();
        self.pulled.push(digest(&request.manifest));
        self.pulled.extend(objects.keys());
        self.on_base.push(base.is_some());
        let packed = proto::bundle::pack_release(base.as_ref(), &wanted, &objects).unwrap();
        Some((packed, base.is_some()))
    }

    fn send(&mut self, term: u64, message: hub_message::Message) {
        if let Some((epoch, out)) = &self.session {
            let message =
                HubMessage { hub_term: term, session_epoch: *epoch, message: Some(message) };
            drop(out.try_send(Ok(message)));
        }
    }
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Agent for Hub {
    type SessionStream = Out<HubMessage>;
    type PullStream = Out<PullChunk>;

    async fn session(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut up = request.into_inner();
        let (out, down) = mpsc::channel(256);
        let hub = self.clone();
        tokio::spawn(async move {
            let mut mine = 0;
            while let Ok(Some(AgentMessage { message: Some(message) })) = up.message().await {
                hub.note(|book| match message {
                    agent_message::Message::Hello(hello) => {
                        book.hellos.push(hello);
                        book.sessions += 1;
                        mine = book.sessions;
                        book.session = Some((mine, out.clone()));
                        let term = book.term;
                        book.send(
                            term,
                            hub_message::Message::Welcome(Welcome {
                                protocol: 1,
                                hub_time_unix_ms: jiff_now(),
                                cluster_name: "eu-1".to_owned(),
                                heartbeat_seconds: 20,
                                ..Welcome::default()
                            }),
                        );
                        for directed in book.directives.values().cloned().collect::<Vec<_>>() {
                            book.send(term, hub_message::Message::Directive(directed.into()));
                        }
                    }
                    agent_message::Message::Report(report) => {
                        let reported = Reported::try_from(report).unwrap();
                        book.reports.push((reported.app, reported.report));
                    }
                    agent_message::Message::Refused(refused) => book.refused.push(refused),
                    agent_message::Message::Facts(facts) => book.facts = facts.json,
                    agent_message::Message::Synced(_) | agent_message::Message::Heartbeat(_) => {}
                });
            }
            hub.note(|book| {
                if book.session.as_ref().is_some_and(|(epoch, _)| *epoch == mine) {
                    book.session = None;
                }
            });
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(down))))
    }

    async fn pull(
        &self,
        request: Request<PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let request = request.into_inner();
        let mut bundle = None;
        self.note(|book| bundle = book.bundle(&request));
        if let Some((data, on_base)) = bundle {
            let chunk = PullChunk {
                total: data.len() as u64,
                data: data.into(),
                packed: true,
                on_base,
                ..PullChunk::default()
            };
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(chunk)]))));
        }
        let PullRequest { manifest, objects, .. } = request;
        let wanted = if objects.is_empty() { vec![manifest] } else { objects };
        let mut chunks = Vec::new();
        self.note(|book| {
            for name in wanted {
                let digest = Digest::from_bytes(name.clone().try_into().unwrap());
                book.pulled.push(digest);
                let Some(bytes) = book.content.get(&digest) else { continue };
                let total = bytes.len() as u64;
                for data in bytes.chunks(16 * 1024) {
                    let data = Bytes::copy_from_slice(data);
                    let digest = name.clone();
                    chunks.push(Ok(PullChunk { digest, total, data, ..PullChunk::default() }));
                }
                if bytes.is_empty() {
                    chunks.push(Ok(PullChunk { digest: name, ..PullChunk::default() }));
                }
            }
        });
        Ok(Response::new(Box::pin(futures::stream::iter(chunks))))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        self.note(|book| {
            book.renewals += 1;
            book.life = Duration::from_hours(72);
        });
        let leaf = self.authority.agent(&request.into_inner().csr_der, Duration::from_hours(72));
        let roots_der = vec![self.authority.root.to_vec()];
        Ok(Response::new(RenewReply { chain_der: vec![leaf], roots_der }))
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's hub has the real time")]
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[tonic::async_trait]
impl Enrolment for Hub {
    async fn challenge(
        &self,
        _: Request<ChallengeRequest>,
    ) -> Result<Response<ChallengeReply>, Status> {
        Ok(Response::new(ChallengeReply {
            nonce: vec![9; 32],
            hub_time_unix_ms: jiff_now(),
            protocol_min: 1,
            protocol_max: 1,
        }))
    }

    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let request = request.into_inner();
        let csr = request.csr_der.clone();
        let parsed = CertificateSigningRequestParams::from_der(&csr.as_slice().into()).unwrap();
        let key = rcgen::PublicKeyData::der_bytes(&parsed.public_key).to_vec();
        let mut refusal = None;
        let mut lost = false;
        let mut life = Duration::ZERO;
        self.note(|book| {
            refusal = book.refuse_enrolment;
            book.enrolled.insert(key);
            lost = book.lose_replies > 0;
            book.lose_replies = book.lose_replies.saturating_sub(1);
            life = book.life;
        });
        if let Some(reason) = refusal {
            let mut status = Status::permission_denied(reason.title());
            status.metadata_mut().insert("tidegate-reason", reason.code().parse().unwrap());
            return Err(status);
        }
        if lost {
            return Err(Status::unavailable("the reply was lost"));
        }
        Ok(Response::new(EnrolReply {
            chain_der: vec![self.authority.agent(&csr, life)],
            roots_der: vec![self.authority.root.to_vec()],
            cluster_uid: "8c9a5a5e-5b0e-4a55-9a06-0d2a2a0b1f11".to_owned(),
            cluster_name: "eu-1".to_owned(),
            fleet_id: FLEET.to_owned(),
            join_state: vec![1; 32],
        }))
    }

    async fn recover(
        &self,
        request: Request<RecoverRequest>,
    ) -> Result<Response<RecoverReply>, Status> {
        let request = request.into_inner();
        let mut lost = false;
        self.note(|book| {
            book.life = Duration::from_hours(72);
            lost = book.lose_recoveries > 0;
            book.lose_recoveries = book.lose_recoveries.saturating_sub(1);
            book.recoveries.push(request.clone());
        });
        if lost {
            return Err(Status::unavailable("the reply was lost"));
        }
        let leaf = self.authority.agent(&request.csr_der, Duration::from_hours(72));
        Ok(Response::new(RecoverReply {
            chain_der: vec![leaf],
            roots_der: vec![self.authority.root.to_vec()],
            join_state: vec![2; 32],
        }))
    }
}

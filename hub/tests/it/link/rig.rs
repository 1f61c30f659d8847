//! A hub with its store in memory, and agents to knock at it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub::clock::Clock;
use hub::content::{Content, Kind};
use hub::engine::{Desk, Fleet, Served};
use hub::grpc::{AgentsConfig, Limits, Parts, Running};
use hub::pki::{Authority, TOKEN_LIFE_DEFAULT};
use hub::registry::{ClusterRecord, NewToken, Registry};
use hub::store::{Memory, Store};
use hyper_util::rt::TokioIo;
use model::{
    AppName, ClusterName, ClusterUid, Digest, Directive, Epoch, Grant, Manifest, ObjectEntry,
    ObjectParts,
};
use proto::proof;
use proto::token::JoinToken;
use proto::v1::agent_client::AgentClient;
use proto::v1::enrolment_client::EnrolmentClient;
use proto::v1::{self, agent_message, hub_message};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// Longer than anything here takes, shorter than a person waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

pub(super) struct Rig {
    pub(super) registry: Registry,
    pub(super) fleet: Arc<Fleet>,
    pub(super) desk: Arc<Desk>,
    pub(super) content: Arc<Content>,
    pub(super) authority: Arc<Authority>,
    pub(super) clock: Clock,
    pub(super) store: Arc<Memory>,
    pub(super) addr: SocketAddr,
    pub(super) shutdown: CancellationToken,
    pub(super) running: Running,
    served: Mutex<BTreeMap<AppName, BTreeMap<ClusterUid, Served>>>,
    folder: TempDir,
}

impl Rig {
    pub(super) async fn start() -> Rig {
        Rig::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Rig {
        Rig::on(Arc::new(Memory::new()), limits).await
    }

    /// A hub on a store; the clock stands at the present time and moves only by hand.
    pub(super) async fn on(store: Arc<Memory>, limits: Limits) -> Rig {
        let clock = Clock::manual(Clock::system().now());
        let lease = store.take_lease().unwrap();
        let registry = Registry::open(store.clone(), lease).unwrap();
        let authority = Authority::open(store.clone(), lease, clock.clone()).unwrap();
        let (fleet, desk) = (Arc::new(Fleet::new(clock.clone())), Arc::new(Desk::new()));
        let folder = tempfile::tempdir().unwrap();
        let content = Arc::new(Content::open(folder.path()).unwrap());
        let authority = Arc::new(authority);
        let parts = Parts {
            registry: registry.clone(),
            fleet: fleet.clone(),
            desk: desk.clone(),
            content: content.clone(),
            authority: authority.clone(),
            lease,
            clock: clock.clone(),
        };
        let shutdown = CancellationToken::new();
        let config = AgentsConfig { listen: ([127, 0, 0, 1], 0).into(), limits };
        let running = hub::grpc::serve(config, parts, shutdown.clone()).await.unwrap();
        let addr = running.addr;
        Rig {
            registry,
            fleet,
            desk,
            content,
            authority,
            clock,
            store,
            addr,
            shutdown,
            running,
            served: Mutex::default(),
            folder,
        }
    }

    /// A registered cluster and its token.
    pub(super) fn add(&self, name: &str) -> (ClusterRecord, JoinToken) {
        let endpoints = vec![self.addr.to_string()];
        let minted = self.authority.mint(endpoints, TOKEN_LIFE_DEFAULT).unwrap();
        let token = NewToken {
            id: minted.id,
            secret_hash: minted.secret_hash,
            expires_at: minted.expires_at,
        };
        let name = ClusterName::parse(name).unwrap();
        let cluster =
            self.registry.add_cluster(name, BTreeMap::new(), token, self.clock.now()).unwrap();
        (cluster, minted.token)
    }

    /// A cluster whose agent has joined.
    pub(super) async fn joined(&self, name: &str) -> Identity {
        let (_, token) = self.add(name);
        Keys::new().join(&token).await.unwrap()
    }

    /// Serves a directive to one cluster and tells its session.
    pub(super) fn serve(&self, uid: &ClusterUid, app: &str, directive: Directive) {
        let app = AppName::parse(app).unwrap();
        let served = Served {
            app: app.clone(),
            directive,
            revision: "main@sha1:1f3c9a2".to_owned(),
            drift: "correct".to_owned(),
            trace: None,
            earlier: Vec::new(),
        };
        self.serve_as(uid, served);
    }

    /// The same, word by word.
    pub(super) fn serve_as(&self, uid: &ClusterUid, served: Served) {
        let app = served.app.clone();
        let mut all = self.served.lock().unwrap();
        let row = all.entry(app.clone()).or_default();
        row.insert(uid.clone(), served);
        for changed in self.desk.publish(&app, row.clone()) {
            self.fleet.wake(&changed);
        }
    }

    /// Puts a manifest of these objects into the content.
    pub(super) fn stock(&self, objects: &[&str]) -> Manifest {
        let entries = objects.iter().enumerate().map(|(n, object)| {
            let digest = self.content.put(Kind::Object, object.as_bytes()).unwrap();
            let key = ObjectParts {
                group: String::new(),
                kind: "ConfigMap".to_owned(),
                namespace: "shop".to_owned(),
                name: format!("c{n}"),
            }
            .into();
            ObjectEntry { key, digest, bytes: u32::try_from(object.len()).unwrap() }
        });
        let manifest = Manifest::new(entries.collect());
        self.content.put(Kind::Manifest, &manifest.canonical()).unwrap();
        manifest
    }

    /// Writes other bytes under the name of some content.
    pub(super) fn damage(&self, digest: &Digest, bytes: &[u8]) {
        let name = digest.to_string();
        let name = name.strip_prefix("sha256:").unwrap();
        let path = self.folder.path().join(&name[..2]).join(&name[2..]);
        assert!(path.is_file());
        std::fs::write(path, bytes).unwrap();
    }
}

pub(super) fn grant(epoch: u64, manifest: &Manifest) -> Directive {
    Directive::Grant(Grant { epoch: Epoch(epoch), digest: manifest.digest() })
}

/// The keys of one agent: for TLS, and for recovery.
pub(super) struct Keys {
    tls: rcgen::KeyPair,
    recovery: Ed25519KeyPair,
    /// Names that the request claims.
    pub(super) claims: Vec<&'static str>,
}

impl Keys {
    pub(super) fn new() -> Keys {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let tls = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let recovery = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        Keys { tls, recovery, claims: Vec::new() }
    }

    pub(super) fn csr(&self) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for claim in &self.claims {
            params.distinguished_name.push(rcgen::DnType::CommonName, *claim);
            params.subject_alt_names.push(rcgen::SanType::URI((*claim).try_into().unwrap()));
        }
        params.serialize_request(&self.tls).unwrap().der().to_vec()
    }

    /// The whole of joining.
    pub(super) async fn join(&self, token: &JoinToken) -> Result<Identity, Status> {
        let mut door = Door::open(token).await.unwrap();
        let request = door.request(self, token).await?;
        let reply = door.client.enrol(request).await?.into_inner();
        Ok(self.identity(token, reply))
    }

    /// What a renewal gave.
    pub(super) fn renewed(&self, old: &Identity, reply: v1::RenewReply) -> Identity {
        Identity {
            chain: reply.chain_der,
            roots: reply.roots_der,
            key: self.tls.serialize_der(),
            ..old.clone()
        }
    }

    fn identity(&self, token: &JoinToken, reply: v1::EnrolReply) -> Identity {
        Identity {
            addr: token.endpoints[0].parse().unwrap(),
            fleet_id: reply.fleet_id,
            uid: ClusterUid::parse(&reply.cluster_uid).unwrap(),
            chain: reply.chain_der,
            roots: reply.roots_der,
            key: self.tls.serialize_der(),
            join_state: reply.join_state,
        }
    }

    /// Asks for a certificate for these keys, in the name of a cluster, by the recovery key of `recovery`.
    pub(super) async fn recover(
        &self,
        recovery: &Keys,
        token: &JoinToken,
        old: &Identity,
    ) -> Result<Identity, Status> {
        let mut door = Door::open(token).await.unwrap();
        let request = door.recovery(self, recovery, old).await?;
        let reply = door.client.recover(request).await?.into_inner();
        Ok(Identity {
            chain: reply.chain_der,
            roots: reply.roots_der,
            key: self.tls.serialize_der(),
            join_state: reply.join_state,
            ..old.clone()
        })
    }
}

/// A connection without a certificate.
pub(super) struct Door {
    pub(super) client: EnrolmentClient<Channel>,
    pub(super) channel: Channel,
    pub(super) exporter: [u8; proof::EXPORTER_BYTES],
}

impl Door {
    pub(super) async fn open(token: &JoinToken) -> io::Result<Door> {
        let config = client_config()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pins: token.pins.clone() }));
        let config = config.with_no_client_auth();
        let addr = token.endpoints[0].parse().unwrap();
        let tls = Box::pin(dial(addr, &token.fleet_id, config)).await?;
        let exporter = [0; proof::EXPORTER_BYTES];
        let exporter =
            tls.get_ref().1.export_keying_material(exporter, proof::EXPORTER_LABEL, None).unwrap();
        let channel = Box::pin(channel(tls)).await?;
        Ok(Door { client: EnrolmentClient::new(channel.clone()), channel, exporter })
    }

    /// A proven request for this connection.
    pub(super) async fn request(
        &mut self,
        keys: &Keys,
        token: &JoinToken,
    ) -> Result<v1::EnrolRequest, Status> {
        let challenge = v1::ChallengeRequest { token_id: token.token_id.to_vec() };
        let nonce = self.client.challenge(challenge).await?.into_inner().nonce;
        let request = v1::EnrolRequest {
            token_id: token.token_id.to_vec(),
            secret: token.secret.reveal().to_vec(),
            nonce,
            csr_der: keys.csr(),
            recovery_public_key: keys.recovery.public_key().as_ref().to_vec(),
            recovery_signature: Vec::new(),
            instance_id: uuid::Uuid::new_v4().to_string(),
            facts_json: b"{}".to_vec(),
        };
        Ok(self.sign_again(keys, token, request))
    }

    /// A proven request to recover `old`.
    pub(super) async fn recovery(
        &mut self,
        keys: &Keys,
        recovery: &Keys,
        old: &Identity,
    ) -> Result<v1::RecoverRequest, Status> {
        let challenge = v1::ChallengeRequest { token_id: vec![0; 16] };
        let nonce = self.client.challenge(challenge).await?.into_inner().nonce;
        let csr_der = keys.csr();
        let shown = proof::Recovery {
            nonce: nonce.as_slice().try_into().unwrap(),
            join_state: old.join_state.as_slice().try_into().unwrap(),
            csr_der: &csr_der,
            fleet_id: &old.fleet_id,
            cluster_uid: &old.uid.to_string(),
        };
        let signature = recovery.recovery.sign(&shown.message(&self.exporter));
        Ok(v1::RecoverRequest {
            cluster_uid: old.uid.to_string(),
            nonce: nonce.clone(),
            csr_der: csr_der.clone(),
            join_state: old.join_state.clone(),
            recovery_signature: signature.as_ref().to_vec(),
        })
    }

    /// The same request with a right proof.
    pub(super) fn sign_again(
        &self,
        keys: &Keys,
        token: &JoinToken,
        mut request: v1::EnrolRequest,
    ) -> v1::EnrolRequest {
        let nonce = request.nonce.as_slice().try_into().unwrap();
        let message = proof::message(&self.exporter, nonce, &request.csr_der, &token.fleet_id);
        request.recovery_signature = keys.recovery.sign(&message).as_ref().to_vec();
        request
    }
}

/// An agent that has joined.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) addr: SocketAddr,
    pub(super) fleet_id: String,
    pub(super) uid: ClusterUid,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) key: Vec<u8>,
    pub(super) join_state: Vec<u8>,
}

impl Identity {
    /// A mutually authenticated connection.
    pub(super) async fn connect(&self) -> io::Result<AgentClient<Channel>> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(CertificateDer::from(root.clone())).unwrap();
        }
        let chain = self.chain.iter().cloned().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let config = client_config()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let tls = Box::pin(dial(self.addr, &self.fleet_id, config)).await?;
        Ok(AgentClient::new(Box::pin(channel(tls)).await?))
    }

    pub(super) async fn client(&self) -> AgentClient<Channel> {
        self.connect().await.unwrap()
    }

    /// A session that was welcomed.
    pub(super) async fn session(&self) -> Talk {
        let mut talk = Talk::open(self.client().await).await.unwrap();
        talk.say(agent_message::Message::Hello(hello())).await;
        talk.welcome = talk.hear_welcome().await;
        talk
    }

    /// A session that has finished its first round with nothing held.
    pub(super) async fn synced(&self) -> Talk {
        let talk = self.session().await;
        talk.say(agent_message::Message::Synced(v1::Synced { apps: 0 })).await;
        talk
    }
}

pub(super) fn hello() -> v1::Hello {
    v1::Hello {
        instance_id: uuid::Uuid::new_v4().to_string(),
        protocol_min: 1,
        protocol_max: 1,
        agent_version: "0.1.0-test".to_owned(),
        boot: 1,
        agent_time_unix_ms: Clock::system().now().as_millisecond(),
        ..Default::default()
    }
}

/// A session from the agent's side.
pub(super) struct Talk {
    pub(super) up: mpsc::Sender<v1::AgentMessage>,
    pub(super) down: Streaming<v1::HubMessage>,
    pub(super) welcome: v1::Welcome,
    pub(super) epoch: u64,
}

impl Talk {
    pub(super) async fn open(mut client: AgentClient<Channel>) -> Result<Talk, Status> {
        let (up, messages) = mpsc::channel(64);
        let down = client.session(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Talk { up, down, welcome: v1::Welcome::default(), epoch: 0 })
    }

    pub(super) async fn say(&self, message: agent_message::Message) {
        self.up.send(v1::AgentMessage { message: Some(message) }).await.unwrap();
    }

    /// The next message, or `None` at the end.
    pub(super) async fn hear(&mut self) -> Option<hub_message::Message> {
        let message = soon("a message of the hub", self.down.message()).await.unwrap()?;
        self.epoch = message.session_epoch;
        Some(message.message.unwrap())
    }

    pub(super) async fn hear_welcome(&mut self) -> v1::Welcome {
        match self.hear().await {
            Some(hub_message::Message::Welcome(welcome)) => welcome,
            other => panic!("Welcome: {other:?}"),
        }
    }

    pub(super) async fn hear_directive(&mut self) -> (String, Directive) {
        match self.hear().await {
            Some(hub_message::Message::Directive(wire)) => {
                let directed = proto::convert::Directed::try_from(wire).unwrap();
                (directed.app.to_string(), directed.directive)
            }
            other => panic!("a directive: {other:?}"),
        }
    }

    /// Goodbye with its code, and the end of the stream after it.
    pub(super) async fn hear_goodbye(&mut self) -> String {
        match self.hear().await {
            Some(hub_message::Message::Goodbye(goodbye)) => {
                assert_eq!(self.hear().await, None);
                goodbye.reason
            }
            other => panic!("Goodbye: {other:?}"),
        }
    }
}

/// Takes the pinned certificate of the handshake as the only anchor of a full check.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = |der: &&CertificateDer<'_>| {
            let (_, parsed) = x509_parser::parse_x509_certificate(der).unwrap();
            self.pins.contains(Digest::of(parsed.public_key().raw).as_bytes())
        };
        let anchor = others.iter().find(pinned);
        let anchor =
            anchor.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone().into_owned())?;
        let provider = Arc::new(default_provider());
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap()
            .verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn client_config() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_protocol_versions(&[&version::TLS13]).unwrap()
}

/// TLS to the hub. Of a refused client certificate TLS 1.3 tells only with the first bytes that come back, so
/// that a refusal shows here or at the first call.
async fn dial(
    addr: SocketAddr,
    fleet_id: &str,
    mut config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(format!("hub.{fleet_id}.internal")).unwrap();
    soon("a handshake", TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
}

async fn channel(tls: TlsStream<TcpStream>) -> io::Result<Channel> {
    let mut tls = Some(tls);
    let connect = move |_| {
        let tls = tls.take().ok_or_else(|| io::Error::other("one connection only"));
        async move { tls.map(TokioIo::new) }
    };
    let endpoint = Endpoint::from_static("http://hub");
    let channel = endpoint.connect_with_connector(tower::service_fn(connect));
    soon("HTTP/2", channel).await.map_err(io::Error::other)
}

/// The code of a refusal, as the metadata carries it.
pub(super) fn reason(status: &Status) -> (Code, &str) {
    let reason = status.metadata().get("tidegate-reason");
    (status.code(), reason.map_or("", |value| value.to_str().unwrap()))
}

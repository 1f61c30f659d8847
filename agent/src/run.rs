//! Wires the parts, and owns the end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::cluster::{self, Cluster, Leadership};
use crate::config::{Arguments, Command, Config, Run, StateAt};
use crate::identity::{self, Enrolment, Identity};
use crate::link::{Board, DIRECTIVES_MAX, Line, Need};
use crate::metrics::Metrics;
use crate::reconcile::Apps;
use crate::state::{State, Vault};
use crate::{http, telemetry};

/// Between two looks at what is served: new kinds of others, groups that came back.
const DISCOVER_EVERY: (Duration, Duration) = (Duration::from_mins(4), Duration::from_mins(6));
/// Between two tries to get an identity while there is work that needs none.
const IDENTITY_EVERY: Duration = Duration::from_mins(1);
/// Threads for files: one for state, one for tokens and kubeconfigs.
const BLOCKING_MAX: usize = 2;
/// Stack of those threads, in bytes: reading and writing files needs little.
const STACK_BYTES: usize = 256 * 1024;
/// Longest wait for facts about the cluster before joining without them.
const FACTS_MAX: Duration = Duration::from_secs(5);

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No identity, and nothing to do without one.
    #[error("join the fleet")]
    Identity(#[from] identity::Error),
    /// No memory.
    #[error("open the agent's state")]
    State(#[from] crate::state::Error),
    /// No kubeconfig.
    #[error("reach the cluster")]
    Cluster(#[from] cluster::Error),
    /// The address is taken.
    #[error("listen on `{address}` for health and metrics")]
    Http {
        /// Which.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A task of the agent itself failed.
    #[error("keep running: {0}")]
    Task(String),
    /// Options.
    #[error(transparent)]
    Options(#[from] crate::config::Error),
    /// Log or traces.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
}

/// What an embedder may replace.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deps {
    /// The time.
    pub clock: Clock,
}

/// A running agent. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    http: Option<SocketAddr>,
    metrics: Arc<Metrics>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

impl Running {
    /// Ends it between two requests; everything that it must remember is remembered already.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself: only for a reason that no waiting cures.
    pub async fn join(mut self) -> Result<(), Error> {
        self.ended().await
    }

    async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.task).await.unwrap_or_else(|fault| Err(Error::Task(fault.to_string())))
    }

    /// Where health and metrics are served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Whether a session with the hub is open.
    pub fn is_connected(&self) -> bool {
        self.metrics.is_connected()
    }

    /// All metrics, as served.
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }
}

/// Starts an agent. Many may run in one process, each with a kubeconfig and a state of its own.
pub async fn start(config: Config, deps: Deps) -> Result<Running, Error> {
    identity::install_provider();
    let metrics = Arc::new(Metrics::new());
    let options = cluster::Options {
        kubeconfig: &config.kubeconfig,
        limits: &config.limits,
        metrics: Arc::clone(&metrics),
    };
    let cluster = Cluster::connect(options).await?;
    let enrolled = Arc::new(AtomicBool::new(false));
    let leads = Arc::new(AtomicBool::new(!config.leader_election));
    let facts = http::Facts {
        metrics: Arc::clone(&metrics),
        cluster: cluster.clone(),
        enrolled: Arc::clone(&enrolled),
        leads: Arc::clone(&leads),
    };
    let mut serving: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
    let mut http = None;
    if let Some(address) = config.http {
        let served = http::serve(address, facts).await;
        let (listener, local) = served.map_err(|cause| Error::Http { address, cause })?;
        tracing::info!(address = %local, "health and metrics");
        (serving, http) = (Box::pin(listener), Some(local));
    }
    let leadership = config
        .leader_election
        .then(|| Leadership::new(cluster.clone(), &config.namespace, deps.clock));
    let cluster = match &leadership {
        Some(leadership) => {
            tokio::select! {
                () = leadership.acquire() => {}
                () = &mut serving => return Err(Error::Task("the listener ended".to_owned())),
            }
            leads.store(true, Ordering::Relaxed);
            leadership.leashed()
        }
        None => cluster,
    };
    let vault = match &config.state {
        StateAt::Directory(root) => Vault::directory(root).await?,
        StateAt::Secrets => Vault::secrets(cluster.clone(), &config.namespace).await?,
    };
    let state = State::open(vault).await?;
    if let Some(fault) = state.boot_fault() {
        let reason = model::Reason::AgentStateUnwritable;
        tracing::error!(%reason, fault = crate::fault::causes(fault), "{}", reason.next_step());
    }
    let stop = CancellationToken::new();
    let agent = Agent { config, clock: deps.clock, cluster, state, metrics, enrolled };
    let metrics = Arc::clone(&agent.metrics);
    let token = stop.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            ended = agent.lead(leadership, &token) => ended,
            () = serving => Err(Error::Task("the listener ended".to_owned())),
        }
    });
    Ok(Running { stop, task, http, metrics })
}

/// The parts.
struct Agent {
    config: Config,
    clock: Clock,
    cluster: Cluster,
    state: State,
    metrics: Arc<Metrics>,
    enrolled: Arc<AtomicBool>,
}

impl Agent {
    /// Repairs and reports side by side; neither waits for the other.
    async fn run(self, stop: &CancellationToken) -> Result<(), Error> {
        let instance_id = uuid::Uuid::new_v4().to_string();
        let board = Arc::new(Board::new(self.state.boot(), self.clock));
        let (sender, heard) = mpsc::channel(DIRECTIVES_MAX);
        let line = Line::new(
            Arc::clone(&board),
            sender,
            Arc::clone(&self.metrics),
            self.clock,
            self.state.clone(),
            instance_id.clone(),
        );
        let mut apps = Apps::open(
            &self.config,
            self.cluster.clone(),
            self.state.clone(),
            (Arc::clone(&board), line.puller()),
            Arc::clone(&self.metrics),
            self.clock,
        )
        .await?;
        let idle = apps.is_empty();
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = apps.run(heard) => Err(Error::Task("the Apps ended".to_owned())),
            fault = self.keep_line(&line, idle, &instance_id) => Err(fault),
            never = self.keep_discovering(&board) => match never {},
            () = self.cluster.keep_kinds() => Err(Error::Task("discovery ended".to_owned())),
        };
        apps.shutdown().await;
        ended
    }

    /// Runs, for as long as the Lease is held if there is one.
    async fn lead(
        self,
        leadership: Option<Leadership>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let Some(leadership) = leadership else {
            return Box::pin(self.run(stop)).await;
        };
        let ended = tokio::select! {
            ended = Box::pin(self.run(stop)) => ended,
            () = leadership.keep() => Err(Error::Task("another agent may lead".to_owned())),
        };
        leadership.release().await;
        ended
    }

    async fn keep_discovering(&self, board: &Board) -> std::convert::Infallible {
        loop {
            if let Err(fault) = self.cluster.refresh_kinds().await {
                tracing::debug!(fault = crate::fault::causes(&fault), "discovery failed");
            }
            if let Ok(facts) = self.cluster.facts().await {
                board.learn(facts.to_string().into_bytes());
            }
            tokio::time::sleep(clock::between(DISCOVER_EVERY.0, DISCOVER_EVERY.1)).await;
        }
    }

    /// Keeps a line open, with an identity got as often as needed. Ends only when there is nothing to do
    /// without an identity and no hope for one.
    async fn keep_line(&self, line: &Line, idle: bool, instance_id: &str) -> Error {
        let mut refused: Option<(model::Reason, Identity)> = None;
        loop {
            match self.identity(refused.take(), instance_id).await {
                Ok(identity) => {
                    self.enrolled.store(true, Ordering::Relaxed);
                    let kept = identity.clone();
                    let Need::Identity(reason) = line.keep(identity).await;
                    let latest = Identity::load(self.state.vault()).await.ok().flatten();
                    refused = Some((reason, latest.unwrap_or(kept)));
                }
                Err(fault) => {
                    self.enrolled.store(false, Ordering::Relaxed);
                    if idle {
                        return fault.into();
                    }
                    tracing::error!(
                        fault = crate::fault::causes(&fault),
                        "no identity; what is held is kept and repaired"
                    );
                    tokio::time::sleep(IDENTITY_EVERY).await;
                }
            }
        }
    }

    /// The identity that is kept, or a new one for a token that was not used before.
    async fn identity(
        &self,
        refused: Option<(model::Reason, Identity)>,
        instance_id: &str,
    ) -> Result<Identity, identity::Error> {
        let kept = Identity::load(self.state.vault()).await?;
        let join_file = self.config.join_file.clone();
        match (kept, refused, join_file) {
            (Some(identity), None, _) => Ok(identity),
            (_, Some((reason, identity)), join_file) => {
                let token = match &join_file {
                    Some(path) => identity::read_token(path).await.ok(),
                    None => None,
                };
                match (token, join_file) {
                    (Some(token), Some(path)) if token.token_id != identity.token_id => {
                        self.enrol(path, instance_id).await
                    }
                    _ if reason == model::Reason::CertificateExpired => {
                        identity::recover(&identity, self.state.vault(), self.clock).await
                    }
                    _ => Err(identity::Error::Refused {
                        reason,
                        message: "the hub does not accept this agent's certificate".to_owned(),
                    }),
                }
            }
            (None, None, Some(path)) => self.enrol(path, instance_id).await,
            (None, None, None) => Err(identity::Error::NoToken),
        }
    }

    async fn enrol(
        &self,
        join_file: std::path::PathBuf,
        instance_id: &str,
    ) -> Result<Identity, identity::Error> {
        let facts = tokio::time::timeout(FACTS_MAX, self.cluster.facts()).await;
        let facts = facts.ok().and_then(Result::ok).unwrap_or_else(|| serde_json::json!({}));
        let facts = facts.to_string().into_bytes();
        let enrolment =
            Enrolment { join_file, instance_id: instance_id.to_owned(), facts, clock: self.clock };
        identity::obtain(&enrolment, &self.state).await
    }
}

/// The program: reads its options, runs, and says why it ended.
pub fn main() -> ExitCode {
    let Command::Run(options) = Arguments::read().command;
    let ended = tokio::runtime::Builder::new_current_thread()
        // Files are the only thing that blocks, one at a time.
        .max_blocking_threads(BLOCKING_MAX)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|fault| Error::Task(fault.to_string()))
        .and_then(|runtime| runtime.block_on(program(&options)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn program(options: &Run) -> Result<(), Error> {
    let _telemetry = telemetry::install(options.log, options.otlp.as_deref())?;
    let run = async {
        let config = Config::try_from(options)?;
        let running = start(config, Deps::default()).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "agent runs");
        let stop = running.stop.clone();
        let signals = tokio::spawn(async move {
            signal().await;
            tracing::info!("stopping");
            stop.cancel();
        });
        let ended = running.join().await;
        signals.abort();
        ended
    };
    let ended = run.await;
    if let Err(fault) = &ended {
        tracing::error!(fault = crate::fault::causes(fault), "the agent cannot run");
    }
    ended
}

/// SIGTERM or Ctrl-C.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(fault) => {
            tracing::warn!(%fault, "SIGTERM is not heard");
            drop(tokio::signal::ctrl_c().await);
        }
    }
}

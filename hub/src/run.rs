//! Builds the parts, hands each its handles, owns the shutdown. Dull on purpose.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use model::{Manifest, Status};
use sandbox::{Places, Renderers};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Serve,
    content::{self, Content, Kind},
    engine::{self, Desk, Fleet},
    forge, grpc,
    http::{self, AdminToken},
    measure::{self, Measures},
    pki::{self, Authority},
    policy::{self, PolicyFile},
    registry::{self, Registry},
    source::{self, KubernetesApi, SourceConfig, SourceLimits, Sources, Surroundings},
    store::{self, SledStore, Store, log::Log},
};

/// How long open requests and streams may take to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Why the hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be made.
    #[error("make the data directory `{path}`")]
    DataDir {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The store cannot be opened.
    #[error("open the store")]
    Store(#[from] store::Error),
    /// The records cannot be read.
    #[error("read the registry")]
    Registry(#[from] registry::Error),
    /// The certificate authority cannot be read or made.
    #[error("open the certificate authority")]
    Pki(#[from] pki::Error),
    /// The place for rendered objects cannot be opened.
    #[error("open the content")]
    Content(#[from] content::Error),
    /// The place for Git mirrors cannot be opened.
    #[error("start the sources")]
    Source(#[from] source::Error),
    /// The policy cannot be read.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// The logs cannot be folded, or the driver ended.
    #[error("drive the rollouts")]
    Engine(#[from] engine::Error),
    /// The key of checks cannot be read or made.
    #[error(transparent)]
    Measure(#[from] measure::KeyError),
    /// The admin token cannot be read or made.
    #[error(transparent)]
    Token(#[from] http::TokenError),
    /// People cannot be served.
    #[error(transparent)]
    Http(#[from] http::ServeError),
    /// Agents cannot be served.
    #[error("serve agents")]
    Grpc(#[from] grpc::Error),
    /// A part ended by itself.
    #[error("a part of the hub failed; see its log")]
    Failed,
}

/// A hub that runs.
#[derive(Debug)]
pub struct Running {
    /// Where people connect.
    pub http: SocketAddr,
    /// Where agents connect.
    pub agents: SocketAddr,
    shutdown: CancellationToken,
    driver: tokio::task::JoinHandle<Result<(), engine::Error>>,
    people: tokio::task::JoinHandle<io::Result<()>>,
    session: tokio::task::JoinHandle<()>,
}

/// Starts a hub on the store in its data directory.
pub async fn start(config: &Serve, clock: Clock) -> Result<Running, Error> {
    let dir = config.data_dir.clone();
    std::fs::create_dir_all(&dir)
        .map_err(|cause| Error::DataDir { path: dir.display().to_string(), cause })?;
    let opened = dir.clone();
    let store = blocking(move || Ok(SledStore::open(&opened.join("store"))?)).await?;
    start_on(config, &dir, Arc::new(store), clock).await
}

#[expect(clippy::too_many_lines, reason = "the one place where the parts are put together")]
async fn start_on(
    config: &Serve,
    dir: &Path,
    store: Arc<dyn Store>,
    clock: Clock,
) -> Result<Running, Error> {
    let shutdown = CancellationToken::new();
    let lease = store.take_lease()?;
    let registry = Registry::open(Arc::clone(&store), lease)?;
    let authority = Arc::new(Authority::open(Arc::clone(&store), lease, clock.clone())?);
    let content = Arc::new(Content::open(&dir.join("content"))?);
    // What a cluster is granted that gives an App up; no release has it, so nothing else keeps it.
    content.put(Kind::Manifest, &Manifest::new(Vec::new()).canonical())?;
    let admin = AdminToken::load_or_make(dir)?;
    let (fleet, desk) = (Arc::new(Fleet::new(clock.clone())), Arc::new(Desk::new()));
    let limits = SourceLimits { interval: config.poll, ..SourceLimits::default() };
    let beside = Surroundings { own: dir.to_owned(), kubernetes: KubernetesApi::of_pod() };
    let sources = Sources::start_beside(&dir.join("sources"), clock.clone(), limits, beside)?;
    follow(&registry, &sources);
    let policy = Arc::new(PolicyFile::open(config.policy.as_deref())?);
    let (renderers, sandbox) = renderers(config, dir)?;
    let outbox = Arc::clone(&store);
    let log = Log::new(store);
    let (engine, driver) = engine::start(
        engine::Parts {
            registry: registry.clone(),
            sources: sources.clone(),
            renderers,
            policy,
            fleet: Arc::clone(&fleet),
            desk: Arc::clone(&desk),
            content: Arc::clone(&content),
            log: log.clone(),
            clock: clock.clone(),
            lease,
        },
        shutdown.clone(),
    )
    .await?;
    ask(config, dir, (&engine, &registry), &clock, &shutdown)?;
    let forges = forge::start(
        forge::Parts {
            engine: engine.clone(),
            registry: registry.clone(),
            sources: sources.clone(),
            store: outbox,
            lease,
            clock: clock.clone(),
            poll: config.poll,
        },
        shutdown.clone(),
    )?;
    let agents = grpc::serve(
        grpc::AgentsConfig::new(config.agents),
        grpc::Parts {
            registry: registry.clone(),
            fleet: Arc::clone(&fleet),
            desk: Arc::clone(&desk),
            content,
            authority: Arc::clone(&authority),
            lease,
            clock: clock.clone(),
        },
        shutdown.clone(),
    )
    .await?;
    let told = config.agents_url.clone();
    let parts = http::Parts {
        engine,
        fleet,
        desk,
        registry,
        log,
        sources,
        authority,
        agents_url: told.unwrap_or_else(|| agents.addr.to_string()),
        admin,
        clock,
        data_dir: dir.to_owned(),
        forges,
        sandbox,
    };
    let people = http::serve(config.http, parts, shutdown.clone()).await?;
    tracing::info!(http = %people.addr, agents = %agents.addr, lease = %lease, "the hub serves");
    Ok(Running {
        http: people.addr,
        agents: agents.addr,
        shutdown,
        driver,
        people: people.task,
        session: agents.join,
    })
}

/// Asks what waves are measured by, and what decides about blockers.
fn ask(
    config: &Serve,
    dir: &Path,
    (engine, registry): (&engine::Handle, &Registry),
    clock: &Clock,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let measures = Measures::open(config.prometheus.clone(), config.check_key.as_deref(), dir)?;
    measure::blockers::start(registry.clone(), measures.clone(), clock.clone(), shutdown.clone());
    measure::start(engine.clone(), measures, clock.clone(), shutdown.clone());
    Ok(())
}

/// Follows every source that is registered.
fn follow(registry: &Registry, sources: &Sources) {
    for record in registry.sources().values() {
        if let Err(error) = sources.add(SourceConfig::from(record)) {
            tracing::error!(source = %record.name, %error, "source cannot be followed");
        }
    }
}

/// Kustomize and Helm, and what is to be said about their sandbox.
fn renderers(config: &Serve, dir: &Path) -> Result<(Renderers, Option<Status>), Error> {
    let rooms = dir.join("rooms");
    // What a killed hub left there.
    drop(std::fs::remove_dir_all(&rooms));
    std::fs::create_dir_all(&rooms)
        .map_err(|cause| Error::DataDir { path: rooms.display().to_string(), cause })?;
    let renderers = Renderers::new(Places {
        kustomize: config.kustomize.clone(),
        helm: config.helm.clone(),
        launcher: None,
        rooms: Some(rooms),
    });
    let weakness = renderers.weakness();
    if let Some(status) = &weakness {
        tracing::warn!("{}", status.message());
    }
    Ok((renderers, weakness))
}

impl Running {
    /// Runs until `stop` ends, then shuts down: no new decision, open requests finish, streams end.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::select! {
            () = stop => {
                tracing::info!("shutting down");
                self.stop().await
            }
            ended = &mut self.driver => {
                self.shutdown.cancel();
                match ended {
                    Ok(Ok(())) | Err(_) => Err(Error::Failed),
                    Ok(Err(error)) => Err(error.into()),
                }
            }
        }
    }

    /// Shuts down.
    pub async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        let parts = async {
            let (driver, people, session) = tokio::join!(self.driver, self.people, self.session);
            if session.is_err() || !matches!(people, Ok(Ok(()))) {
                return Err(Error::Failed);
            }
            Ok(driver.map_err(|_| Error::Failed)??)
        };
        if let Ok(ended) = tokio::time::timeout(SHUTDOWN_MAX, parts).await {
            ended
        } else {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Failed)?
}

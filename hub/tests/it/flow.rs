//! A hub without its listeners: from a repository to what is served, with agents that say what they are told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hub::{
    clock::Clock,
    content::Content,
    engine::{self, AppNow, Desk, Fleet, HelloInfo, SessionId},
    forge::{self, Told},
    policy::PolicyFile,
    registry::{NewToken, Registry, SourceRecord},
    source::{SourceConfig, SourceLimits, Sources},
    store::{Log, Memory, Store},
};
use model::{
    AppName, ClusterName, ClusterUid, Digest, Directive, Epoch, Phase, Report, SourceName,
};
use sandbox::{Places, Renderers};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Pause between two looks at what no event announces.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Flow {
    pub(crate) store: Arc<Memory>,
    pub(crate) handle: engine::Handle,
    pub(crate) sources: Sources,
    pub(crate) told: Told,
    pub(crate) clusters: Vec<(ClusterUid, SessionId)>,
    fleet: Arc<Fleet>,
    desk: Arc<Desk>,
    shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

/// An App whose one wave takes every cluster at once; `more` stands below `spec`.
pub(crate) fn app_yaml(name: &str, more: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  \
         targets: {{select: \"true\"}}\n  rollout:\n    probe: 0\n    \
         defaults: {{minHealthy: 0s, maxInFlight: 100%}}\n    waves: [{{name: all, rest: true, after: {{soak: 0s}}}}]\n{more}"
    )
}

pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{x: '{value}'}}\n"
    )
}

/// A source that follows the branch `main`.
pub(crate) fn source(name: &str, url: &str) -> SourceRecord {
    SourceRecord {
        name: SourceName::parse(name).unwrap(),
        url: url.to_owned(),
        reference: "main".to_owned(),
        credentials_file: None,
        ca_file: None,
        chart: None,
        paths: Vec::new(),
        auth: model::source::SourceAuth::default(),
        verify: None,
        webhook: None,
        commit_status: None,
        charts: Vec::new(),
        created_at: Clock::system().now(),
    }
}

pub(crate) fn name(app: &str) -> AppName {
    AppName::parse(app).unwrap()
}

impl Flow {
    pub(crate) async fn start(all: Vec<SourceRecord>, clusters: usize) -> Flow {
        Flow::on(Arc::new(Memory::new()), all, clusters).await
    }

    /// On a store that an earlier hub may have left.
    pub(crate) async fn on(store: Arc<Memory>, all: Vec<SourceRecord>, clusters: usize) -> Flow {
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let lease = store.take_lease().unwrap();
        let registry = Registry::open(store.clone(), lease).unwrap();
        let interval = Duration::from_millis(20);
        let limits = SourceLimits { interval, backoff_max: interval, ..Default::default() };
        let sources = Sources::start(&dir.path().join("sources"), clock.clone(), limits).unwrap();
        for record in all {
            sources.add(SourceConfig::from(&record)).unwrap();
            if !registry.sources().contains_key(&record.name) {
                registry.add_source(record).unwrap();
            }
        }
        for number in registry.clusters().len()..clusters {
            let expires_at = clock.now() + Duration::from_hours(1);
            let id = [u8::try_from(number).unwrap(); 16];
            let token = NewToken { id, secret_hash: Digest::of(b"secret"), expires_at };
            let name = ClusterName::parse(&format!("eu-{number}")).unwrap();
            registry.add_cluster(name, BTreeMap::new(), token, clock.now()).unwrap();
        }
        let (fleet, desk) = (Arc::new(Fleet::new(clock.clone())), Arc::new(Desk::new()));
        let rooms = dir.path().join("rooms");
        std::fs::create_dir(&rooms).unwrap();
        let bin = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin");
        let parts = engine::Parts {
            registry: registry.clone(),
            sources: sources.clone(),
            renderers: Renderers::new(Places {
                kustomize: Some(bin.join("kustomize")),
                helm: Some(bin.join("helm")),
                launcher: Some(env!("CARGO_BIN_EXE_tidegate-hub").into()),
                rooms: Some(rooms),
            }),
            policy: Arc::new(PolicyFile::open(None).unwrap()),
            fleet: fleet.clone(),
            desk: desk.clone(),
            content: Arc::new(Content::open(&dir.path().join("content")).unwrap()),
            log: Log::new(store.clone()),
            clock: clock.clone(),
            lease,
        };
        let shutdown = CancellationToken::new();
        let (handle, _driver) = engine::start(parts, shutdown.clone()).await.unwrap();
        let parts = forge::Parts {
            engine: handle.clone(),
            registry: registry.clone(),
            sources: sources.clone(),
            store: store.clone(),
            lease,
            clock,
            poll: interval,
        };
        let told = forge::start(parts, shutdown.clone()).unwrap();
        let records = registry.clusters();
        let sessions = records.values().map(|cluster| {
            let session = fleet.connect(&cluster.uid, HelloInfo::default()).session;
            fleet.synced(&cluster.uid, session);
            (cluster.uid.clone(), session)
        });
        let clusters = sessions.collect();
        Flow { store, handle, sources, told, clusters, fleet, desk, shutdown, _dir: dir }
    }

    /// Ends everything; what is in the store stays.
    pub(crate) async fn stop(self) -> Arc<Memory> {
        self.shutdown.cancel();
        self.sources.stop().await;
        self.store
    }

    /// Looks again and again until it is so.
    pub(crate) async fn until(&self, what: &str, mut is: impl FnMut(&Flow) -> bool) {
        let begun = std::time::Instant::now();
        while !is(self) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn app(&self, app: &str) -> Option<Arc<AppNow>> {
        self.handle.published().apps.get(&name(app)).cloned()
    }

    /// The grant of an App on a cluster, if it has one.
    pub(crate) fn grant(&self, app: &str, cluster: usize) -> Option<model::Grant> {
        let served = self.desk.served(&self.clusters[cluster].0);
        match served.into_iter().find(|served| served.app == name(app))?.directive {
            Directive::Grant(grant) => Some(grant),
            Directive::Hold | Directive::Fence(_) => None,
        }
    }

    /// A cluster says that it runs what it was granted, and well.
    pub(crate) async fn healthy(&self, app: &str, cluster: usize) {
        self.until("a grant", |flow| flow.grant(app, cluster).is_some()).await;
        let grant = self.grant(app, cluster).unwrap();
        let (uid, session) = &self.clusters[cluster];
        let report = Report {
            boot: 1,
            seq: grant.epoch.0,
            epoch: grant.epoch,
            digest: Some(grant.digest),
            fence: Epoch::NONE,
            phase: Phase::Healthy,
            healthy_for: Duration::from_mins(1),
            bad_for: Duration::ZERO,
            applying_for: Duration::ZERO,
            objects_total: 1,
            objects_healthy: 1,
            drifted: 0,
            unhealthy: Vec::new(),
        };
        self.fleet.report(uid, *session, name(app), report, None);
    }
}

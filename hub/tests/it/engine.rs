//! The driver: what it decides, and what it shows of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hub::{
    clock::Clock,
    content::Content,
    engine::{self, AppNow, Desk, Fleet, Handle, HelloInfo, SessionId},
    policy::PolicyFile,
    registry::{NewToken, Registry, SourceRecord},
    source::{SourceConfig, SourceLimits, Sources},
    store::{Memory, Store as _, log::Log},
};
use model::{
    AppName, ClusterName, ClusterUid, Digest, Directive, Epoch, Phase, Report, SourceName,
};
use sandbox::{Places, Renderers};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::source::repository::Repository;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A driver on a repository with two Apps, and one cluster whose agent follows them.
struct World {
    handle: Handle,
    fleet: Arc<Fleet>,
    desk: Arc<Desk>,
    uid: ClusterUid,
    session: SessionId,
    _dir: TempDir,
}

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

impl World {
    async fn new() -> World {
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::new(&dir.path().join("repository"));
        for name in ["api", "web"] {
            let text = format!(
                "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  \
                 source: {{path: manifests}}\n  targets: {{select: \"true\"}}\n  rollout:\n    probe: 0\n    \
                 defaults: {{minHealthy: 0s}}\n    waves: [{{name: all, rest: true, after: {{soak: 0s}}}}]\n"
            );
            repository.write(&format!("apps/{name}/app.yaml"), text);
            let object = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\n"
            );
            repository.write(&format!("apps/{name}/manifests/all.yaml"), object);
        }
        repository.commit_all("Two apps");
        let (clock, store) = (Clock::system(), Arc::new(Memory::new()));
        let lease = store.take_lease().unwrap();
        let registry = Registry::open(store.clone(), lease).unwrap();
        let name = SourceName::parse("fleet").unwrap();
        let config = SourceConfig::new(name.clone(), &repository.url(), "main");
        let record = SourceRecord {
            name,
            url: repository.url(),
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
            created_at: clock.now(),
        };
        registry.add_source(record).unwrap();
        let expires_at = clock.now() + Duration::from_hours(1);
        let token = NewToken { id: [1; 16], secret_hash: Digest::of(b"secret"), expires_at };
        let name = ClusterName::parse("eu-1").unwrap();
        let cluster = registry.add_cluster(name, BTreeMap::new(), token, clock.now()).unwrap();
        let limits = SourceLimits { interval: Duration::from_millis(20), ..Default::default() };
        let sources = Sources::start(&dir.path().join("sources"), clock.clone(), limits).unwrap();
        sources.add(config).unwrap();
        let (fleet, desk) = (Arc::new(Fleet::new(clock.clone())), Arc::new(Desk::new()));
        let parts = engine::Parts {
            registry,
            sources,
            renderers: Renderers::new(Places {
                kustomize: None,
                helm: None,
                launcher: None,
                rooms: Some(dir.path().join("rooms")),
            }),
            policy: Arc::new(PolicyFile::open(None).unwrap()),
            fleet: fleet.clone(),
            desk: desk.clone(),
            content: Arc::new(Content::open(&dir.path().join("content")).unwrap()),
            log: Log::new(store),
            clock,
            lease,
        };
        let (handle, _driver) = engine::start(parts, CancellationToken::new()).await.unwrap();
        let session = fleet.connect(&cluster.uid, HelloInfo::default()).session;
        fleet.synced(&cluster.uid, session);
        World { handle, fleet, desk, uid: cluster.uid, session, _dir: dir }
    }

    /// Waits for an instant of the board.
    async fn until(&self, what: &str, mut is: impl FnMut(&World) -> bool) {
        let mut changed = self.handle.changed();
        let look = async {
            while !is(self) {
                changed.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, look).await;
        waited.unwrap_or_else(|_| panic!("{what} did not happen"));
    }

    fn shown(&self, name: &str) -> Option<Arc<AppNow>> {
        self.handle.published().apps.get(&app(name)).cloned()
    }

    /// Reports the grant of an App as healthy.
    fn report(&self, name: &str, seq: u64) {
        let served = self.desk.served(&self.uid);
        let served = served.into_iter().find(|s| s.app == app(name)).unwrap();
        let Directive::Grant(grant) = served.directive else { panic!("{served:?}") };
        let report = Report {
            boot: 1,
            seq,
            epoch: grant.epoch,
            digest: Some(grant.digest),
            fence: Epoch::NONE,
            phase: Phase::Healthy,
            healthy_for: Duration::from_secs(seq),
            bad_for: Duration::ZERO,
            applying_for: Duration::ZERO,
            objects_total: 1,
            objects_healthy: 1,
            drifted: 0,
            unhealthy: Vec::new(),
        };
        self.fleet.report(&self.uid, self.session, app(name), report, None);
    }

    /// Two Apps that have arrived.
    async fn settled() -> World {
        let world = World::new().await;
        world.until("two grants", |world| world.desk.served(&world.uid).len() == 2).await;
        for name in ["api", "web"] {
            world.report(name, 1);
        }
        let ended = |world: &World, name| {
            world
                .shown(name)
                .is_some_and(|app| app.state.active.is_none() && app.state.stable.is_some())
        };
        world.until("both arrived", |world| ended(world, "api") && ended(world, "web")).await;
        world
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_worked_out_for_one_reader_serves_the_next() {
    let world = World::settled().await;
    let app = world.shown("web").unwrap();
    assert!(std::ptr::eq(app.view(), app.view()));
    assert_eq!(*app.view(), rollout::view::app(&app.state, app.now, &app.obs));
    for _ in 0..2 {
        let status = rollout::explain_cluster(&app.state, &world.uid, app.now, &app.obs);
        assert_eq!(app.on(&world.uid), status);
    }
}

//! Charts that charts depend on: fetched from where an administrator allowed it, and from nowhere else.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Instant,
};

use base64::Engine;
use model::{
    ClusterName, ClusterUid, Facts, Labels,
    source::{ChartRepository, SourceAuth},
};
use render::{Diagnostic, FleetCluster, Kit, MemoryTree, Rendered};
use sandbox::{Places, Renderers};
use serde_json::Value as Json;

use super::{
    registry::{Registry, archive, digest},
    server::Server,
    *,
};
use crate::flow::{self, Flow, app_yaml};

fn helm_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin/helm")
}

/// Helm by hand, with a home of its own.
fn helm(dir: &Path, arguments: &[&str]) -> String {
    let done = Command::new(helm_program())
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir.join("home"))
        .env("SSL_CERT_FILE", dir.join("roots.pem"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A code, and where to.
type Instead = Arc<Mutex<Option<(u16, Option<String>)>>>;

/// What makes one case.
type Set<'a> = &'a dyn Fn(&str);

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A Helm repository at `/stable` that can be told what it has, and tells what it was asked.
struct Shop {
    server: Server,
    files: Files,
    /// Path and account of every request.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    /// What every request is answered with, when it is not served.
    instead: Instead,
    ca: PathBuf,
}

impl Shop {
    async fn open(dir: &Path, account: Option<&str>) -> Shop {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (files, asked) = (Files::default(), Arc::<Mutex<Vec<(String, String)>>>::default());
        let instead = Instead::default();
        let (shelf, heard, other) = (files.clone(), asked.clone(), instead.clone());
        let wanted = account.map(|account| {
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(account))
        });
        let server = Server::start_answering_with(move |head| {
            let (path, given) = (head.uri.path().to_owned(), head.headers.get("authorization"));
            let given = given.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
            heard.lock().unwrap().push((path.clone(), given.clone()));
            if let Some((code, to)) = other.lock().unwrap().clone() {
                let headers = to.map(|to| ("location", format!("{to}{path}")));
                return (code, headers.into_iter().collect(), Vec::new());
            }
            if wanted.as_ref().is_some_and(|wanted| *wanted != given) {
                let how = ("www-authenticate", "Basic realm=\"charts\"".to_owned());
                return (401, vec![how], Vec::new());
            }
            match shelf.lock().unwrap().get(&path) {
                Some(bytes) => (200, Vec::new(), bytes.clone()),
                None => (404, Vec::new(), Vec::new()),
            }
        })
        .await;
        fs::create_dir_all(dir).unwrap();
        let ca = dir.join("shop.pem");
        fs::write(&ca, &server.root).unwrap();
        Shop { server, files, asked, instead, ca }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/stable", self.server.port)
    }

    fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// An index of this one chart; its URL may lead elsewhere.
    fn index(&self, (name, version): (&str, &str), digest: Option<&str>, url: &str) {
        let digest = digest.map(|digest| format!("digest: {digest}, ")).unwrap_or_default();
        let text = format!(
            "apiVersion: v1\nentries:\n  {name}:\n  - {{name: {name}, version: {version}, {digest}urls: ['{url}']}}\n"
        );
        self.put("/stable/index.yaml", text);
    }

    /// A chart and an index of it.
    fn sell(&self, name: &str, version: &str, bytes: Vec<u8>) {
        let file = format!("{name}-{version}.tgz");
        self.index((name, version), Some(&digest(&bytes)), &file);
        self.put(&format!("/stable/{file}"), bytes);
    }

    fn allowed(&self, credentials: Option<String>) -> ChartRepository {
        let auth = SourceAuth { ca: file(&self.ca), credentials, ..SourceAuth::default() };
        ChartRepository { url: self.url(), auth }
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// A chart with one template.
fn chart(name: &str, version: &str, says: &str) -> Vec<u8> {
    let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let template = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {{{{ .Release.Name }}}}-{{{{ .Chart.Name }}}}, namespace: shop}}\n\
         data: {{says: '{says}', size: '{{{{ .Values.size }}}}'}}\n"
    );
    archive(&[
        (&format!("{name}/Chart.yaml"), &about),
        (&format!("{name}/values.yaml"), "size: 1\n"),
        (&format!("{name}/templates/a.yaml"), &template),
    ])
}

/// A chart in a repository that depends on `redis` of one version, with nothing but that.
fn depends(url: &str, version: &str) -> String {
    format!(
        "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n  - {{name: redis, version: {version}, repository: \"{url}\"}}\n"
    )
}

fn tree(chart: &str) -> MemoryTree {
    MemoryTree::new()
        .file("apps/web/app.yaml", app_yaml("web", "  source: {path: chart}\n"))
        .file("apps/web/chart/Chart.yaml", chart)
}

/// A source that may fetch charts from there. Its own repository plays no part.
async fn following(dir: &Path, charts: Vec<ChartRepository>) -> Sources {
    let repository = Repository::new(&dir.join("repository"));
    let commit = repository.commit("a.txt", "a");
    let sources = start(&dir.join("data"), limits());
    sources.add(SourceConfig { charts, ..config(&repository.url(), "main") }).unwrap();
    until_at(&sources, &commit).await;
    sources
}

/// Renders as soon as nothing is on its way any more.
async fn rendered(sources: &Sources, tree: &MemoryTree) -> Result<Rendered, Diagnostic> {
    let tools = Renderers::new(Places {
        helm: Some(helm_program()),
        launcher: Some(env!("CARGO_BIN_EXE_tidegate-hub").into()),
        ..Places::default()
    });
    let cluster = FleetCluster {
        uid: ClusterUid::parse("00000000-0000-4000-8000-000000000001").unwrap(),
        name: ClusterName::parse("eu-1").unwrap(),
        labels: Labels::new(),
        facts: Facts::Null,
    };
    let charts = sources.charts(&name()).unwrap();
    let kit = Kit { tools: &tools, charts: &charts, ..Kit::plain() };
    let app = render::apps(tree).apps.into_values().next().unwrap().unwrap();
    let begun = Instant::now();
    loop {
        let done = render::render(&kit, &app, tree, (&cluster).into());
        match done.map_err(|mut faults| faults.remove(0)) {
            Err(fault) if fault.message.contains("is being fetched") => {
                assert_eq!(fault.reason, Reason::DependencyUnfetched);
                assert!(begun.elapsed() < PATIENCE, "{fault}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => return other,
        }
    }
}

fn objects(rendered: &Rendered) -> BTreeMap<String, Json> {
    let all = rendered.objects.values().map(|bytes| serde_json::from_slice(bytes).unwrap());
    all.map(|object: Json| (object["metadata"]["name"].to_string(), object)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lock_names_is_fetched_and_gives_what_helm_gives_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), false) else { return };
    let shop = Shop::open(dir.path(), None).await;
    let roots = [&shop.ca, &registry.ca].map(|ca| fs::read_to_string(ca).unwrap()).concat();
    fs::write(dir.path().join("roots.pem"), roots).unwrap();
    shop.sell("redis", "1.2.3+b7", chart("redis", "1.2.3+b7", "hello"));
    let oci = registry.url("charts");
    fs::write(dir.path().join("common.tgz"), chart("common", "2.0.0+b7", "shared")).unwrap();
    helm(dir.path(), &["push", "common.tgz", &oci]);
    // By hand.
    let by_hand = dir.path().join("web");
    fs::create_dir_all(by_hand.join("templates")).unwrap();
    let about = format!(
        "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n  \
         - {{name: redis, version: '>=1.0.0 <2', repository: \"{0}\", alias: cache, tags: [caches]}}\n  \
         - {{name: redis, version: ^1.2, repository: \"{0}\", condition: redis.enabled}}\n  \
         - {{name: common, version: '*', repository: \"{oci}\", import-values: [{{child: size, parent: own}}]}}\n",
        shop.url()
    );
    let values = "cache: {size: 3}\nredis: {enabled: false}\ntags: {caches: true}\n";
    fs::write(by_hand.join("Chart.yaml"), &about).unwrap();
    fs::write(by_hand.join("values.yaml"), values).unwrap();
    helm(dir.path(), &["dependency", "update", "web"]);
    let lock = fs::read_to_string(by_hand.join("Chart.lock")).unwrap();
    let text = helm(dir.path(), &["template", "web", "./web", "--namespace", "default"]);
    let wanted: BTreeMap<String, Json> = text
        .split("\n---")
        .map(|part| serde_saphyr::from_str(part.trim_start_matches("---")).unwrap())
        .map(|object: Json| (object["metadata"]["name"].to_string(), object))
        .collect();
    assert_eq!(wanted.len(), 2, "the one of two that is switched on, and the shared one: {text}");
    // By us, from what is committed: no `charts`.
    let auth = SourceAuth { ca: file(&registry.ca), ..SourceAuth::default() };
    let charts = vec![shop.allowed(None), ChartRepository { url: oci, auth }];
    let sources = following(dir.path(), charts.clone()).await;
    let files = tree(&about)
        .file("apps/web/chart/Chart.lock", lock)
        .file("apps/web/chart/values.yaml", values);
    let done = rendered(&sources, &files).await.unwrap();
    assert_eq!(objects(&done), wanted);
    // What is fetched is kept, also over a restart and without the servers.
    let asked = shop.asked().len();
    sources.stop().await;
    drop((sources, registry));
    let sources = following(dir.path(), charts).await;
    assert_eq!(objects(&rendered(&sources, &files).await.unwrap()), wanted);
    assert_eq!(shop.asked().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_needs_a_lock_that_fits_and_nothing_is_asked_before() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), None).await;
    let sources = following(dir.path(), vec![shop.allowed(None)]).await;
    let range = tree(&depends(&shop.url(), "^1.0.0"));
    let lock = format!(
        "dependencies:\n- {{name: redis, repository: \"{}\", version: 1.0.0}}\ndigest: sha256:0\n",
        shop.url()
    );
    let stale = range.clone().file("apps/web/chart/Chart.lock", lock);
    let elsewhere = tree(&depends("https://charts.evil.example/stable", "1.0.0"));
    let beside = tree(&depends(&format!("{}/../private", shop.url()), "1.0.0"));
    let plain = tree(&depends("http://charts.example", "1.0.0"));
    let alias = tree(&depends("@stable", "1.0.0"));
    for (files, message, hint) in [
        (range, "`^1.0.0` is no single version", "helm dependency update apps/web/chart"),
        (stale, "its digest does not fit", "helm dependency update apps/web/chart"),
        (elsewhere, "may not fetch from `https://charts.evil.example/stable`", "--charts https"),
        (beside, "may not fetch from", "--charts"),
        (plain, "only from `https://` and `oci://`", "correct `repository`"),
        (alias, "a name on somebody's machine", "write the URL"),
    ] {
        let fault = rendered(&sources, &files).await.unwrap_err();
        assert_eq!(fault.reason, Reason::DependencyMissing, "{fault}");
        assert!(fault.message.contains(message) && fault.next_step().contains(hint), "{fault}");
    }
    assert_eq!(shop.asked(), [], "nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_goes_to_its_own_server_and_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), Some("ada:secret")).await;
    let stranger = Shop::open(&dir.path().join("other"), None).await;
    let roots = [&shop.ca, &stranger.ca].map(|ca| fs::read_to_string(ca).unwrap()).concat();
    fs::write(&shop.ca, roots).unwrap();
    let account = dir.path().join("account");
    fs::write(&account, "ada:wrong").unwrap();
    let sources = following(dir.path(), vec![shop.allowed(file(&account))]).await;
    shop.sell("redis", "1.0.0", chart("redis", "1.0.0", "one"));
    let files = tree(&depends(&shop.url(), "1.0.0"));
    let fault = rendered(&sources, &files).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DependencyUnfetched, "{fault}");
    assert!(
        fault.message.contains("refuses access") && !fault.message.contains("wrong"),
        "{fault}"
    );
    fs::write(&account, "ada:secret").unwrap();
    until_rendered(&sources, &files).await;
    // The index sends to another server, which gets no account.
    let bytes = chart("redis", "2.0.0", "two");
    let elsewhere = format!("{}/redis-2.0.0.tgz", stranger.url());
    shop.index(("redis", "2.0.0"), Some(&digest(&bytes)), &elsewhere);
    stranger.put("/stable/redis-2.0.0.tgz", bytes);
    until_rendered(&sources, &tree(&depends(&shop.url(), "2.0.0"))).await;
    // So does the server itself.
    let bytes = chart("redis", "3.0.0", "three");
    stranger.index(("redis", "3.0.0"), Some(&digest(&bytes)), "redis-3.0.0.tgz");
    stranger.put("/stable/redis-3.0.0.tgz", bytes);
    let to = format!("https://127.0.0.1:{}", stranger.server.port);
    *shop.instead.lock().unwrap() = Some((302, Some(to)));
    until_rendered(&sources, &tree(&depends(&shop.url(), "3.0.0"))).await;
    let heard = stranger.asked();
    assert!(heard.len() >= 3 && heard.iter().all(|(_, account)| account.is_empty()), "{heard:?}");
    // Without TLS nothing is followed.
    *shop.instead.lock().unwrap() = Some((302, Some("http://127.0.0.1:1".to_owned())));
    let fault = rendered(&sources, &tree(&depends(&shop.url(), "4.0.0"))).await.unwrap_err();
    assert!(fault.message.contains("sends to `http://127.0.0.1:1"), "{fault}");
}

/// Renders until it can be done.
async fn until_rendered(sources: &Sources, files: &MemoryTree) -> Rendered {
    let begun = Instant::now();
    loop {
        match rendered(sources, files).await {
            Ok(done) => return done,
            Err(fault) => assert!(begun.elapsed() < PATIENCE, "{fault}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_changed_its_bytes_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), None).await;
    let sources = following(dir.path(), vec![shop.allowed(None)]).await;
    let first = chart("redis", "1.0.0", "one");
    shop.sell("redis", "1.0.0", first.clone());
    let files = tree(&depends(&shop.url(), "1.0.0"));
    let before = objects(&rendered(&sources, &files).await.unwrap());
    // The server has another one now, with an index that fits it; ours is lost.
    let second = chart("redis", "1.0.0", "evil");
    shop.sell("redis", "1.0.0", second.clone());
    assert_eq!(objects(&rendered(&sources, &files).await.unwrap()), before, "ours stays");
    let hex = |bytes: &[u8]| digest(bytes).trim_start_matches("sha256:").to_owned();
    let kept = dir.path().join("data/charts").join(format!("{}.tgz", hex(&first)));
    fs::remove_file(&kept).unwrap();
    let fault = rendered(&sources, &files).await.unwrap_err();
    assert_eq!(fault.reason, Reason::DependencyRefused, "{fault}");
    for says in ["`redis` 1.0.0", &shop.url(), &hex(&first)[..12], &hex(&second)[..12]] {
        assert!(fault.message.contains(says), "{fault}");
    }
    shop.sell("redis", "1.0.0", first);
    assert_eq!(objects(&until_rendered(&sources, &files).await), before);
}

/// A packed file that is 200 MB of nothing.
fn bomb() -> Vec<u8> {
    let packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut builder = tar::Builder::new(packer);
    for part in 0..20 {
        let mut header = tar::Header::new_gnu();
        header.set_size(10 << 20);
        header.set_mode(0o644);
        let path = format!("redis/{part}");
        builder
            .append_data(&mut header, path, std::io::Read::take(std::io::repeat(0), 10 << 20))
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A file that would stand above the archive.
fn escape() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    let path = b"redis/../../evil";
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_cksum();
    builder.append(&header, &b"evil"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_repositories_of_charts_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), None).await;
    let sources = following(dir.path(), vec![shop.allowed(None)]).await;
    let link = |url: &str| shop.index(("redis", "9.0.0"), None, url);
    let cases: [(&str, &str, Set<'_>); 9] = [
        ("1.0.0", "over the limit of unpacked bytes", &|v| shop.sell("redis", v, bomb())),
        ("2.0.0", "leads out of the archive", &|v| shop.sell("redis", v, escape())),
        ("3.0.0", "the archive holds chart `mysql`", &|v| {
            shop.sell("redis", v, chart("mysql", v, ""));
        }),
        ("4.0.0", "cannot be unpacked", &|v| shop.sell("redis", v, b"this is no archive".to_vec())),
        ("5.0.0", "no `Chart.yaml`", &|v| shop.sell("redis", v, archive(&[("redis/a", "b")]))),
        ("6.0.0", "does not fit the digest", &|v| {
            shop.sell("redis", v, chart("redis", v, "one"));
            shop.put("/stable/redis-6.0.0.tgz", chart("redis", v, "two"));
        }),
        ("7.0.0", "and none is `7.0.0`", &|_| {
            shop.sell("redis", "7.0.1", chart("redis", "7.0.1", ""));
        }),
        ("9.0.0", "does not begin with `https://`", &|_| link("http://127.0.0.1:1/redis.tgz")),
        ("9.0.0", "does not begin with `https://`", &|_| link("file:///etc/passwd")),
    ];
    for (version, says, set) in cases {
        set(version);
        let fault = rendered(&sources, &tree(&depends(&shop.url(), version))).await.unwrap_err();
        assert_eq!(fault.reason, Reason::DependencyRefused, "{fault}");
        assert!(fault.message.contains(says), "{version}: {fault}");
        assert!(fault.message.contains(&shop.url()), "{fault}");
    }
    let kept = fs::read_dir(dir.path().join("data/charts")).unwrap().count();
    assert_eq!(kept, 0, "nothing of it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_waits_for_its_chart_and_keeps_its_release_while_the_server_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), None).await;
    shop.sell("redis", "1.0.0", chart("redis", "1.0.0", "one"));
    let repository = Repository::new(&dir.path().join("repository"));
    repository.write("apps/web/app.yaml", app_yaml("web", "  source: {path: chart}\n"));
    repository.write("apps/web/chart/Chart.yaml", depends(&shop.url(), "1.0.0"));
    let first = repository.commit_all("Depend");
    *shop.instead.lock().unwrap() = Some((503, None));
    let mut record = flow::source("fleet", &repository.url());
    record.charts = vec![shop.allowed(None)];
    let flow = Flow::start(vec![record], 1).await;
    let fault = |flow: &Flow| flow.app("web").and_then(|app| app.offer.fault.clone());
    let says = |flow: &Flow, words: &str| fault(flow).is_some_and(|f| f.message().contains(words));
    flow.until("the fault is told", |flow| says(flow, "answers 503")).await;
    let told = fault(&flow).unwrap();
    assert_eq!(told.reason(), Some(Reason::DependencyUnfetched));
    assert!(told.message().contains("apps/web/chart/Chart.yaml:5"), "{}", told.message());
    // Tried again by itself.
    *shop.instead.lock().unwrap() = None;
    let commit = |flow: &Flow| Some(flow.app("web")?.offer.candidate.as_ref()?.commit.clone());
    flow.until("a release", |flow| {
        let told = fault(flow).filter(|told| told.reason() != Some(Reason::DependencyUnfetched));
        assert_eq!(told, None);
        commit(flow).as_ref() == Some(&first)
    })
    .await;
    // The next version cannot be had: the release stays, and why is told.
    *shop.instead.lock().unwrap() = Some((503, None));
    let second = repository.commit("apps/web/chart/Chart.yaml", depends(&shop.url(), "1.1.0"));
    flow.until("the fault is told", |flow| says(flow, "answers 503")).await;
    assert_eq!(commit(&flow), Some(first));
    shop.sell("redis", "1.1.0", chart("redis", "1.1.0", "two"));
    *shop.instead.lock().unwrap() = None;
    flow.until("the next release", |flow| commit(flow).as_ref() == Some(&second)).await;
}

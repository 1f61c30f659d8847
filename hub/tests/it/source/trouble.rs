//! What fails, how it reads, and that nothing is lost by it.

use std::{fs, path::PathBuf};

use super::{
    server::{Mood, Server},
    *,
};

/// The only mirror.
fn mirror(dir: &Path) -> PathBuf {
    let all = fs::read_dir(dir.join("sources")).unwrap().flatten().map(|entry| entry.path());
    let mut all = all.filter(|path| path.extension().is_some_and(|e| e == "git"));
    let only = all.next().expect("there is a mirror");
    assert_eq!(all.next(), None);
    only
}

pub(super) struct Https {
    pub(super) dir: tempfile::TempDir,
    pub(super) repository: Repository,
    pub(super) server: Server,
    ca: PathBuf,
}

pub(super) async fn https(account: Option<&str>) -> Https {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let server = Server::start(dir.path(), account).await;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &server.root).unwrap();
    Https { dir, repository, server, ca }
}

impl Https {
    pub(super) fn config(&self) -> SourceConfig {
        let mut config = config(&self.server.url("repo"), "main");
        config.auth.ca = file(&self.ca);
        config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_trouble_has_its_reason_and_the_last_commit_stays() {
    let here = https(None).await;
    let short = SourceLimits { silence: Duration::from_secs(4), ..limits() };
    let sources = start(here.dir.path(), short);
    sources.add(here.config()).unwrap();
    let commit = here.repository.head();
    until_at(&sources, &commit).await;
    for (mood, reason) in [
        (Mood::Page, Reason::GitNotARepository),
        (Mood::Code(404), Reason::GitNotARepository),
        (Mood::Code(403), Reason::GitAuthFailed),
        (Mood::Code(401), Reason::GitAuthFailed),
        (Mood::Code(500), Reason::GitUnreachable),
        (Mood::Code(503), Reason::GitUnreachable),
        (Mood::Limited(0), Reason::SourceRateLimited),
        (Mood::Moved("https://elsewhere.example/repo"), Reason::SourceMoved),
        (Mood::Silent, Reason::GitTimeout),
    ] {
        here.server.mood(mood);
        let failed = |status: &SourceStatus| status.state.reason().is_some();
        let status = until(&sources, "failed", failed).await;
        assert_eq!(status.state.reason(), Some(reason), "{mood:?}: {}", status.state.message());
        assert_eq!(status.revision.unwrap().commit, commit, "{mood:?}");
        assert!(status.state.message().contains("127.0.0.1"), "{:?}", status.state);
        assert!(status.state.next.is_some());
        assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
        here.server.mood(Mood::Good);
        until_at(&sources, &commit).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_cut_off_changes_nothing_and_is_fetched_again() {
    let here = https(None).await;
    let sources = start(here.dir.path(), limits());
    sources.add(here.config()).unwrap();
    let first = here.repository.head();
    until_at(&sources, &first).await;
    here.server.mood(Mood::Cut);
    let second = here.repository.commit("a.txt", "2");
    let broken = |status: &SourceStatus| status.state.reason().is_some();
    let status = until(&sources, "broken", broken).await;
    assert!(status.state.message().contains("broke off"), "{:?}", status.state);
    assert_eq!(status.revision.unwrap().commit, first);
    here.server.mood(Mood::Good);
    until_at(&sources, &second).await;
    assert_eq!(read(&sources, "a.txt"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_root_is_refused() {
    let here = https(None).await;
    let sources = start(here.dir.path(), limits());
    sources.add(config(&here.server.url("repo"), "main")).unwrap();
    let status = until_reason(&sources, Reason::GitTlsFailed).await;
    assert!(status.state.message().contains("UnknownIssuer"), "{:?}", status.state);
    fs::write(&here.ca, "nonsense").unwrap();
    sources.add(here.config()).unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("ca.pem"), "{:?}", status.state);
    fs::write(&here.ca, &here.server.root).unwrap();
    until_at(&sources, &here.repository.head()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_with_git_out_of_reach_the_last_commit_is_served() {
    let here = https(None).await;
    let sources = start(here.dir.path(), limits());
    sources.add(here.config()).unwrap();
    let commit = here.repository.head();
    until_at(&sources, &commit).await;
    sources.stop().await;
    let config = here.config();
    drop(here.server);
    let sources = start(here.dir.path(), limits());
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::GitUnreachable).await;
    assert_eq!(status.revision.unwrap().commit, commit);
    assert_eq!(status.fetched_at, None);
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_gone_keeps_its_last_commit() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    let commit = repository.head();
    until_at(&sources, &commit).await;
    fs::rename(&repository.dir, dir.path().join("away")).unwrap();
    let status = until_reason(&sources, Reason::GitNotARepository).await;
    assert_eq!(status.revision.unwrap().commit, commit);
    fs::rename(dir.path().join("away"), &repository.dir).unwrap();
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_hub_left_behind_is_swept_away() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    sources.stop().await;
    let mirror = mirror(dir.path());
    for left in ["refs/tidegate-new.lock", "shallow.lock", "packed-refs.lock", "HEAD.lock"] {
        fs::write(mirror.join(left), "").unwrap();
    }
    fs::create_dir_all(dir.path().join("sources/fleet.new/objects")).unwrap();
    let commit = repository.commit("a.txt", "2");
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &commit).await;
    assert!(!dir.path().join("sources/fleet.new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    sources.stop().await;
    let packs = mirror(dir.path()).join("objects");
    fs::remove_dir_all(&packs).unwrap();
    fs::create_dir_all(packs.join("pack")).unwrap();
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_any_more_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let mut noise = String::new();
    for n in 0..20_000_u64 {
        noise += &n.wrapping_mul(n << 20).to_string();
    }
    repository.commit("noise.txt", &noise);
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let packs = fs::read_dir(mirror(dir.path()).join("objects/pack")).unwrap();
    let pack =
        packs.flatten().map(|f| f.path()).find(|p| p.extension().unwrap() == "pack").unwrap();
    let mut permissions = fs::metadata(&pack).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(&pack, permissions).unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 1000].fill(0);
    fs::write(&pack, bytes).unwrap();
    let old = sources.snapshot(&name()).unwrap();
    assert!(matches!(old.tree.read("noise.txt"), Err(render::TreeError::Other { .. })));
    let healed = |_: &SourceStatus| {
        sources
            .snapshot(&name())
            .unwrap()
            .tree
            .read("noise.txt")
            .is_ok_and(|b| b == noise.as_bytes())
    };
    until(&sources, "healed", healed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_many_packs_is_built_anew_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let few = SourceLimits { packs_max: 3, ..limits() };
    let sources = start(dir.path(), few);
    sources.add(config(&repository.url(), "main")).unwrap();
    for round in 0..10 {
        let commit = repository.commit("a.txt", format!("{round}"));
        until_at(&sources, &commit).await;
        assert_eq!(read(&sources, "a.txt"), format!("{round}"));
    }
    let packs = fs::read_dir(mirror(dir.path()).join("objects/pack")).unwrap();
    let packs = packs.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "pack"));
    assert!(packs.count() <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_brings_too_much_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let small = SourceLimits { fetch_bytes_max: 1 << 18, ..limits() };
    let sources = start(dir.path(), small);
    sources.add(config(&repository.url(), "main")).unwrap();
    let first = repository.head();
    until_at(&sources, &first).await;
    // Noise that does not compress, enough that receiving it takes several looks of the watchdog.
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(seed >> 56).unwrap()
    };
    for file in 0..12 {
        let megabyte: Vec<u8> = std::iter::repeat_with(&mut noise).take(1 << 20).collect();
        repository.write(&format!("noise/{file}"), megabyte);
    }
    repository.commit_all("Noise");
    let status = until_reason(&sources, Reason::GitTooLarge).await;
    assert_eq!(status.revision.unwrap().commit, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_follows_something_else_serves_nothing_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    sources.stop().await;
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "other")).unwrap();
    let status = until_reason(&sources, Reason::GitRefNotFound).await;
    assert_eq!(status.revision, None);
    assert!(sources.snapshot(&name()).is_none());
}

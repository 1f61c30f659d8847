//! Each real server in the same bad moods: gone, silent, slow, half open, cut off, saying something else. None of them
//! loses what was fetched, each has its reason, and the next good moment mends it.

use std::fs;

use model::source::{Signer, SourceVerify, VerifyMode};

use super::{
    artifact::quick,
    daemon::daemon,
    front::{Front, Way},
    registry::Registry,
    server::Server,
    sshd::{Sshd, keygen},
    *,
};

/// A server behind a front, and a pen that writes into it.
struct Story<'a> {
    front: &'a Front,
    config: SourceConfig,
    limits: SourceLimits,
    dir: &'a Path,
    /// Reasons that fit each mood.
    gone: &'a [Reason],
    garbage: &'a [Reason],
}

/// Noise that cannot be packed, longer than what a front lets through of it.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(200_000).collect()
}

impl Story<'_> {
    /// Plays all moods; `push` makes the next revision and gives its name.
    async fn play(self, mut push: impl AsyncFnMut(usize) -> Commit) {
        let first = push(0).await;
        let limits = SourceLimits { silence: Duration::from_secs(3), ..self.limits };
        let sources = start(self.dir, limits);
        sources.add(self.config).unwrap();
        until_at(&sources, &first).await;
        let mut held = first;
        let slow = [Reason::GitTimeout];
        let cut = [Reason::GitUnreachable, Reason::OciUnreachable, Reason::GitNotARepository];
        for (round, (way, reasons)) in [
            (Way::Gone, self.gone),
            (Way::Silent, &slow[..]),
            (Way::Garbage, self.garbage),
            (Way::Half(40), &slow[..]),
            (Way::Half(50_000), &slow[..]),
            (Way::Cut(50_000), &cut[..]),
        ]
        .into_iter()
        .enumerate()
        {
            self.front.set(way);
            let next = push(round + 1).await;
            // What was on its way when the mood changed may have ended in another way.
            let failed = |status: &SourceStatus| {
                status.state.reason().is_some_and(|reason| reasons.contains(&reason))
            };
            let status = until(&sources, &format!("{way:?}"), failed).await;
            let message = status.state.message();
            assert!(message.contains("127.0.0.1"), "{way:?}: {message}");
            assert!(status.state.next.is_some(), "{way:?}");
            assert_eq!(status.revision.unwrap().commit, held, "{way:?}");
            let round = round.to_string();
            assert_eq!(read(&sources, "round.txt"), round, "{way:?}");
            self.front.set(Way::Open);
            until_at(&sources, &next).await;
            held = next;
        }
        // Slow is no failure.
        self.front.set(Way::Slow);
        let next = push(7).await;
        until_at(&sources, &next).await;
        assert_eq!(read(&sources, "round.txt"), "7");
    }
}

/// The next commit: a word that tells which, and noise.
fn commit(repository: &Repository, round: usize) -> Commit {
    repository.write("noise.bin", noise(round));
    repository.commit("round.txt", round.to_string())
}

const GIT_GONE: &[Reason] = &[Reason::GitUnreachable];

#[tokio::test(flavor = "multi_thread")]
async fn sshd_in_bad_moods() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let Some(sshd) = Sshd::start(&dir.path().join("sshd"), "ed25519").await else { return };
    let front = Front::before(sshd.port).await;
    let port = |text: String| text.replace(&sshd.port.to_string(), &front.port.to_string());
    let known_hosts = dir.path().join("known_hosts");
    fs::write(&known_hosts, port(sshd.known_hosts())).unwrap();
    let mut config = config(&port(sshd.url(&repository.dir)), "main");
    config.auth.ssh_key = file(&sshd.user_key("ed25519", ""));
    config.auth.known_hosts = file(&known_hosts);
    // It waits for the line that every server of its kind begins with.
    let (limits, garbage) = (limits(), &[Reason::GitTimeout, Reason::GitUnreachable][..]);
    let story = Story { front: &front, config, limits, dir: dir.path(), gone: GIT_GONE, garbage };
    story.play(async |round| commit(&repository, round)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_http_backend_in_bad_moods() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let server = Server::start(dir.path(), Some("YWRhOnNlY3JldA==")).await;
    let other = Server::start(dir.path(), Some("YWRhOnNlY3JldA==")).await;
    let front = Front::before(server.port).await;
    let (ca, credentials) = (dir.path().join("ca.pem"), dir.path().join("credentials"));
    fs::write(&ca, &server.root).unwrap();
    fs::write(&credentials, "ada:secret").unwrap();
    let mut config = config(&format!("https://127.0.0.1:{}/repo/.git", front.port), "main");
    config.auth.ca = file(&ca);
    config.auth.credentials = file(&credentials);
    let garbage = &[Reason::GitTlsFailed, Reason::GitUnreachable];
    let (limits, config_again) = (limits(), config.clone());
    let story = Story { front: &front, config, limits, dir: dir.path(), gone: GIT_GONE, garbage };
    story.play(async |round| commit(&repository, round)).await;
    // Another certificate than the one that is known, and then that one is known too.
    front.set(Way::Open);
    let sources = start(&dir.path().join("again"), limits);
    sources.add(config_again).unwrap();
    let held = repository.head();
    until_at(&sources, &held).await;
    front.lead_to(other.port);
    let next = commit(&repository, 8);
    let status = until_reason(&sources, Reason::GitTlsFailed).await;
    assert_eq!(status.revision.unwrap().commit, held);
    fs::write(&ca, &other.root).unwrap();
    until_at(&sources, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_daemon_in_bad_moods() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let key = dir.path().join("ada");
    keygen(&key, "ed25519", "");
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("user.signingkey", key.to_str().unwrap()),
        ("commit.gpgsign", "true"),
    ] {
        repository.git(&["config", name, value]);
    }
    let (port, _mood) = daemon(dir.path());
    let front = Front::before(port).await;
    let mut config = config(&format!("git://127.0.0.1:{}/repo/.git", front.port), "main");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let ada = Signer { name: "ada".to_owned(), key: public, valid_from: None, valid_until: None };
    let verify = SourceVerify { mode: VerifyMode::Head, signers: vec![ada], keyless: None };
    config.verify = Some(verify);
    let garbage = &[Reason::GitNotARepository, Reason::GitUnreachable];
    let limits = limits();
    let story = Story { front: &front, config, limits, dir: dir.path(), gone: GIT_GONE, garbage };
    story.play(async |round| commit(&repository, round)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_bad_moods() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(&dir.path().join("registry"), true) else { return };
    let Some(other) = Registry::start(&dir.path().join("other"), true) else { return };
    let front = Front::before(registry.port).await;
    let credentials = dir.path().join("credentials");
    fs::write(&credentials, "ada:secret").unwrap();
    let mut config = config(&format!("oci://127.0.0.1:{}/apps", front.port), "latest");
    config.auth.ca = file(&registry.ca);
    config.auth.credentials = file(&credentials);
    let gone = &[Reason::OciUnreachable];
    let garbage = &[Reason::GitTlsFailed, Reason::OciUnreachable];
    let limits = quick();
    let push = async |registry: &Registry, round: usize| {
        let (word, noise) = (round.to_string(), hex::encode(noise(round)));
        let files = [("round.txt", word.as_str()), ("noise.txt", noise.as_str())];
        let digest = registry.push_files("apps", "latest", &files).await;
        Commit::parse(digest.strip_prefix("sha256:").unwrap()).unwrap()
    };
    let story =
        Story { front: &front, config: config.clone(), limits, dir: dir.path(), gone, garbage };
    story.play(async |round| push(&registry, round).await).await;
    // Another certificate than the one that is known, and then that one is known too.
    front.set(Way::Open);
    let sources = start(&dir.path().join("again"), limits);
    let ca = dir.path().join("ca.pem");
    fs::copy(&registry.ca, &ca).unwrap();
    config.auth.ca = file(&ca);
    sources.add(config).unwrap();
    let held = push(&registry, 8).await;
    until_at(&sources, &held).await;
    let next = push(&other, 9).await;
    front.lead_to(other.port);
    let status = until_reason(&sources, Reason::GitTlsFailed).await;
    assert_eq!(status.revision.unwrap().commit, held);
    fs::copy(&other.ca, &ca).unwrap();
    until_at(&sources, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_limits_how_often_it_is_asked_is_left_alone_for_as_long_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start_answering_with(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (429, vec![("retry-after", "600".to_owned())], Vec::new())
    })
    .await;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, &server.root).unwrap();
    let mut config = config(&format!("oci://127.0.0.1:{}/apps", server.port), "latest");
    config.auth.ca = file(&ca);
    let sources = start(dir.path(), quick());
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::SourceRateLimited).await;
    assert!(status.state.message().contains("limits how often"), "{:?}", status.state);
    for _ in 0..20 {
        sources.poke(&name());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1, "also when poked");
}

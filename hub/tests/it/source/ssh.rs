//! Git over SSH against OpenSSH's server: keys, host keys, and a server that misbehaves.

use std::{fs, path::PathBuf};

use super::{
    sshd::{Mood, Sshd, keygen},
    *,
};

struct Here {
    dir: tempfile::TempDir,
    repository: Repository,
    sshd: Sshd,
    known_hosts: PathBuf,
}

async fn here(host_kind: &str) -> Option<Here> {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("it's-a-repo"));
    let sshd = Sshd::start(&dir.path().join("sshd"), host_kind).await?;
    let known_hosts = dir.path().join("known_hosts");
    fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    Some(Here { dir, repository, sshd, known_hosts })
}

impl Here {
    fn config(&self, key: &Path) -> SourceConfig {
        let mut config = config(&self.sshd.url(&self.repository.dir), "main");
        config.auth.ssh_key = file(key);
        config.auth.known_hosts = file(&self.known_hosts);
        config
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_kinds_sign_in_to_hosts_of_all_kinds() {
    for (host, user) in [("ed25519", "rsa"), ("ecdsa", "ed25519"), ("rsa", "ecdsa")] {
        let Some(here) = here(host).await else { return };
        let key = here.sshd.user_key(user, "");
        let sources = start(here.dir.path(), limits());
        sources.add(here.config(&key)).unwrap();
        until_at(&sources, &here.repository.head()).await;
        let commit = here.repository.commit("a.txt", "2");
        until_at(&sources, &commit).await;
        assert_eq!(read(&sources, "a.txt"), "2", "{host} {user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_passphrase_is_opened_by_it_and_nothing_of_either_is_shown() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "hunter2");
    let sources = start(here.dir.path(), limits());
    let mut config = here.config(&key);
    sources.add(config.clone()).unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("needs a passphrase"), "{:?}", status.state);
    let passphrase = here.dir.path().join("passphrase");
    config.auth.ssh_passphrase = file(&passphrase);
    fs::write(&passphrase, "wrong-hunter").unwrap();
    sources.add(config).unwrap();
    let says = |s: &SourceStatus| s.state.message().contains("does not open it");
    let status = until(&sources, "refused", says).await;
    assert!(!status.state.message().contains("hunter"), "{:?}", status.state);
    fs::write(&passphrase, "hunter2\n").unwrap();
    until_at(&sources, &here.repository.head()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_sign_in_is_named_by_its_fingerprint() {
    let Some(here) = here("ed25519").await else { return };
    let stranger = here.dir.path().join("stranger");
    keygen(&stranger, "ed25519", "");
    let sources = start(here.dir.path(), limits());
    sources.add(here.config(&stranger)).unwrap();
    let status = until_reason(&sources, Reason::GitAuthFailed).await;
    assert!(
        status.state.message().contains("refuses key ssh-ed25519 SHA256:"),
        "{:?}",
        status.state
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_and_a_changed_host_key_are_refused_with_both_fingerprints() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "");
    let sources = start(here.dir.path(), limits());
    let known = fs::read_to_string(&here.known_hosts).unwrap();
    fs::write(&here.known_hosts, known.replace("127.0.0.1", "other.example")).unwrap();
    sources.add(here.config(&key)).unwrap();
    let status = until_reason(&sources, Reason::SshHostUnknown).await;
    assert!(status.state.message().contains(&here.sshd.fingerprint()), "{:?}", status.state);
    fs::write(&here.known_hosts, &known).unwrap();
    until_at(&sources, &here.repository.head()).await;
    let old = here.sshd.fingerprint();
    here.sshd.renew("ed25519");
    // Connections that are open stay; the next one meets the new key.
    here.sshd.kill();
    let status = until_reason(&sources, Reason::SshHostChanged).await;
    for print in [old, here.sshd.fingerprint()] {
        assert!(status.state.message().contains(&print), "{print}: {:?}", status.state);
    }
    assert_eq!(status.revision.unwrap().commit, here.repository.head());
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
    fs::write(&here.known_hosts, here.sshd.known_hosts()).unwrap();
    until_at(&sources, &here.repository.head()).await;
    fs::write(&here.known_hosts, "nonsense\n").unwrap();
    let status = until_reason(&sources, Reason::SecretUnreadable).await;
    assert!(status.state.message().contains("line 1"), "{:?}", status.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashed_known_hosts_is_understood() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "");
    let hashed = std::process::Command::new("ssh-keygen")
        .args(["-H", "-f"])
        .arg(&here.known_hosts)
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(&here.known_hosts).unwrap().starts_with("|1|"));
    let sources = start(here.dir.path(), limits());
    sources.add(here.config(&key)).unwrap();
    until_at(&sources, &here.repository.head()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_all_looks_and_is_made_again_when_it_dies() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "");
    let sources = start(here.dir.path(), limits());
    sources.add(here.config(&key)).unwrap();
    until(&sources, "20 looks", |status| status.looks >= 20).await;
    assert_eq!(here.sshd.connections(), 1);
    assert_eq!(sources.status(&name()).unwrap().fetches, 1);
    here.sshd.kill();
    let commit = here.repository.commit("a.txt", "2");
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_newer_protocol_is_followed_too() {
    let Some(here) = here("ed25519").await else { return };
    here.sshd.configure("AcceptEnv GIT_PROTOCOL\n", "");
    let key = here.sshd.user_key("ed25519", "");
    let sources = start(here.dir.path(), limits());
    sources.add(here.config(&key)).unwrap();
    until_at(&sources, &here.repository.head()).await;
    let commit = here.repository.commit("a.txt", "2");
    until_at(&sources, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_said_in_the_servers_words() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "");
    let sources = start(here.dir.path(), limits());
    let mut config = here.config(&key);
    config.url = here.sshd.url(&here.dir.path().join("nothing"));
    sources.add(config).unwrap();
    let status = until_reason(&sources, Reason::GitNotARepository).await;
    assert!(status.state.message().contains("does not appear to be a git"), "{:?}", status.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_half_open_or_no_ssh_costs_a_pause_and_nothing_else() {
    let Some(here) = here("ed25519").await else { return };
    let key = here.sshd.user_key("ed25519", "");
    let short = SourceLimits { silence: Duration::from_secs(3), ..limits() };
    let sources = start(here.dir.path(), short);
    sources.add(here.config(&key)).unwrap();
    let commit = here.repository.head();
    until_at(&sources, &commit).await;
    for (mood, reason) in [
        (Mood::Silent, Reason::GitTimeout),
        (Mood::Garbage, Reason::GitUnreachable),
        (Mood::Closed, Reason::GitUnreachable),
    ] {
        here.sshd.mood(mood);
        here.sshd.kill();
        let failed = |status: &SourceStatus| status.state.reason().is_some();
        let status = until(&sources, "failed", failed).await;
        assert_eq!(status.state.reason(), Some(reason), "{mood:?}: {}", status.state.message());
        assert_eq!(status.revision.unwrap().commit, commit, "{mood:?}");
        here.sshd.mood(Mood::Good);
        until_at(&sources, &commit).await;
    }
}

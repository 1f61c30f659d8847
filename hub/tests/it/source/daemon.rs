//! Git's own daemon, `git://`: only with signatures, and whatever it does, the last commit stays.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use model::source::{Signer, SourceVerify, VerifyMode};

use super::{sshd::keygen, *};

/// What the daemon does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Takes the connection and says nothing.
    Silent,
    /// Says what no Git server says.
    Garbage,
    /// Ends at once.
    Gone,
}

/// `git daemon` for each connection; the thread ends with the process.
pub(super) fn daemon(root: &Path) -> (u16, Arc<Mutex<Mood>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mood = Arc::new(Mutex::new(Mood::Good));
    let (root, feels) = (root.display().to_string(), mood.clone());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            match *feels.lock().unwrap() {
                Mood::Gone => {}
                Mood::Silent => held.push(stream),
                Mood::Garbage => {
                    drop(std::io::Write::write_all(&mut &stream, b"HTTP/1.1 400 what?\r\n\r\n"));
                }
                Mood::Good => {
                    let out = OwnedFd::from(stream.try_clone().unwrap());
                    let mut git = Command::new("git");
                    git.args([
                        "daemon",
                        "--inetd",
                        "--export-all",
                        &format!("--base-path={root}"),
                        &root,
                    ]);
                    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
                    git.stdin(Stdio::from(OwnedFd::from(stream)))
                        .stdout(Stdio::from(out))
                        .stderr(Stdio::null());
                    let mut child = git.spawn().unwrap();
                    std::thread::spawn(move || child.wait());
                }
            }
        }
    });
    (port, mood)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_followed_for_the_signatures_and_its_moods_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let key = dir.path().join("ada");
    keygen(&key, "ed25519", "");
    repository.git(&["config", "gpg.format", "ssh"]);
    repository.git(&["config", "user.signingkey", key.to_str().unwrap()]);
    let signed = |text: &str| {
        repository.write("a.txt", text);
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-q", "-S", "-m", text]);
        repository.head()
    };
    let (port, mood) = daemon(dir.path());
    let mut config = config(&format!("git://127.0.0.1:{port}/repo/.git"), "main");
    let refused = config.check().unwrap_err().to_string();
    assert!(refused.contains("verify"), "{refused}");
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let ada = Signer { name: "ada".to_owned(), key: public, valid_from: None, valid_until: None };
    config.verify =
        Some(SourceVerify { mode: VerifyMode::Head, signers: vec![ada], keyless: None });
    let first = signed("1");
    let short = SourceLimits { silence: Duration::from_secs(3), ..limits() };
    let sources = start(dir.path(), short);
    sources.add(config).unwrap();
    until_at(&sources, &first).await;
    for (now, reason) in [
        (Mood::Silent, Reason::GitTimeout),
        (Mood::Gone, Reason::GitUnreachable),
        (Mood::Garbage, Reason::GitNotARepository),
    ] {
        *mood.lock().unwrap() = now;
        let failed = |status: &SourceStatus| status.state.reason().is_some();
        let status = until(&sources, "failed", failed).await;
        let message = status.state.message();
        assert!(
            status.state.reason() == Some(reason) || now == Mood::Garbage,
            "{now:?}: {message}"
        );
        assert!(message.contains("127.0.0.1"), "{message}");
        assert_eq!(read(&sources, "a.txt"), "1");
        *mood.lock().unwrap() = Mood::Good;
        until_at(&sources, &first).await;
    }
    let second = signed("2");
    until_at(&sources, &second).await;
    // Whoever sits on the way can give any commit, and gets nowhere with it.
    repository.commit("a.txt", "3");
    let status = until_reason(&sources, Reason::CommitUnsigned).await;
    assert_eq!(status.revision.unwrap().commit, second);
    assert_eq!(read(&sources, "a.txt"), "2");
}

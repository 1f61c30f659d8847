//! What following a repository costs on the wire, beside Git itself in the same run: a look that finds nothing new, and a
//! fetch of one changed file among a thousand.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use hub::{
    clock::Clock,
    source::{SourceConfig, SourceLimits, Sources},
};
use model::{
    SourceName,
    source::{Signer, SourceVerify},
};

use super::{
    Options,
    relay::Relay,
    release,
    table::{Row, median},
};
use crate::stage::Error;

/// Files of the repository.
const FILES: usize = 1_000;
/// Looks over which bytes of one are counted.
const LOOKS: u64 = 20;
/// Longest wait for a commit.
const PATIENCE: Duration = Duration::from_mins(1);

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("count bytes of Git: {error}"))
}

/// Runs a program; its words when it fails.
fn run(program: &str, folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .output()
        .map_err(fault)?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    } else {
        Err(fault(String::from_utf8_lossy(&done.stderr)))
    }
}

/// Git's own daemon, a process for each connection; the thread ends with the program.
fn daemon(root: &Path) -> Result<u16, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(fault)?;
    let port = listener.local_addr().map_err(fault)?.port();
    let root = root.display().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(out) = stream.try_clone() else { continue };
            let base = format!("--base-path={root}");
            let child = Command::new("git")
                .args(["daemon", "--inetd", "--export-all", &base, &root])
                .stdin(Stdio::from(OwnedFd::from(stream)))
                .stdout(Stdio::from(OwnedFd::from(out)))
                .stderr(Stdio::null())
                .spawn();
            if let Ok(mut child) = child {
                std::thread::spawn(move || child.wait());
            }
        }
    });
    Ok(port)
}

/// A signed repository, followed by us, and a clone for the tool.
struct Scene {
    folder: tempfile::TempDir,
    sources: Sources,
    name: SourceName,
    /// Between us and the server, and between the tool and the server.
    ours: Relay,
    bare: Relay,
}

impl Scene {
    async fn new() -> Result<Scene, Error> {
        let folder = tempfile::tempdir().map_err(fault)?;
        let repository = folder.path().join("repo");
        std::fs::create_dir_all(&repository).map_err(fault)?;
        let key = folder.path().join("ada");
        let key_text = key.display().to_string();
        run("ssh-keygen", folder.path(), &["-q", "-t", "ed25519", "-N", "", "-f", &key_text])?;
        run("git", &repository, &["init", "-q", "-b", "main"])?;
        for (name, value) in
            [("gpg.format", "ssh"), ("user.signingkey", &key_text), ("commit.gpgsign", "true")]
        {
            run("git", &repository, &["config", name, value])?;
        }
        for file in 0..FILES {
            write(&repository, file, 0)?;
        }
        let head = commit(&repository, "first")?;
        let port = daemon(folder.path())?;
        let server = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let (ours, bare) = (
            Relay::start(server).await.map_err(fault)?,
            Relay::start(server).await.map_err(fault)?,
        );
        let url = |relay: &Relay| format!("git://{}/repo/.git", relay.address());
        run("git", folder.path(), &["clone", "-q", &url(&bare), "clone"])?;
        let limits =
            SourceLimits { interval: Duration::from_millis(100), ..SourceLimits::default() };
        let sources = Sources::start(folder.path(), Clock::system(), limits).map_err(fault)?;
        let name = SourceName::parse("bench").map_err(fault)?;
        let mut config = SourceConfig::new(name.clone(), &url(&ours), "main");
        let public = std::fs::read_to_string(key.with_extension("pub")).map_err(fault)?;
        let ada = "ada".to_owned();
        let signer = Signer { name: ada, key: public, valid_from: None, valid_until: None };
        config.verify = Some(SourceVerify { signers: vec![signer], ..SourceVerify::default() });
        sources.add(config).map_err(fault)?;
        let scene = Scene { folder, sources, name, ours, bare };
        scene.at(&head).await?;
        Ok(scene)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn looks(&self) -> u64 {
        self.sources.status(&self.name).map_or(0, |status| status.looks)
    }

    /// Waits until we have a commit.
    async fn at(&self, commit: &str) -> Result<(), Error> {
        let there = || {
            self.sources
                .snapshot(&self.name)
                .is_some_and(|now| now.revision.commit.as_str() == commit)
        };
        self.until(there).await
    }

    async fn until(&self, is: impl Fn() -> bool) -> Result<(), Error> {
        let begin = std::time::Instant::now();
        while !is() {
            if begin.elapsed() > PATIENCE {
                return Err(fault(format!("never: {:?}", self.sources.status(&self.name))));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

fn write(repository: &Path, file: usize, round: usize) -> Result<(), Error> {
    let place = repository.join(format!("apps/{}", file % 50));
    std::fs::create_dir_all(&place).map_err(fault)?;
    // A kilobyte that does not pack away: each line differs.
    let lines = (0..20)
        .map(|line| format!("key-{line}: {file}-{round}-{}\n", (file + 7) * (line + 3) * 7_919));
    std::fs::write(place.join(format!("{file}.yaml")), lines.collect::<String>()).map_err(fault)
}

fn commit(repository: &Path, message: &str) -> Result<String, Error> {
    run("git", repository, &["add", "-A"])?;
    run("git", repository, &["commit", "-q", "-m", message])?;
    run("git", repository, &["rev-parse", "HEAD"])
}

/// Both ways since then.
fn since(relay: &Relay, before: (u64, u64)) -> f64 {
    let now = relay.bytes();
    let bytes = now.0 - before.0 + now.1 - before.1;
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Looks and fetches, ours and Git's.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let scene = Scene::new().await?;
    let (mut looks, mut bare_looks) = (Vec::new(), Vec::new());
    let clone = scene.folder.path().join("clone");
    for _ in 0..options.samples(5, 2) {
        let (from, before) = (scene.looks(), scene.ours.bytes());
        scene.until(|| scene.looks() >= from + LOOKS).await?;
        let count = u32::try_from(scene.looks() - from).unwrap_or(1);
        looks.push(since(&scene.ours, before) / f64::from(count));
        let before = scene.bare.bytes();
        run("git", &clone, &["ls-remote", "-q", "origin", "refs/heads/main"])?;
        bare_looks.push(since(&scene.bare, before));
    }
    let (mut fetches, mut bare_fetches) = (Vec::new(), Vec::new());
    for round in 1..=options.samples(10, 3) {
        write(&scene.repository(), round * 13 % FILES, round)?;
        let (from, before) = (scene.looks(), scene.ours.bytes());
        let head = commit(&scene.repository(), "one file")?;
        scene.at(&head).await?;
        // The looks before it are counted above.
        let others = u32::try_from(scene.looks().saturating_sub(from + 1)).unwrap_or(0);
        fetches.push((since(&scene.ours, before) - f64::from(others) * median(&looks)).max(0.0));
        let before = scene.bare.bytes();
        run("git", &clone, &["fetch", "-q", "origin", "main"])?;
        bare_fetches.push(since(&scene.bare, before));
    }
    scene.sources.stop().await;
    let wire = "bytes both ways through a relay, `git daemon`, without TCP and IP headers";
    let beside = "by hand, in turn with the row above";
    Ok(vec![
        Row::spread("git, a look that finds nothing", &looks, "B", wire),
        Row::spread("git, bare `ls-remote` of one ref", &bare_looks, "B", beside),
        Row::spread(
            format!("git, 1 of {FILES} files changed"),
            &fetches,
            "B",
            format!("the look that sees it and the fetch; {wire}"),
        ),
        Row::spread("git, bare `fetch`", &bare_fetches, "B", beside),
        release::measure(options).await?,
    ])
}

//! Following Git: what is fetched, what stays when the other side fails, and how a failure reads.

mod artifact;
mod charts;
mod daemon;
mod files;
mod front;
mod github;
mod hooks;
mod https;
mod keyless;
mod moods;
mod refs;
mod registry;
mod remote;
pub(crate) mod repository;
pub(crate) mod server;
mod signed;
mod sigstore;
mod ssh;
pub(crate) mod sshd;
mod trouble;

use std::{path::Path, time::Duration};

use hub::{
    clock::Clock,
    source::{SourceConfig, SourceLimits, SourceStatus, Sources},
};
use model::{Commit, Reason, SourceName};

use repository::Repository;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

fn name() -> SourceName {
    SourceName::parse("fleet").unwrap()
}

/// Looks often, pauses little.
fn limits() -> SourceLimits {
    SourceLimits {
        interval: Duration::from_millis(20),
        backoff_max: Duration::from_millis(20),
        ..SourceLimits::default()
    }
}

fn start(dir: &Path, limits: SourceLimits) -> Sources {
    rustls::crypto::ring::default_provider().install_default().ok();
    Sources::start(dir, Clock::system(), limits).unwrap()
}

fn config(url: &str, reference: &str) -> SourceConfig {
    SourceConfig::new(name(), url, reference)
}

/// The place of a file.
#[expect(clippy::unnecessary_wraps, reason = "it fills a field that need not be there")]
fn file(path: &Path) -> Option<String> {
    Some(format!("file:{}", path.display()))
}

/// Waits until the status is as wanted.
async fn until(
    sources: &Sources,
    what: &str,
    wanted: impl Fn(&SourceStatus) -> bool,
) -> SourceStatus {
    let begin = std::time::Instant::now();
    loop {
        let status = sources.status(&name()).unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(begin.elapsed() < PATIENCE, "never {what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_at(sources: &Sources, commit: &Commit) -> SourceStatus {
    let at = |status: &SourceStatus| {
        status.revision.as_ref().is_some_and(|r| r.commit == *commit)
            && status.state.reason().is_none()
    };
    until(sources, &format!("at {commit}"), at).await
}

async fn until_reason(sources: &Sources, reason: Reason) -> SourceStatus {
    until(sources, &reason.to_string(), |status| status.state.reason() == Some(reason)).await
}

fn read(sources: &Sources, path: &str) -> String {
    let tree = sources.snapshot(&name()).unwrap().tree;
    String::from_utf8(tree.read(path).unwrap()).unwrap()
}

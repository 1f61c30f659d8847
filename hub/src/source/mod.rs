//! Follows Git, registries and Helm repositories. Of Git there is one bare mirror per remote, looked at every few
//! seconds, fetched only when a ref moved.
//!
//! ```text
//!   poll ──spawn_blocking──> git: ls-refs ──moved?──> fetch ──signed?──> Snapshot (read without checkout)
//!    ▲ hook: a hint to look now
//! ```
//!
//! A source that fails never means that something is gone: the last commit that was fetched stays, also
//! over a restart, until the server gives a newer one. Fetches are bounded in number, time and size.
//!
//! Deliberately absent: what the files mean (that is `render`), submodules, large files kept elsewhere (LFS).

mod poll;
mod follower;
mod hook;
mod git;
mod charts;
mod artifact;
mod caller;
mod web;
mod github;
mod throttle;
mod delay;
mod pauses;
mod fault;
mod config;
mod api;
mod place;
mod limits;
mod follow;
mod secret;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use model::{Commit, Reason, Revision, SourceName, Status};
use render::Tree;
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, watch},
    task::AbortHandle,
};

use artifact::Artifact;
pub(crate) use caller::{Answer, Caller};
use charts::Charts;
pub use charts::SourceCharts;
pub use config::{ConfigError, SourceConfig};
pub(crate) use delay::{dice, pause};
use follower::Follower;
pub use hook::HookError;
use hook::Seen;
pub use limits::SourceLimits;
use pauses::Pauses;
use place::Kind;
use secret::Vault;
pub use secret::{KubernetesApi, NotAPlace, SecretError, SecretRef, Surroundings};
use web::Web;

use crate::clock::Clock;

/// How a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Ready, or why not.
    pub state: Status,
    /// The newest revision that was fetched; stays when the source fails.
    pub revision: Option<Revision>,
    /// Who wrote that commit, `Name <address>`.
    pub commit_author: Option<String>,
    /// First line of its message.
    pub commit_subject: Option<String>,
    /// When the remote last answered with the ref; `None` since the hub started.
    pub fetched_at: Option<Timestamp>,
    /// Looks at the remote since the hub started.
    pub looks: u64,
    /// Looks that had to fetch, because the ref had moved.
    pub fetches: u64,
    /// Who signed the revision, when signatures are wanted.
    pub signed_by: Option<String>,
    /// The last rewriting of history that was noticed, and when.
    pub rewritten: Option<(Timestamp, String)>,
    /// When a webhook last hinted at news.
    pub hinted_at: Option<Timestamp>,
}

/// A commit of a source.
#[derive(Clone)]
pub struct Snapshot {
    /// The commit and the ref it was seen under.
    pub revision: Revision,
    /// Who wrote it, `Name <address>`.
    pub author: Option<String>,
    /// First line of its message.
    pub subject: String,
    /// When it was committed, by the clock of whoever did.
    pub committed_at: Option<Timestamp>,
    /// Whose signatures were checked; nobody's when the source wants none.
    pub signed_by: Vec<Voucher>,
    /// Its files. Reading blocks on the disk.
    pub tree: Arc<dyn Tree + Send + Sync>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// A trusted key whose signature was checked. Shown as `ada (SHA256:…)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// The name by which the source calls it.
    pub signer: String,
    /// Its fingerprint.
    pub key: String,
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.signer, self.key)
    }
}

/// What a look at a source found.
#[derive(Debug, Default)]
struct Look {
    /// What is served from now on, when it is something else than before.
    snapshot: Option<Snapshot>,
    /// Whether something had to be fetched.
    fetched: bool,
    /// That history was rewritten, in a sentence.
    rewritten: Option<String>,
}

/// Why sources cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of the mirrors.
    #[error("folder `{path}` cannot be used for mirrors")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All sources; cloning it gives another handle on the same ones. Ends with [`Sources::stop`].
#[derive(Debug, Clone)]
pub struct Sources(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    clock: Clock,
    limits: SourceLimits,
    permits: Arc<Semaphore>,
    vault: Vault,
    pauses: Pauses,
    remotes: Mutex<BTreeMap<String, Arc<git::Remote>>>,
    charts: Charts,
    entries: Mutex<BTreeMap<SourceName, Entry>>,
    changed: watch::Sender<u64>,
}

/// One source that is followed.
#[derive(Debug)]
struct Entry {
    config: Arc<SourceConfig>,
    follower: Follower,
    seen: Mutex<Seen>,
    state: Arc<Mutex<Followed>>,
    poke: Arc<Notify>,
    stop: Arc<AtomicBool>,
    task: AbortHandle,
}

/// What is known of a source.
#[derive(Debug)]
struct Followed {
    status: SourceStatus,
    snapshot: Option<Snapshot>,
}

impl Sources {
    /// Takes `dir/sources` for its mirrors and `dir/charts` for charts that are fetched, after the locks that a killed hub left there are gone. The
    /// caller holds the lock of `dir`: no other process may use it.
    pub fn start(dir: &Path, clock: Clock, limits: SourceLimits) -> Result<Sources, Error> {
        let beside = Surroundings { own: dir.join("sources"), kubernetes: KubernetesApi::of_pod() };
        Sources::start_beside(dir, clock, limits, beside)
    }

    /// As [`Sources::start`], with what is round it.
    pub fn start_beside(
        dir: &Path,
        clock: Clock,
        limits: SourceLimits,
        beside: Surroundings,
    ) -> Result<Sources, Error> {
        let folder = dir.join("sources");
        let fault = |source| Error::Folder { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(fault)?;
        git::tidy(&folder).map_err(fault)?;
        let permits = Arc::new(Semaphore::new(limits.concurrent));
        let (vault, pauses) = (Vault::new(beside, clock.clone()), Pauses::default());
        let changed = watch::Sender::new(0);
        let means = charts::Means {
            clock: clock.clone(),
            limits,
            permits: permits.clone(),
            vault: vault.clone(),
            pauses: pauses.clone(),
            changed: changed.clone(),
        };
        Ok(Sources(Arc::new(Shared {
            charts: Charts::open(&dir.join("charts"), means).map_err(fault)?,
            vault,
            pauses,
            remotes: Mutex::default(),
            folder,
            clock,
            limits,
            permits,
            entries: Mutex::new(BTreeMap::new()),
            changed,
        })))
    }

    /// Checks all that can be checked without a network.
    pub fn check(config: &SourceConfig) -> Result<(), ConfigError> {
        config.check()?;
        let Some(verify) = &config.verify else { return Ok(()) };
        match config.place()?.kind {
            Kind::Git => git::signers(verify).map(drop),
            Kind::Oci | Kind::Helm => artifact::keys(verify).map(drop),
        }
    }

    /// Follows a source; one of the same name is replaced. Needs a tokio runtime.
    pub fn add(&self, config: SourceConfig) -> Result<(), ConfigError> {
        Sources::check(&config)?;
        let config = Arc::new(config);
        let poke = Arc::new(Notify::new());
        let follower = self.follower(&config, &poke)?;
        self.drop_unused();
        let waiting =
            Status::because(Reason::GitNotFetchedYet, format!("first look at `{}`", config.url));
        let status = SourceStatus {
            state: waiting.since(self.0.clock.now()),
            revision: None,
            commit_author: None,
            commit_subject: None,
            fetched_at: None,
            looks: 0,
            fetches: 0,
            signed_by: None,
            rewritten: None,
            hinted_at: None,
        };
        let state = Arc::new(Mutex::new(Followed { status, snapshot: None }));
        let stop = Arc::new(AtomicBool::new(false));
        let poll = poll::Poll {
            follower: follower.clone(),
            state: state.clone(),
            poke: poke.clone(),
            stop: stop.clone(),
            permits: self.0.permits.clone(),
            clock: self.0.clock.clone(),
            limits: self.0.limits,
            changed: self.0.changed.clone(),
        };
        let task = tokio::spawn(poll.run()).abort_handle();
        let (name, seen) = (config.name.clone(), Mutex::default());
        let entry = Entry { config, follower, seen, state, poke, stop, task };
        lock(&self.0.entries).insert(name, entry);
        self.tell();
        Ok(())
    }

    /// What follows a source from now on, in place of what followed it before.
    fn follower(
        &self,
        config: &Arc<SourceConfig>,
        poke: &Arc<Notify>,
    ) -> Result<Follower, ConfigError> {
        let place = config.place()?;
        let (vault, clock) = (self.0.vault.clone(), self.0.clock.clone());
        let web =
            Web::new(config.clone(), &place.host, self.0.limits.silence, vault, clock.clone());
        if place.kind != Kind::Git {
            let (limits, pauses) = (self.0.limits, self.0.pauses.clone());
            let artifact =
                Artifact::new(&self.0.folder, config.clone(), limits, clock, web, pauses)?;
            self.forget(&config.name);
            return Ok(Follower::Artifact(Arc::new(artifact)));
        }
        let remote = self.remote(config, web)?;
        self.forget(&config.name);
        let mirror = git::Mirror::new(config.clone(), remote, poke.clone())?;
        Ok(Follower::Git(Arc::new(mirror)))
    }

    /// The remote of a source: one for all that name the same URL and prove themselves alike.
    fn remote(
        &self,
        config: &Arc<SourceConfig>,
        web: Web,
    ) -> Result<Arc<git::Remote>, ConfigError> {
        // Holds places of secrets, never secrets.
        let key = format!("{}\n{:?}\n", config.url, config.auth);
        let mut remotes = lock(&self.0.remotes);
        if let Some(remote) = remotes.get(&key) {
            return Ok(remote.clone());
        }
        let means = git::Means {
            limits: self.0.limits,
            clock: self.0.clock.clone(),
            pauses: self.0.pauses.clone(),
        };
        let remote = Arc::new(git::remote_for(&self.0.folder, key.clone(), config, web, means)?);
        remotes.insert(key, remote.clone());
        Ok(remote)
    }

    /// Forgets a source, and its mirror when no other source reads it.
    pub fn remove(&self, name: &SourceName) {
        if let Some(follower) = self.forget(name) {
            follower.discard();
            for remote in self.drop_unused() {
                remote.discard();
            }
            self.tell();
        }
    }

    fn forget(&self, name: &SourceName) -> Option<Follower> {
        let entry = lock(&self.0.entries).remove(name)?;
        self.0.charts.forget(name);
        entry.end();
        entry.follower.leave();
        Some(entry.follower.clone())
    }

    /// Takes out the remotes that nobody follows.
    fn drop_unused(&self) -> Vec<Arc<git::Remote>> {
        let unused: Vec<_> = lock(&self.0.remotes).extract_if(.., |_, r| r.is_unused()).collect();
        unused.into_iter().map(|(_, remote)| remote).collect()
    }

    /// Looks at the remote now, also when it is backing off; not when the server asked for a pause.
    pub fn poke(&self, name: &SourceName) {
        if let Some(entry) = lock(&self.0.entries).get(name) {
            entry.follower.expire();
            entry.poke.notify_one();
        }
    }

    /// Takes a hint from outside that there is something new: looks at the remote now. Blocks while the
    /// secret is read; needs a tokio runtime round it.
    pub fn hint(
        &self,
        name: &SourceName,
        headers: &http::HeaderMap,
        body: &[u8],
    ) -> Result<(), HookError> {
        let hook = lock(&self.0.entries).get(name).and_then(|entry| entry.config.webhook.clone());
        let hook = hook.ok_or(HookError::Refused)?;
        let place = SecretRef::parse(&hook.secret).map_err(|_| HookError::Unreadable)?;
        let secret = self.0.vault.read(&place, &Handle::current()).map_err(|error| {
            tracing::warn!(source = %name, %error, "a webhook cannot be checked");
            HookError::Unreadable
        })?;
        let now = self.0.clock.now();
        let mark = hook::check(hook.provider, &secret, headers, body, now)?;
        if let Some(entry) = lock(&self.0.entries).get(name) {
            lock(&entry.seen).take(mark, self.0.clock.since_start())?;
            lock(&entry.state).status.hinted_at = Some(now);
            entry.follower.expire();
            entry.poke.notify_one();
        }
        Ok(())
    }

    /// The way to the forge of a source, when it is to be told what becomes of commits. Needs a tokio runtime.
    pub(crate) fn caller(&self, name: &SourceName) -> Option<Caller> {
        let config = lock(&self.0.entries).get(name).map(|entry| Arc::clone(&entry.config))?;
        let status = config.commit_status.clone()?;
        let place = config.place().ok()?;
        let api = api::of(&config, &place, &status).ok()?;
        // Keys for ssh and certificates of the Git server are nothing to the API.
        let mut own = SourceConfig::new(name.clone(), &config.url, &config.reference);
        let (ca, credentials) = (status.ca, status.credentials);
        own.auth.github_app = config.auth.github_app.clone().filter(|_| credentials.is_none());
        own.auth.credentials = credentials.or_else(|| config.auth.credentials.clone());
        own.auth.ca = ca.or_else(|| config.auth.ca.clone());
        own.auth.proxy.clone_from(&config.auth.proxy);
        own.auth.proxy_credentials.clone_from(&config.auth.proxy_credentials);
        let (vault, clock) = (self.0.vault.clone(), self.0.clock.clone());
        let web = Web::new(Arc::new(own), &place.host, self.0.limits.silence, vault, clock);
        Some(Caller::new(api, web, self.0.limits.silence))
    }

    /// What the charts of a source depend on, as far as it may be fetched. Needs a tokio runtime.
    pub fn charts(&self, name: &SourceName) -> Option<SourceCharts> {
        let config = lock(&self.0.entries).get(name).map(|entry| Arc::clone(&entry.config))?;
        Some(self.0.charts.of(config))
    }

    /// The sources that are followed.
    pub fn list(&self) -> Vec<SourceConfig> {
        lock(&self.0.entries).values().map(|entry| entry.config.as_ref().clone()).collect()
    }

    /// How a source is; `None` when it is not known.
    pub fn status(&self, name: &SourceName) -> Option<SourceStatus> {
        let entries = lock(&self.0.entries);
        entries.get(name).map(|entry| lock(&entry.state).status.clone())
    }

    /// The newest commit that was fetched; stays when the source fails.
    pub fn snapshot(&self, name: &SourceName) -> Option<Snapshot> {
        let entries = lock(&self.0.entries);
        entries.get(name).and_then(|entry| lock(&entry.state).snapshot.clone())
    }

    /// An older commit of a source, if its mirror still has it; an artifact has none. Blocks.
    pub fn at(&self, name: &SourceName, commit: &Commit) -> Option<Snapshot> {
        let follower = lock(&self.0.entries).get(name).map(|entry| entry.follower.clone())?;
        match follower.at(commit) {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                tracing::warn!(source = %name, commit = commit.short(), ?fault, "an older commit cannot be read");
                None
            }
        }
    }

    /// Counts up when a source is added or removed, has a new commit, or fails or recovers. Not at every look.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Ends all work and waits until the last has ended: from then on nobody writes below the folder. What was fetched
    /// stays.
    pub async fn stop(&self) {
        self.0.charts.stop();
        for entry in std::mem::take(&mut *lock(&self.0.entries)).into_values() {
            entry.end();
        }
        // Whoever works holds one of them, also where its task was ended meanwhile.
        let all = u32::try_from(self.0.limits.concurrent).unwrap_or(u32::MAX);
        drop(self.0.permits.acquire_many(all).await);
    }

    fn tell(&self) {
        self.0.changed.send_modify(|version| *version += 1);
    }
}

impl Entry {
    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.charts.stop();
        for entry in lock(&self.entries).values() {
            entry.end();
        }
    }
}

/// A lock whose holder panicked holds whole values all the same: each is replaced in one go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

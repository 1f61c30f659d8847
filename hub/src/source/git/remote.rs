//! What all sources of one repository share: one mirror on disk, one way to the server, one list of refs in each
//! interval, one pause after a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use gix::{ObjectId, Repository, bstr::ByteSlice};
use model::{Reason, SourceName};
use tokio::sync::Notify;

use super::{
    Means,
    call::Call,
    connect::{self, Link},
    fault, watchdog,
};
use crate::{
    clock::Clock,
    source::{
        SourceLimits,
        delay::{self, dice},
        fault::Fault,
        follow::Follow,
        lock,
        pauses::Pauses,
    },
};

/// Refs that a server may list for what we ask for.
const REFS_MAX: usize = 10_000;

/// File in a mirror that says what it is a mirror of.
const ORIGIN: &str = "tidegate-origin";

/// Where a fetched commit stands until it is taken.
pub(super) const NEW: &str = "refs/tidegate-new";

/// A remote repository.
#[derive(Debug)]
pub(in crate::source) struct Remote {
    /// What tells it from other remotes: the URL and how the hub proves itself there.
    key: String,
    pub(super) url: String,
    host: String,
    pub(super) dir: PathBuf,
    pub(super) limits: SourceLimits,
    pub(super) clock: Clock,
    link: Link,
    pauses: Pauses,
    /// Raised when something that must be there cannot be read: then the mirror is built anew.
    pub(super) damage: Arc<AtomicBool>,
    /// One look at a time.
    pub(in crate::source) turn: Arc<tokio::sync::Mutex<()>>,
    members: Mutex<BTreeMap<SourceName, (Follow, Arc<Notify>)>>,
    known: Mutex<Known>,
}

/// What was heard last.
#[derive(Debug, Default)]
struct Known {
    refs: Option<(Instant, Arc<Refs>)>,
    fault: Option<(Instant, Fault)>,
    failures: u32,
    /// Counts how often the mirror was built.
    built: u64,
}

/// Names and targets of refs, and what the members asked for when they were listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refs {
    pub(super) all: BTreeMap<String, ObjectId>,
    asked: BTreeSet<String>,
}

impl Remote {
    pub(super) fn new(
        folder: &Path,
        key: String,
        (url, host): (String, String),
        link: Link,
        means: Means,
    ) -> Remote {
        let name = model::Digest::of(key.as_bytes()).to_string();
        let name = name.rsplit(':').next().unwrap_or_default().get(..16).unwrap_or_default();
        Remote {
            dir: folder.join(format!("{name}.git")),
            key,
            url,
            host,
            limits: means.limits,
            clock: means.clock,
            link,
            pauses: means.pauses,
            damage: Arc::default(),
            turn: Arc::default(),
            members: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub(super) fn join(&self, name: &SourceName, follow: &Follow, poke: Arc<Notify>) {
        lock(&self.members).insert(name.clone(), (follow.clone(), poke));
    }

    pub(in crate::source) fn leave(&self, name: &SourceName) {
        lock(&self.members).remove(name);
    }

    /// Whether nobody follows it.
    pub(in crate::source) fn is_unused(&self) -> bool {
        lock(&self.members).is_empty()
    }

    /// Removes the mirror. A leftover is harmless: it is checked before it is used.
    pub(in crate::source) fn discard(&self) {
        for ending in ["git", "new", "old"] {
            let dir = self.dir.with_extension(ending);
            if let Err(error) = fs::remove_dir_all(&dir)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(dir = %dir.display(), %error, "a mirror could not be removed");
            }
        }
    }

    /// Asks the server at the next look, also if it was asked just now or failed.
    pub(in crate::source) fn expire(&self) {
        let mut known = lock(&self.known);
        known.refs = None;
        known.fault = None;
    }

    pub(super) fn built(&self) -> u64 {
        lock(&self.known).built
    }

    /// The refs of the server: asked for once in each interval, for all members together.
    pub(super) fn refs(&self, repo: &Repository, stop: &AtomicBool) -> Result<Arc<Refs>, Fault> {
        let asked = self.names();
        {
            let known = lock(&self.known);
            // A little less than the interval, so that whoever looks alone always asks.
            let fresh = self.limits.interval.mul_f32(0.9);
            if let Some((at, refs)) = &known.refs
                && at.elapsed() < fresh
                && asked.is_subset(&refs.asked)
            {
                return Ok(refs.clone());
            }
            if let Some((until, fault)) = &known.fault
                && Instant::now() < *until
            {
                return Err(fault.clone());
            }
        }
        let listed = self
            .pauses
            .check(&self.host, &self.url)
            .and_then(|()| self.call(&self.dir, stop, |call, _| self.list(repo, call, &asked)));
        let mut known = lock(&self.known);
        match listed {
            Ok(refs) => {
                known.fault = None;
                known.failures = 0;
                let refs = Arc::new(refs);
                let before = known.refs.replace((Instant::now(), refs.clone()));
                drop(known);
                if before.is_some_and(|(_, before)| before.all != refs.all) {
                    self.wake_all();
                }
                Ok(refs)
            }
            Err(fault) => {
                known.failures = known.failures.saturating_add(1);
                let pause = delay::pause(known.failures, self.limits.backoff_max, dice());
                // Whoever failed looks again after its own pause; the others are spared until then.
                let until = Instant::now() + pause.mul_f32(0.5);
                known.fault = Some((until, fault.clone()));
                Err(fault)
            }
        }
    }

    /// Receives what `specs` name, with so much of the history.
    pub(super) fn receive(
        &self,
        repo: &Repository,
        dir: &Path,
        specs: &[String],
        shallow: gix::remote::fetch::Shallow,
        stop: &AtomicBool,
    ) -> Result<(), Fault> {
        self.pauses.check(&self.host, &self.url)?;
        self.call(dir, stop, |call, interrupt| {
            let fault = |error: gix::Error| fault::of(&self.url, &error);
            let remote = connect::remote(repo, &self.url, specs)?;
            let prepared = self
                .link
                .connect(&remote, call)?
                .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
                .map_err(fault)?;
            let received = prepared
                .with_shallow(shallow)
                .receive(gix::progress::Discard, interrupt)
                .map_err(fault)?;
            drop(received);
            Ok(())
        })
    }

    /// Wakes the members: something has changed.
    fn wake_all(&self) {
        for (_, poke) in lock(&self.members).values() {
            poke.notify_one();
        }
    }

    /// Talks to the server, watched.
    fn call<T>(
        &self,
        dir: &Path,
        stop: &AtomicBool,
        work: impl FnOnce(&Call, &AtomicBool) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let call = Call::new(self.clock.clone());
        let guard = watchdog::Guard::new(dir, &self.limits, stop, &call);
        let done = guard.watch(|interrupt| work(&call, interrupt));
        if let Some(pause) = call.pause() {
            self.pauses.set(&self.host, pause);
        }
        done.map_err(|fault| {
            let fault = guard.verdict().or_else(|| call.said()).unwrap_or(fault);
            if let Some(pause) = fault.pause {
                self.pauses.set(&self.host, pause);
            }
            if fault.reason == Reason::GitAuthFailed || fault.reason == Reason::GitTlsFailed {
                self.link.forget();
            }
            fault
        })
    }

    /// What the members want to be listed.
    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (follow, _) in lock(&self.members).values() {
            match follow {
                Follow::Name(name) => {
                    names.insert(format!("refs/heads/{name}"));
                    names.insert(format!("refs/tags/{name}"));
                }
                Follow::Versions(_) => {
                    names.insert("refs/tags/*".to_owned());
                }
                Follow::Commit(_) | Follow::Digest(_) => {}
            }
        }
        names
    }

    fn list(
        &self,
        repo: &Repository,
        call: &Call,
        asked: &BTreeSet<String>,
    ) -> Result<Refs, Fault> {
        let local = |name: &String| format!("+{name}:{}", name.replace("refs/", "refs/listed/"));
        let specs: Vec<_> = asked.iter().map(local).collect();
        let remote = connect::remote(repo, &self.url, &specs)?;
        let (map, _) = self
            .link
            .connect(&remote, call)?
            .ref_map(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| fault::of(&self.url, &error))?;
        if map.remote_refs.len() > REFS_MAX {
            let message = format!("`{}`: the server lists more than {REFS_MAX} refs", self.url);
            return Err(Fault::new(Reason::GitTooLarge, message));
        }
        let seen = map.remote_refs.iter().map(gix::protocol::handshake::Ref::unpack);
        let all = seen.filter_map(|(name, target, _)| {
            Some((name.to_str().ok()?.to_owned(), target?.to_owned()))
        });
        Ok(Refs { all: all.collect(), asked: asked.clone() })
    }

    /// Opens the mirror, made when it is not there.
    pub(super) fn open(&self) -> Result<Repository, Fault> {
        self.open_at(&self.dir)
    }

    fn open_at(&self, dir: &Path) -> Result<Repository, Fault> {
        connect::open(dir).map_err(|error| fault::of_mirror(&self.dir, &error))
    }

    /// Whether the mirror that is there is one of this remote, and whole as far as is known.
    pub(super) fn is_sound(&self) -> bool {
        let ours = fs::read_to_string(self.dir.join(ORIGIN)).is_ok_and(|text| text == self.key);
        ours && !self.damage.load(Ordering::Relaxed)
    }

    pub(super) fn is_crowded(&self) -> bool {
        let packs = fs::read_dir(self.dir.join("objects/pack"));
        let packs = packs.map_or(0, |files| {
            files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "pack")).count()
        });
        packs > self.limits.packs_max
    }

    /// Builds the mirror anew beside the old one with what `fill` puts there, then takes its place.
    pub(super) fn rebuild(
        &self,
        fill: impl FnOnce(&Repository, &Path) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (new, old) = (self.dir.with_extension("new"), self.dir.with_extension("old"));
        let disk = |error: io::Error| Fault::disk(&self.dir, &error);
        for dir in [&new, &old] {
            if dir.exists() {
                fs::remove_dir_all(dir).map_err(disk)?;
            }
        }
        fill(&self.open_at(&new)?, &new)?;
        fs::write(new.join(ORIGIN), &self.key).map_err(disk)?;
        if self.dir.exists() {
            fs::rename(&self.dir, &old).map_err(disk)?;
        }
        fs::rename(&new, &self.dir).map_err(disk)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(disk)?;
        }
        self.damage.store(false, Ordering::Relaxed);
        lock(&self.known).built += 1;
        // The others opened the old one: they read again what they need.
        self.wake_all();
        Ok(())
    }
}

/// Removes what a killed process left in the mirrors below `folder`: locks, half-received packs, and
/// mirrors that were being replaced.
pub(in crate::source) fn tidy(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.rsplit_once('.') {
            Some((_, "git")) => sweep(&path)?,
            Some((stem, "old")) if !folder.join(format!("{stem}.git")).exists() => {
                fs::rename(&path, folder.join(format!("{stem}.git")))?;
            }
            Some((_, "old" | "new")) => fs::remove_dir_all(&path)?,
            _ => {}
        }
    }
    Ok(())
}

fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let lock = path.extension().is_some_and(|extension| extension == "lock");
        let half = name.starts_with(".tmp") || name.starts_with("tmp_");
        if kind.is_dir() {
            sweep(&path)?;
        } else if lock || half {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

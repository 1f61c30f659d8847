//! The only place that knows gix. Everything here blocks.
//!
//! One bare mirror per source, `NAME.git`, with one ref of its own that points to what was fetched last.
//! Configuration of the machine and of users is not read, no helper program is asked for credentials,
//! nothing is checked out.

mod watchdog;
mod connect;
mod http;
mod ssh;
mod call;
mod throttle;
mod tree;
mod fault;

use std::{
    fs, io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gix::{ObjectId, Repository, bstr::ByteSlice, remote::fetch::Shallow};
use jiff::Timestamp;
use model::{Commit, Reason, Revision, SourceName};
use tokio::runtime::Handle;

pub(super) use fault::Fault;

use super::{
    Snapshot, SourceLimits,
    config::{ConfigError, SourceConfig},
    follow::Follow,
    secret::Vault,
};
use crate::clock::Clock;
use call::Call;
use connect::Link;
use tree::GitTree;

/// Refs that a server may list for the name that we ask for.
const REFS_MAX: usize = 10_000;

/// Our own ref in a mirror: what was fetched last.
const HEAD: &str = "refs/tidegate/head";

/// File in a mirror that says what it is a mirror of.
const ORIGIN: &str = "tidegate-origin";

/// The mirror of one source.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    config: Arc<SourceConfig>,
    follow: Follow,
    limits: SourceLimits,
    clock: Clock,
    link: Arc<Link>,
    dir: PathBuf,
    damage: Arc<AtomicBool>,
}

/// What a look at the remote found.
#[derive(Debug)]
pub(super) struct Look {
    /// The commit, when it is another one than before.
    pub(super) snapshot: Option<Snapshot>,
    /// Whether objects had to be fetched.
    pub(super) fetched: bool,
    /// How long the server asked to be left alone, though it answered.
    pub(super) pause: Option<Duration>,
}

/// Removes what a killed process left in the mirrors below `folder`: locks, half-received packs, and
/// mirrors that were being replaced.
pub(super) fn tidy(folder: &Path) -> io::Result<()> {
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

/// Removes the mirror of a source. A leftover is harmless: it is checked before it is used.
pub(super) fn discard(folder: &Path, name: &SourceName) {
    for ending in ["git", "new", "old"] {
        let dir = folder.join(format!("{name}.{ending}"));
        if let Err(error) = fs::remove_dir_all(&dir)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %dir.display(), %error, "a mirror could not be removed");
        }
    }
}

impl Mirror {
    /// The mirror of a source below `folder`. Needs a tokio runtime.
    pub(super) fn new(
        folder: &Path,
        config: Arc<SourceConfig>,
        limits: SourceLimits,
        vault: Vault,
        clock: Clock,
    ) -> Result<Mirror, ConfigError> {
        let dir = folder.join(format!("{}.git", config.name));
        let (place, follow) = (config.place()?, config.follow()?);
        let link = Link::new(config.clone(), place, limits, vault, Handle::current());
        let damage = Arc::new(AtomicBool::new(false));
        Ok(Mirror { config, follow, limits, clock, link: Arc::new(link), dir, damage })
    }

    pub(super) fn name(&self) -> &SourceName {
        &self.config.name
    }

    /// What is written into a mirror to tell it from that of another remote or ref.
    fn origin(&self) -> String {
        format!("{}\n{}\n", self.config.url, self.config.reference)
    }

    /// The commit that was fetched last, without asking the remote.
    pub(super) fn stored(&self) -> Result<Option<Snapshot>, Fault> {
        if !self.is_ours() {
            return Ok(None);
        }
        let repo = self.open(&self.dir)?;
        match held(&repo) {
            Some(id) => self.snapshot(&repo, id).map(Some),
            None => Ok(None),
        }
    }

    /// Asks the remote for the ref, and fetches when it moved. `have` is the commit that is known.
    pub(super) fn look(&self, have: Option<&Commit>, stop: &AtomicBool) -> Result<Look, Fault> {
        if !self.is_ours() || self.damage.load(Ordering::Relaxed) {
            return self.renew(stop);
        }
        let looked = self.look_into(&self.dir, have, stop);
        match &looked {
            // Only what is kept here is damaged: a second copy costs one fetch.
            Err(fault) if fault.damaged => self.renew(stop),
            Ok(Look { fetched: true, .. }) if self.packs() > self.limits.packs_max => {
                self.renew(stop)
            }
            Ok(_) | Err(_) => looked,
        }
    }

    /// Builds the mirror anew beside the old one, then takes its place.
    fn renew(&self, stop: &AtomicBool) -> Result<Look, Fault> {
        let (new, old) = (self.dir.with_extension("new"), self.dir.with_extension("old"));
        let disk = |error: io::Error| Fault::disk(&self.dir, &error);
        for dir in [&new, &old] {
            if dir.exists() {
                fs::remove_dir_all(dir).map_err(disk)?;
            }
        }
        self.look_into(&new, None, stop)?;
        fs::write(new.join(ORIGIN), self.origin()).map_err(disk)?;
        if self.dir.exists() {
            fs::rename(&self.dir, &old).map_err(disk)?;
        }
        fs::rename(&new, &self.dir).map_err(disk)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(disk)?;
        }
        self.damage.store(false, Ordering::Relaxed);
        // Opened again: what was opened under the other name looks for its files there.
        let snapshot = self.stored()?;
        Ok(Look { snapshot, fetched: true, pause: None })
    }

    fn look_into(
        &self,
        dir: &Path,
        have: Option<&Commit>,
        stop: &AtomicBool,
    ) -> Result<Look, Fault> {
        let repo = self.open(dir)?;
        let call = Call::new(self.clock.clone());
        let guard = watchdog::Guard::new(dir, &self.limits, stop, &call);
        let result = guard.watch(|interrupt| self.fetch(&repo, &call, interrupt));
        let (fetched, id) = result.map_err(|fault| {
            let fault = guard.verdict().or_else(|| call.said()).unwrap_or(fault);
            if fault.reason == Reason::GitAuthFailed || fault.reason == Reason::GitTlsFailed {
                self.link.forget();
            }
            fault
        })?;
        let snapshot = self.snapshot(&repo, id)?;
        let known = have == Some(&snapshot.revision.commit);
        Ok(Look { snapshot: (!known).then_some(snapshot), fetched, pause: call.pause() })
    }

    /// Lists the ref, and receives a pack only when it is not what we hold.
    fn fetch(
        &self,
        repo: &Repository,
        call: &Call,
        interrupt: &AtomicBool,
    ) -> Result<(bool, ObjectId), Fault> {
        let (name, id) = self.list(repo, call)?;
        if held(repo) == Some(id) {
            return Ok((false, id));
        }
        let fault = |error: gix::Error| Fault::of(&self.config.url, &error);
        let remote = connect::remote(repo, &self.config.url, &[format!("+{name}:{HEAD}")])?;
        let prepared = self
            .link
            .connect(&remote, call)?
            .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(fault)?;
        prepared
            .with_shallow(Shallow::DepthAtRemote(NonZeroU32::MIN))
            .receive(gix::progress::Discard, interrupt)
            .map_err(fault)?;
        let id = held(repo).ok_or_else(|| {
            Fault::new(Reason::Internal, format!("`{name}` was fetched and is not there"))
        })?;
        Ok((true, id))
    }

    /// Full name and target of the ref at the remote; a branch goes before a tag of the same name.
    fn list(&self, repo: &Repository, call: &Call) -> Result<(String, ObjectId), Fault> {
        let reference = match &self.follow {
            Follow::Name(name) => name,
            Follow::Commit(commit) => {
                let id = ObjectId::from_hex(commit.as_bytes());
                let id = id.map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
                return Ok((commit.clone(), id));
            }
        };
        let names = [format!("refs/heads/{reference}"), format!("refs/tags/{reference}")];
        let specs = names.clone().map(|name| format!("+{name}:{HEAD}"));
        let remote = connect::remote(repo, &self.config.url, &specs)?;
        let (map, _) = self
            .link
            .connect(&remote, call)?
            .ref_map(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| Fault::of(&self.config.url, &error))?;
        if map.remote_refs.len() > REFS_MAX {
            let message = format!("the server lists more than {REFS_MAX} refs");
            return Err(Fault::new(Reason::GitTooLarge, message));
        }
        let seen = map.remote_refs.iter().map(gix::protocol::handshake::Ref::unpack);
        let seen = seen.filter_map(|(name, target, _)| Some((name, target?.to_owned())));
        let found = names.into_iter().find_map(|name| {
            seen.clone()
                .find(|(seen, _)| *seen == name.as_bytes().as_bstr())
                .map(|(_, id)| (name, id))
        });
        let fault = || {
            let message = format!("`{}` has no branch or tag `{reference}`", self.config.url);
            Fault::new(Reason::GitRefNotFound, message)
        };
        found.ok_or_else(fault)
    }

    fn snapshot(&self, repo: &Repository, id: ObjectId) -> Result<Snapshot, Fault> {
        let damaged = |error: gix::Error| Fault::of_mirror(&self.dir, &error);
        let commit = peel(repo, id).map_err(damaged)?;
        let tree = commit.tree_id().map_err(damaged)?.detach();
        // A commit whose folder is missing is worth nothing, and better known now.
        repo.find_tree(tree).map_err(damaged)?;
        let author = commit.author().ok().map(|a| format!("{} <{}>", text(a.name), text(a.email)));
        let message = commit.message().map(|m| text(m.summary().as_ref())).unwrap_or_default();
        let seconds = commit.time().ok().map(|time| time.seconds);
        let commit = Commit::parse(&commit.id.to_string());
        let commit = commit.map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
        Ok(Snapshot {
            revision: Revision { reference: self.config.reference.clone(), commit },
            author,
            subject: message,
            committed_at: seconds.and_then(|s| Timestamp::from_second(s).ok()),
            tree: Arc::new(GitTree::new(repo.clone().into_sync(), tree, self.damage.clone())),
        })
    }

    fn open(&self, dir: &Path) -> Result<Repository, Fault> {
        connect::open(dir).map_err(|error| Fault::of_mirror(&self.dir, &error))
    }

    fn is_ours(&self) -> bool {
        fs::read_to_string(self.dir.join(ORIGIN)).is_ok_and(|origin| origin == self.origin())
    }

    fn packs(&self) -> usize {
        let packs = fs::read_dir(self.dir.join("objects/pack"));
        packs.map_or(0, |files| {
            files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "pack")).count()
        })
    }
}

/// What was fetched last.
fn held(repo: &Repository) -> Option<ObjectId> {
    repo.find_reference(HEAD).ok()?.try_id().map(gix::Id::detach)
}

/// The commit behind a branch or an annotated tag.
fn peel(repo: &Repository, id: ObjectId) -> Result<gix::Commit<'_>, gix::Error> {
    repo.find_object(id)?.peel_to_commit()
}

/// Longest text of a commit that is shown, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// Text that somebody else wrote: one line, bounded, no control characters.
fn text(bytes: &[u8]) -> String {
    let text = bytes.to_str_lossy();
    text.chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

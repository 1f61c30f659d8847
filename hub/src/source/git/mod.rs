//! The only place that knows gix. Everything here blocks.
//!
//! One bare mirror per remote, shared by its sources; a ref of each source points to the commit that it stands
//! at. Configuration of the machine and of users is not read, no helper program is asked for credentials,
//! nothing is checked out.

mod remote;
mod history;
mod watchdog;
mod connect;
mod http;
mod ssh;
mod daemon;
mod call;
mod verify;
mod tree;
mod fault;

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gix::{
    ObjectId, Repository, bstr::ByteSlice, refs::transaction::PreviousValue, remote::fetch::Shallow,
};
use jiff::Timestamp;
use model::{
    Commit, Reason, Revision, SourceName,
    source::{SourceVerify, VerifyMode},
};
use tokio::sync::Notify;

pub(super) use remote::{Remote, tidy};

use super::{
    Look, Snapshot, SourceLimits, Voucher,
    config::{ConfigError, SourceConfig},
    fault::Fault,
    follow::{self, Follow},
    pauses::Pauses,
    web::Web,
};
use crate::clock::Clock;
use connect::Link;
use remote::{NEW, Refs};
use tree::GitTree;
use verify::{Signed, Signers};

/// One source's view of a remote.
#[derive(Debug)]
pub(super) struct Mirror {
    config: Arc<SourceConfig>,
    follow: Follow,
    signers: Option<Signers>,
    remote: Arc<Remote>,
    /// Where our refs are; what was taken under other rules is elsewhere and never served.
    folder: String,
    /// The mirror that the last snapshot was read from.
    built: AtomicU64,
}

/// What the remote offers: full name of the ref or id, name for people, target.
struct Offer {
    name: String,
    label: String,
    id: ObjectId,
}

/// What a remote works with.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) limits: SourceLimits,
    pub(super) clock: Clock,
    pub(super) pauses: Pauses,
}

/// A remote for `config`.
pub(super) fn remote_for(
    folder: &Path,
    key: String,
    config: &Arc<SourceConfig>,
    web: Web,
    means: Means,
) -> Result<Remote, ConfigError> {
    let place = config.place()?;
    let (url, host) = (config.url.clone(), place.host.clone());
    let link = Link::new(config.clone(), place, means.limits, web);
    Ok(Remote::new(folder, key, (url, host), link, means))
}

impl Mirror {
    pub(super) fn new(
        config: Arc<SourceConfig>,
        remote: Arc<Remote>,
        poke: Arc<Notify>,
    ) -> Result<Mirror, ConfigError> {
        let follow = config.follow()?;
        let signers = config.verify.as_ref().map(signers).transpose()?;
        remote.join(&config.name, &follow, poke);
        let rules = format!("{}\n{:?}\n{:?}", config.reference, config.paths, config.verify);
        let rules = model::Digest::of(rules.as_bytes()).to_string();
        let rules = rules.rsplit(':').next().unwrap_or_default().get(..16).unwrap_or_default();
        let folder = format!("refs/tidegate/{}/{rules}/", config.name);
        Ok(Mirror { config, follow, signers, remote, folder, built: AtomicU64::new(0) })
    }

    pub(super) fn name(&self) -> &SourceName {
        &self.config.name
    }

    pub(super) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// The commit that was taken last, without asking the remote.
    pub(super) fn stored(&self) -> Result<Option<Snapshot>, Fault> {
        if !self.remote.is_sound() {
            return Ok(None);
        }
        let repo = self.remote.open()?;
        match self.held(&repo) {
            Some((label, id)) => self.snapshot(&repo, &label, id).map(Some),
            None => Ok(None),
        }
    }

    /// An older commit, if the mirror has it: what nobody vouches for is not served here either.
    pub(super) fn at(&self, commit: &Commit) -> Result<Option<Snapshot>, Fault> {
        let Ok(id) = ObjectId::from_hex(commit.as_str().as_bytes()) else { return Ok(None) };
        if !self.remote.is_sound() {
            return Ok(None);
        }
        let repo = self.remote.open()?;
        let label = self.held(&repo).map(|(label, _)| label).filter(|_| repo.has_object(id));
        label.map(|label| self.snapshot(&repo, &label, id)).transpose()
    }

    /// Asks the remote, and fetches when what is followed has moved. `have` is what is served.
    pub(super) fn look(&self, have: Option<&Snapshot>, stop: &AtomicBool) -> Result<Look, Fault> {
        if !self.remote.is_sound() {
            return self.renew(stop);
        }
        let looked = self.remote.open().and_then(|repo| self.look_into(&repo, have, stop));
        match looked {
            // Only what is kept here is damaged: a second copy costs one fetch.
            Err(fault) if fault.damaged => self.renew(stop),
            Ok(Look { fetched: true, rewritten, .. }) if self.remote.is_crowded() => {
                Ok(Look { rewritten, ..self.renew(stop)? })
            }
            Ok(_) | Err(_) => looked,
        }
    }

    /// Builds the mirror anew; the other sources of this remote fetch into it at their next look.
    fn renew(&self, stop: &AtomicBool) -> Result<Look, Fault> {
        self.remote.rebuild(|repo, dir| {
            let offer = self.offer(repo, stop)?;
            self.receive(repo, dir, &offer, None, stop).map(drop)
        })?;
        let look = self.look_into(&self.remote.open()?, None, stop)?;
        Ok(Look { fetched: true, ..look })
    }

    fn look_into(
        &self,
        repo: &Repository,
        have: Option<&Snapshot>,
        stop: &AtomicBool,
    ) -> Result<Look, Fault> {
        let held = self.held(repo);
        let moved = self.built.swap(self.remote.built(), Ordering::Relaxed) != self.remote.built();
        let still = |label: &str, id| -> Result<Look, Fault> {
            let snapshot = match have {
                Some(_) if !moved => None,
                Some(_) | None => Some(self.snapshot(repo, label, id)?),
            };
            Ok(Look { snapshot, ..Look::default() })
        };
        if let (Some((label, id)), Follow::Commit(_)) = (&held, &self.follow) {
            return still(label, *id);
        }
        let offer = self.offer(repo, stop)?;
        if let Some((label, id)) = &held
            && *id == offer.id
        {
            return still(label, *id);
        }
        let fetched = !repo.has_object(offer.id);
        let mut complete = false;
        if fetched {
            let before = held.as_ref().map(|(_, id)| *id);
            complete = self.receive(repo, &self.remote.dir, &offer, before, stop)?;
        }
        // Before anything else is made of it: what nobody vouches for is not served.
        let signed_by = self.signed_by(repo, &offer.label, offer.id)?;
        tracing::debug!(source = %self.name(), ?signed_by, "signatures are as wanted");
        if let Some((label, id)) = &held
            && *label == offer.label
            && history::same(repo, &self.config.paths, *id, offer.id)
        {
            return Ok(Look { fetched, ..still(label, *id)? });
        }
        let snapshot = self.snapshot(repo, &offer.label, offer.id)?;
        let rewritten = match (&self.follow, &held) {
            (Follow::Name(_), Some((label, old))) => {
                // Opened again: the border of the history that is there has moved.
                let came = history::descends(&self.remote.open()?, offer.id, *old, complete);
                let old = self.commit(repo, *old)?;
                (came == Some(false)).then(|| tell_rewritten(label, &old, &snapshot))
            }
            _ => None,
        };
        self.take(repo, &offer)?;
        Ok(Look { snapshot: Some(snapshot), fetched, rewritten })
    }

    /// What the remote offers of what we follow.
    fn offer(&self, repo: &Repository, stop: &AtomicBool) -> Result<Offer, Fault> {
        let url = &self.config.url;
        let missing =
            |what: String| Fault::new(Reason::GitRefNotFound, format!("`{url}` has {what}"));
        match &self.follow {
            Follow::Commit(commit) => {
                let id = ObjectId::from_hex(commit.as_bytes())
                    .map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
                let label = commit.get(..7).unwrap_or(commit).to_owned();
                Ok(Offer { name: commit.clone(), label, id })
            }
            Follow::Digest(_) => {
                Err(missing("commits, and no artifact to follow by digest".into()))
            }
            Follow::Name(label) => {
                let refs = self.remote.refs(repo, stop)?;
                let names = ["heads", "tags"].map(|kind| format!("refs/{kind}/{label}"));
                let found = names.into_iter().find_map(|name| {
                    let id = *refs.all.get(&name)?;
                    Some(Offer { name, label: label.clone(), id })
                });
                found.ok_or_else(|| missing(format!("no branch or tag `{label}`")))
            }
            Follow::Versions(range) => {
                let refs = self.remote.refs(repo, stop)?;
                let label = follow::highest(range, tags(&refs));
                let label = label.ok_or_else(|| {
                    let count = tags(&refs).count();
                    missing(format!("{count} tags, and no version of `{range}` among them"))
                })?;
                let name = format!("refs/tags/{label}");
                let id = refs.all.get(&name).copied();
                let id = id.ok_or_else(|| missing(format!("no tag `{label}`")))?;
                Ok(Offer { name, label: label.to_owned(), id })
            }
        }
    }

    /// Receives what is offered: a branch with its history since the commit `before`, so that a rewritten one is
    /// noticed; without that when the server does not give it. Says whether that history is there.
    fn receive(
        &self,
        repo: &Repository,
        dir: &Path,
        offer: &Offer,
        before: Option<ObjectId>,
        stop: &AtomicBool,
    ) -> Result<bool, Fault> {
        let specs = [format!("+{}:{NEW}", offer.name)];
        let branch = matches!(self.follow, Follow::Name(_));
        let cutoff = before.filter(|_| branch).and_then(|id| history::time_of(repo, id));
        if let Some(cutoff) = cutoff {
            let shallow = Shallow::Since { cutoff };
            match self.remote.receive(repo, dir, &specs, shallow, stop) {
                Ok(()) if repo.has_object(offer.id) => return Ok(true),
                // A branch that was put back to an older commit has no such history.
                Ok(()) => {}
                Err(fault) if fault.pause.is_some() => return Err(fault),
                Err(fault) => tracing::debug!(%fault, "a branch was not given with its history"),
            }
        }
        let shallow = Shallow::DepthAtRemote(NonZeroU32::MIN);
        let received = self.remote.receive(repo, dir, &specs, shallow, stop);
        let pinned = matches!(self.follow, Follow::Commit(_));
        received.map_err(|fault| {
            // Servers say no in many ways to a commit that they do not have.
            let no = matches!(fault.reason, Reason::GitUnreachable | Reason::GitNotARepository);
            if !(no && pinned) {
                return fault;
            }
            let message = format!("{fault}; is commit `{}` there?", offer.name);
            Fault::new(Reason::GitRefNotFound, message)
        })?;
        // The ref may have moved between the two questions; then the next look sees it.
        if repo.has_object(offer.id) {
            return Ok(false);
        }
        self.remote.expire();
        let message =
            format!("`{}`: `{}` moved while it was fetched", self.config.url, offer.label);
        Err(Fault::new(Reason::GitUnreachable, message))
    }

    /// Who signed; nobody when no signature is wanted.
    fn signed_by(
        &self,
        repo: &Repository,
        label: &str,
        id: ObjectId,
    ) -> Result<Vec<Voucher>, Fault> {
        let Some(signers) = &self.signers else { return Ok(Vec::new()) };
        let damaged = |error: gix::Error| fault::of_mirror(&self.remote.dir, &error);
        let mut names = Vec::new();
        if signers.mode != VerifyMode::Head {
            let object = repo.find_object(id).map_err(damaged)?;
            let what = format!("tag `{label}` of `{}`", self.config.url);
            if object.kind != gix::object::Kind::Tag {
                let why = format!("{what} is no annotated tag, so nobody can have signed it");
                return Err(Fault::new(Reason::CommitUnsigned, why));
            }
            let at = object.try_to_tag_ref().ok().and_then(|tag| {
                let tagger = tag.tagger().ok().flatten()?;
                Timestamp::from_second(tagger.time().ok()?.seconds).ok()
            });
            let found = gix::objs::TagRefIter::signature(&object.data);
            let signed = found.map(|(signature, data)| Signed {
                armour: signature.data.to_vec(),
                data: data.to_bstring().into(),
                at,
            });
            names.push(signers.judge(&what, signed.as_ref())?);
        }
        if signers.mode != VerifyMode::Tag {
            let commit = peel(repo, id).map_err(damaged)?;
            let what = format!("commit {} of `{}`", commit.id.to_hex_with_len(7), self.config.url);
            let seconds = commit.time().ok().map(|time| time.seconds);
            let found = commit.signature().map_err(damaged)?;
            let signed = found.map(|(signature, data)| Signed {
                armour: signature.to_vec(),
                data: data.to_bstring().into(),
                at: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            });
            names.push(signers.judge(&what, signed.as_ref())?);
        }
        names.dedup();
        Ok(names)
    }

    /// What was taken last: the name under which, and the target.
    fn held(&self, repo: &Repository) -> Option<(String, ObjectId)> {
        let ours = repo.references().ok()?;
        let mut ours = ours.prefixed(self.folder.as_str()).ok()?.flatten();
        ours.find_map(|reference| {
            let name = reference.name().as_bstr().to_str().ok()?;
            let label = name.strip_prefix(&self.folder)?.to_owned();
            Some((label, reference.try_id()?.detach()))
        })
    }

    /// Remembers what was taken, also over a restart.
    fn take(&self, repo: &Repository, offer: &Offer) -> Result<(), Fault> {
        let damaged = |error: gix::Error| fault::of_mirror(&self.remote.dir, &error);
        let name = format!("{}{}", self.folder, offer.label);
        for (label, _) in self.held(repo).into_iter().filter(|(label, _)| *label != offer.label) {
            let old = format!("{}{label}", self.folder);
            let reference = repo.find_reference(&old).map_err(damaged)?;
            reference.delete().map_err(damaged)?;
        }
        repo.reference(name.as_str(), offer.id, PreviousValue::Any, "taken").map_err(damaged)?;
        Ok(())
    }

    fn commit(&self, repo: &Repository, id: ObjectId) -> Result<Commit, Fault> {
        let damaged = |error: gix::Error| fault::of_mirror(&self.remote.dir, &error);
        let commit = Commit::parse(&peel(repo, id).map_err(damaged)?.id.to_string());
        commit.map_err(|error| Fault::new(Reason::Internal, error.to_string()))
    }

    fn snapshot(&self, repo: &Repository, label: &str, id: ObjectId) -> Result<Snapshot, Fault> {
        let damaged = |error: gix::Error| fault::of_mirror(&self.remote.dir, &error);
        let signed_by = self.signed_by(repo, label, id)?;
        let commit = peel(repo, id).map_err(damaged)?;
        let tree = commit.tree_id().map_err(damaged)?.detach();
        // A commit whose folder is missing is worth nothing, and better known now.
        repo.find_tree(tree).map_err(damaged)?;
        let author = commit.author().ok().map(|a| format!("{} <{}>", text(a.name), text(a.email)));
        let message = commit.message().map(|m| text(m.summary().as_ref())).unwrap_or_default();
        let seconds = commit.time().ok().map(|time| time.seconds);
        let damage = self.remote.damage.clone();
        Ok(Snapshot {
            revision: Revision { reference: label.to_owned(), commit: self.commit(repo, id)? },
            author,
            subject: message,
            committed_at: seconds.and_then(|s| Timestamp::from_second(s).ok()),
            signed_by,
            tree: Arc::new(GitTree::new(repo.clone().into_sync(), tree, damage)),
        })
    }
}

/// Reads the keys of signers.
pub(super) fn signers(verify: &SourceVerify) -> Result<Signers, ConfigError> {
    let fault = |why| ConfigError::Field { field: "verify.signers.key", why };
    Signers::parse(verify).map_err(fault)
}

fn tags(refs: &Refs) -> impl Iterator<Item = &str> {
    refs.all.keys().filter_map(|name| name.strip_prefix("refs/tags/"))
}

fn tell_rewritten(label: &str, old: &Commit, new: &Snapshot) -> String {
    let (old, new) = (old.short(), new.revision.commit.short());
    format!("history of `{label}` was rewritten: {old} is not in the history of {new}")
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

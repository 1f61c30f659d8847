//! Follows artifacts: manifests and charts in an OCI registry, charts in a Helm repository over HTTPS. What was
//! taken is kept in a folder of its own and read again after a restart, by its digest.
//!
//! Deliberately absent: pushing, images, and anything that runs.

mod oci;
mod helm;
mod cosign;
mod web;
mod unpack;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Commit, Digest, Reason, Revision, SourceName};
use serde::{Deserialize, Serialize};

use super::{
    Look, Snapshot, SourceLimits, Voucher,
    config::{ConfigError, SourceConfig},
    fault::{Fault, quote},
    follow::Follow,
    pauses::Pauses,
    place::{Kind, Place},
    secret::Secret,
    web::Web,
};
use crate::clock::Clock;
use cosign::Keys;
use unpack::{Files, Flaw};
use web::{Asker, Tokens};

/// Bytes of one artifact as it is sent; it stays in memory while it is unpacked.
const PACKED_BYTES_MAX: usize = 32 << 20;

/// Pause between two questions whether a look is still wanted.
const TICK: Duration = Duration::from_millis(50);

/// File that says what is held.
const HELD: &str = "held.json";

/// One source's view of a registry or chart repository.
#[derive(Debug)]
pub(super) struct Artifact {
    config: Arc<SourceConfig>,
    place: Place,
    follow: Follow,
    keys: Option<Keys>,
    web: Web,
    tokens: Tokens,
    limits: SourceLimits,
    clock: Clock,
    pauses: Pauses,
    dir: PathBuf,
    rules: String,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// What was asked for: what was taken under other rules is not served.
    rules: String,
    /// Tag or version.
    label: String,
    /// SHA-256 that names it, 64 digits.
    digest: String,
    /// Its parts, in order.
    parts: Vec<Part>,
    /// Who signed it.
    #[serde(default)]
    vouchers: Vec<Voucher>,
}

/// A part of an artifact: a file in the folder, named by its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    digest: String,
    form: Form,
}

/// How a part is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// A tar archive.
    Archive,
    /// A tar archive with one folder round everything.
    Chart,
    /// A file of this name.
    File(String),
}

/// What a look found at the server.
enum Found {
    /// What we hold already.
    Same,
    /// Something else, with its parts.
    New(Held, Vec<Vec<u8>>),
}

impl Artifact {
    /// Needs a tokio runtime.
    pub(super) fn new(
        folder: &Path,
        config: Arc<SourceConfig>,
        limits: SourceLimits,
        clock: Clock,
        web: Web,
        pauses: Pauses,
    ) -> Result<Artifact, ConfigError> {
        let (place, follow) = (config.place()?, config.follow()?);
        let keys = config.verify.as_ref().map(keys).transpose()?;
        let rules = format!(
            "{} {:?} {} {:?} {:?}",
            config.url, config.chart, config.reference, config.auth, config.verify
        );
        Ok(Artifact {
            rules: Digest::of(rules.as_bytes()).to_string(),
            dir: folder.join(format!("{}.artifact", config.name)),
            tokens: Tokens::default(),
            config,
            place,
            follow,
            keys,
            web,
            limits,
            clock,
            pauses,
        })
    }

    pub(super) fn name(&self) -> &SourceName {
        &self.config.name
    }

    /// What was taken last, without asking the server.
    pub(super) fn stored(&self) -> Result<Option<Snapshot>, Fault> {
        let Some(held) = self.held() else { return Ok(None) };
        let mut parts = Vec::new();
        for part in &held.parts {
            let bytes = fs::read(self.dir.join(&part.digest));
            let bytes = bytes.map_err(|error| Fault::disk(&self.dir, &error))?;
            if sha256(&bytes) != part.digest {
                return Err(Fault::damaged(&self.dir, "a part does not fit its digest"));
            }
            parts.push(bytes);
        }
        self.snapshot(&held, &parts).map(Some)
    }

    /// Asks the server, and fetches when what is followed has changed. Blocks.
    pub(super) fn look(&self, have: Option<&Snapshot>, stop: &AtomicBool) -> Result<Look, Fault> {
        match self.ask(self.held().filter(|_| have.is_some()).as_ref(), stop)? {
            Found::Same => Ok(Look::default()),
            Found::New(held, parts) => {
                let snapshot = self.snapshot(&held, &parts)?;
                self.keep(&held, &parts).map_err(|error| Fault::disk(&self.dir, &error))?;
                Ok(Look { snapshot: Some(snapshot), fetched: true, rewritten: None })
            }
        }
    }

    /// The chart that is followed, as it was packed: it can be unpacked, stays within its folder and is named `name`.
    /// Nothing of it is kept. Blocks.
    pub(super) fn packed(&self, name: &str, stop: &AtomicBool) -> Result<Vec<u8>, Fault> {
        let Found::New(held, mut parts) = self.ask(None, stop)? else {
            return Err(self.not_found("nothing"));
        };
        let is_chart = |part: &Part| part.form == Form::Chart;
        let (true, Some(bytes)) = (held.parts.iter().all(is_chart), parts.pop()) else {
            return Err(self.invalid(format!("{} is no chart", held.label)));
        };
        if !parts.is_empty() {
            return Err(self.invalid(format!("{} is more than one chart", held.label)));
        }
        let snapshot = self.snapshot(&held, std::slice::from_ref(&bytes))?;
        let about = snapshot.tree.read("Chart.yaml").ok().and_then(|text| helm::name_of(&text));
        match about {
            Some(own) if own == name => Ok(bytes),
            Some(own) => Err(self.invalid(format!("the archive holds chart `{}`", quote(&own)))),
            None => Err(self.invalid("the archive holds no `Chart.yaml` with a name")),
        }
    }

    /// Asks the server for what is followed. Blocks.
    fn ask(&self, held: Option<&Held>, stop: &AtomicBool) -> Result<Found, Fault> {
        self.pauses.check(&self.place.host, &self.config.url)?;
        let asker = Asker {
            client: self.web.client()?,
            basic: self.web.authorization()?,
            url: &self.config.url,
            silence: self.limits.silence,
            tokens: &self.tokens,
            now: self.clock.now(),
            trusted_root: self.trusted_root()?,
        };
        let found = self.web.handle().block_on(async {
            tokio::select! {
                () = stopped(stop) => {
                    Err(Fault::new(Reason::Unavailable, "the source is no longer followed"))
                }
                () = tokio::time::sleep(self.limits.timeout) => {
                    let seconds = self.limits.timeout.as_secs();
                    Err(Fault::new(Reason::GitTimeout, format!("not done after {seconds} s")))
                }
                found = self.find(&asker, held) => found,
            }
        });
        found.inspect_err(|fault| {
            if let Some(pause) = fault.pause {
                self.pauses.set(&self.place.host, pause);
            }
            if fault.reason == Reason::OciAuthFailed {
                self.web.forget();
                self.tokens.forget();
            }
        })
    }

    /// What keyless signatures are checked against. Blocks.
    fn trusted_root(&self) -> Result<Option<Secret>, Fault> {
        let keyless = self.config.verify.as_ref().and_then(|verify| verify.keyless.as_ref());
        self.web.read(keyless.map(|keyless| &keyless.trusted_root))
    }

    async fn find(&self, asker: &Asker<'_>, held: Option<&Held>) -> Result<Found, Fault> {
        match self.place.kind {
            Kind::Helm => helm::find(self, asker, held).await,
            Kind::Oci | Kind::Git => oci::find(self, asker, held).await,
        }
    }

    /// Forgets everything on disk. A leftover is harmless: it is checked before it is used.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_dir_all(&self.dir)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.dir.display(), %error, "an artifact could not be removed");
        }
    }

    fn held(&self) -> Option<Held> {
        let bytes = fs::read(self.dir.join(HELD)).ok()?;
        let held: Held = serde_json::from_slice(&bytes).ok()?;
        let vouched = self.keys.is_none() || !held.vouchers.is_empty();
        (held.rules == self.rules && vouched).then_some(held)
    }

    /// Parts first, then the file that names them: a crash in between leaves what was held before.
    fn keep(&self, held: &Held, parts: &[Vec<u8>]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        for (part, bytes) in held.parts.iter().zip(parts) {
            write(&self.dir.join(&part.digest), bytes)?;
        }
        write(&self.dir.join(HELD), &serde_json::to_vec(held)?)?;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name != HELD && !held.parts.iter().any(|part| part.digest == *name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn snapshot(&self, held: &Held, parts: &[Vec<u8>]) -> Result<Snapshot, Fault> {
        let mut files = Files::default();
        for (part, bytes) in held.parts.iter().zip(parts) {
            let read = match &part.form {
                Form::Archive => files.unpack(bytes, false),
                Form::Chart => files.unpack(bytes, true),
                Form::File(name) => files.add(name, bytes.clone()),
            };
            read.map_err(|flaw| {
                let reason = match flaw {
                    Flaw::TooLarge(_) => Reason::OciTooLarge,
                    Flaw::Broken(_) | Flaw::Refused(..) => Reason::OciInvalid,
                };
                Fault::new(reason, format!("`{}` at {}: {flaw}", self.config.url, held.label))
            })?;
        }
        let commit = Commit::parse(&held.digest);
        let commit = commit.map_err(|error| Fault::new(Reason::Internal, error.to_string()))?;
        Ok(Snapshot {
            revision: Revision { reference: held.label.clone(), commit },
            author: None,
            subject: String::new(),
            committed_at: None,
            signed_by: held.vouchers.clone(),
            tree: Arc::new(files.tree),
        })
    }

    fn invalid(&self, why: impl std::fmt::Display) -> Fault {
        Fault::new(Reason::OciInvalid, format!("`{}`: {why}", self.config.url))
    }

    fn not_found(&self, what: impl std::fmt::Display) -> Fault {
        Fault::new(Reason::OciNotFound, format!("`{}` has {what}", self.config.url))
    }
}

/// Reads the keys of signers of artifacts.
pub(super) fn keys(verify: &model::source::SourceVerify) -> Result<Keys, ConfigError> {
    let fault = |why| ConfigError::Field { field: "verify.signers.key", why };
    Keys::parse(verify).map_err(fault)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let half = path.with_extension("tmp");
    fs::write(&half, bytes)?;
    fs::rename(half, path)
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(TICK).await;
    }
}

/// 64 digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

//! Content by digest, over the connection that is open at the moment. What does not hash to its name is
//! thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use model::{AppName, Digest, Manifest};
use proto::bundle::{self, Release};
use proto::convert::{digest_from_wire, digest_to_wire};
use proto::limits::{BUNDLE_BYTES_MAX, CHUNK_BYTES_MAX, PULL_OBJECTS_MAX};
use proto::v1::agent_client::AgentClient;
use proto::v1::{PullChunk, PullRequest, TraceContext};
use tokio::sync::watch;
use tonic::transport::Channel;

/// Largest item: a manifest of 100,000 lines of 160 bytes.
const ITEM_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest silence within one pull.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// One chunk with its digest, length and framing.
const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES_MAX + 4 * 1024;

/// Why content did not come.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// There is no connection, or it broke.
    #[error("pull from the hub: {0}")]
    Broken(String),
    /// What came is not what was asked for.
    #[error("{reason}: {0}", reason = model::Reason::ContentCorrupt)]
    Corrupt(String),
}

/// Pulls over whichever connection is open.
#[derive(Debug, Clone)]
pub struct Puller {
    line: watch::Receiver<Option<AgentClient<Channel>>>,
}

impl Puller {
    pub(super) fn new(line: watch::Receiver<Option<AgentClient<Channel>>>) -> Puller {
        Puller { line }
    }

    /// A puller without a line, for who never needs one.
    pub fn offline() -> Puller {
        let (sender, line) = watch::channel(None);
        // Receivers keep the last value; they only see that nothing else will come.
        drop(sender);
        Puller { line }
    }

    /// The release that a grant names: its manifest, and as many of its objects as come with it. `base` is a
    /// manifest that is held with all its objects; what it lists is not sent again.
    pub async fn release(
        &self,
        app: &AppName,
        digest: &Digest,
        base: Option<&Manifest>,
        trace: Option<TraceContext>,
    ) -> Result<Release, PullError> {
        let request = PullRequest {
            packed: true,
            base: base.map(|base| digest_to_wire(&base.digest())).unwrap_or_default(),
            ..request(app, digest, &[], trace.clone())
        };
        let unpacked = match self.pull(request).await {
            Ok(Answer::Items(items)) => return whole(digest, items),
            Ok(Answer::Bundle { bytes, on_base }) => {
                let base = base.filter(|_| on_base);
                bundle::unpack_release(&bytes, base, digest).map_err(|e| e.to_string())
            }
            Err(PullError::Corrupt(why)) => Err(why),
            Err(broken @ PullError::Broken(_)) => return Err(broken),
        };
        match unpacked {
            Ok(release) => Ok(release),
            Err(why) => {
                tracing::warn!(%app, digest = digest.short(), why, "the release is pulled whole");
                self.manifest(app, digest, trace).await
            }
        }
    }

    /// The manifest that a grant names, as it is, without objects.
    pub async fn manifest(
        &self,
        app: &AppName,
        digest: &Digest,
        trace: Option<TraceContext>,
    ) -> Result<Release, PullError> {
        match self.pull(request(app, digest, &[], trace)).await? {
            Answer::Items(items) => whole(digest, items),
            Answer::Bundle { .. } => Err(PullError::Corrupt("a bundle was not asked for".into())),
        }
    }

    /// Objects of it, at most [`PULL_OBJECTS_MAX`]. What the hub leaves out is not in the answer.
    pub async fn objects(
        &self,
        app: &AppName,
        manifest: &Digest,
        objects: &[Digest],
        trace: Option<TraceContext>,
    ) -> Result<BTreeMap<Digest, Bytes>, PullError> {
        let objects = &objects[..objects.len().min(PULL_OBJECTS_MAX)];
        let request = PullRequest { packed: true, ..request(app, manifest, objects, trace) };
        match self.pull(request).await? {
            Answer::Items(items) => Ok(items),
            Answer::Bundle { bytes, .. } => {
                bundle::unpack_objects(&bytes, &objects.iter().copied().collect())
                    .map_err(|e| PullError::Corrupt(e.to_string()))
            }
        }
    }

    /// One pull: the whole answer, with every item checked against its digest.
    async fn pull(&self, request: PullRequest) -> Result<Answer, PullError> {
        let mut line = self.line.clone();
        let open = line.wait_for(Option::is_some).await;
        let client = open.ok().and_then(|c| c.clone());
        let client = client.ok_or_else(|| PullError::Broken("there is no line".to_owned()))?;
        let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
        let silence = || PullError::Broken(format!("silence for {} s", SILENCE_MAX.as_secs()));
        let broken = |status: tonic::Status| PullError::Broken(status.message().to_owned());
        let mut parts = Parts::of(&request);
        let answer = tokio::time::timeout(SILENCE_MAX, client.pull(request)).await;
        let mut stream = answer.map_err(|_| silence())?.map_err(broken)?.into_inner();
        loop {
            let chunk = tokio::time::timeout(SILENCE_MAX, stream.message()).await;
            match chunk.map_err(|_| silence())?.map_err(broken)? {
                Some(chunk) => parts.take(&chunk).map_err(PullError::Corrupt)?,
                None => return parts.finish(),
            }
        }
    }
}

fn request(
    app: &AppName,
    manifest: &Digest,
    objects: &[Digest],
    trace: Option<TraceContext>,
) -> PullRequest {
    PullRequest {
        app: app.to_string(),
        manifest: digest_to_wire(manifest),
        objects: objects.iter().map(digest_to_wire).collect(),
        trace,
        ..PullRequest::default()
    }
}

fn whole(digest: &Digest, mut items: BTreeMap<Digest, Bytes>) -> Result<Release, PullError> {
    let bytes = items.remove(digest);
    let bytes = bytes.ok_or_else(|| PullError::Broken("the hub sent no manifest".to_owned()))?;
    let manifest = Manifest::parse(&bytes).map_err(PullError::Corrupt)?;
    Ok(Release { manifest, objects: items })
}

/// What a pull gave.
enum Answer {
    /// Items by digest, each checked.
    Items(BTreeMap<Digest, Bytes>),
    /// A bundle, not checked yet.
    Bundle { bytes: Bytes, on_base: bool },
}

/// Puts chunks together.
struct Parts {
    asked: BTreeSet<Digest>,
    packed: bool,
    items: BTreeMap<Digest, Bytes>,
    bundle: Option<(Bytes, bool)>,
    /// The item that is not whole yet: its first chunk, and its bytes so far.
    part: Option<(PullChunk, BytesMut)>,
}

impl Parts {
    fn of(request: &PullRequest) -> Parts {
        let names = request.objects.iter().chain([&request.manifest]);
        let asked = names.filter_map(|name| digest_from_wire("pull", name).ok()).collect();
        let items = BTreeMap::new();
        Parts { asked, packed: request.packed, items, bundle: None, part: None }
    }

    fn take(&mut self, chunk: &PullChunk) -> Result<(), String> {
        let (first, mut bytes) = match self.part.take() {
            Some(part) => part,
            None => (PullChunk { data: Bytes::new(), ..chunk.clone() }, BytesMut::new()),
        };
        let max = if chunk.packed { BUNDLE_BYTES_MAX as u64 } else { ITEM_BYTES_MAX };
        if chunk.total > max || (chunk.packed && (!self.packed || self.bundle.is_some())) {
            return Err("more came than was asked for".to_owned());
        }
        bytes.extend_from_slice(&chunk.data);
        let length = bytes.len() as u64;
        let like = PullChunk { data: Bytes::new(), ..chunk.clone() };
        if like != first || length > chunk.total {
            return Err("chunks are mixed up".to_owned());
        }
        if length < chunk.total {
            self.part = Some((first, bytes));
            return Ok(());
        }
        if chunk.packed {
            self.bundle = Some((bytes.freeze(), chunk.on_base));
            return Ok(());
        }
        let digest = digest_from_wire("chunk.digest", &chunk.digest).map_err(|e| e.to_string())?;
        if !self.asked.contains(&digest) {
            return Err(format!("{digest} was not asked for"));
        }
        if Digest::of(&bytes) != digest {
            return Err(format!("{digest} hashes to something else"));
        }
        self.items.insert(digest, bytes.freeze());
        Ok(())
    }

    fn finish(self) -> Result<Answer, PullError> {
        match self.bundle {
            _ if self.part.is_some() => Err(PullError::Broken("an item was cut short".to_owned())),
            Some((bytes, on_base)) => Ok(Answer::Bundle { bytes, on_base }),
            None => Ok(Answer::Items(self.items)),
        }
    }
}

//! Content by digest, over the connection that is open at the moment. What does not hash to its name is
//! thrown away.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use model::{AppName, Digest, Manifest};
use proto::convert::{digest_from_wire, digest_to_wire};
use proto::limits::{CHUNK_BYTES_MAX, PULL_OBJECTS_MAX};
use proto::v1::agent_client::AgentClient;
use proto::v1::{PullRequest, TraceContext};
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

    /// The manifest that a grant names.
    pub async fn manifest(
        &self,
        app: &AppName,
        digest: &Digest,
        trace: Option<TraceContext>,
    ) -> Result<Manifest, PullError> {
        let mut items = self.pull(app, digest, &[], trace).await?;
        let bytes = items
            .remove(digest)
            .ok_or_else(|| PullError::Broken("the hub sent no manifest".to_owned()))?;
        Manifest::parse(&bytes).map_err(PullError::Corrupt)
    }

    /// Objects of it, at most [`PULL_OBJECTS_MAX`]. What the hub leaves out is not in the answer.
    pub async fn objects(
        &self,
        app: &AppName,
        manifest: &Digest,
        objects: &[Digest],
        trace: Option<TraceContext>,
    ) -> Result<BTreeMap<Digest, Bytes>, PullError> {
        self.pull(app, manifest, &objects[..objects.len().min(PULL_OBJECTS_MAX)], trace).await
    }

    async fn pull(
        &self,
        app: &AppName,
        manifest: &Digest,
        objects: &[Digest],
        trace: Option<TraceContext>,
    ) -> Result<BTreeMap<Digest, Bytes>, PullError> {
        let mut line = self.line.clone();
        let open = line.wait_for(Option::is_some).await;
        let client = open.ok().and_then(|c| c.clone());
        let client = client.ok_or_else(|| PullError::Broken("there is no line".to_owned()))?;
        let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
        let request = PullRequest {
            app: app.to_string(),
            manifest: digest_to_wire(manifest),
            objects: objects.iter().map(digest_to_wire).collect(),
            trace,
        };
        let silence = || PullError::Broken(format!("silence for {} s", SILENCE_MAX.as_secs()));
        let broken = |status: tonic::Status| PullError::Broken(status.message().to_owned());
        let answer = tokio::time::timeout(SILENCE_MAX, client.pull(request)).await;
        let mut stream = answer.map_err(|_| silence())?.map_err(broken)?.into_inner();
        let mut items = BTreeMap::new();
        let mut part: Option<(Digest, u64, BytesMut)> = None;
        loop {
            let chunk = tokio::time::timeout(SILENCE_MAX, stream.message()).await;
            let Some(chunk) = chunk.map_err(|_| silence())?.map_err(broken)? else { break };
            let digest = digest_from_wire("chunk.digest", &chunk.digest)
                .map_err(|e| PullError::Corrupt(e.to_string()))?;
            let asked = digest == *manifest || objects.contains(&digest);
            if !asked || chunk.total > ITEM_BYTES_MAX {
                return Err(PullError::Corrupt(format!("{digest} was not asked for")));
            }
            let (at, total, mut bytes) =
                part.take().unwrap_or_else(|| (digest, chunk.total, BytesMut::new()));
            bytes.extend_from_slice(&chunk.data);
            let length = bytes.len() as u64;
            if at != digest || length > total {
                return Err(PullError::Corrupt(format!("chunks of {at} are mixed up")));
            }
            if length < total {
                part = Some((at, total, bytes));
            } else if Digest::of(&bytes) == digest {
                items.insert(digest, bytes.freeze());
            } else {
                return Err(PullError::Corrupt(format!("{digest} hashes to something else")));
            }
        }
        Ok(items)
    }
}

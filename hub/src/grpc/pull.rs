//! Content by digest, only what this cluster is granted now: the manifest of the grant, or objects that
//! this manifest lists. Whether anything else exists cannot be found out here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{AppName, ClusterUid, Digest, Manifest, Reason};
use proto::convert::{digest_from_wire, digest_to_wire};
use proto::limits::{CHUNK_BYTES_MAX, PULL_OBJECTS_MAX};
use proto::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::count::{Crowd, Place};
use super::parts::Parts;
use super::refuse::{self, blocking, refuse};

/// Pulls of one cluster at one time; an agent needs one, a restart may overlap with another.
const PULLS_PER_CLUSTER: usize = 4;
/// Items in memory for all pulls: at most 1.5 MiB each, so 384 MiB in the worst case.
const ITEMS_MAX: usize = 256;
/// Chunks that wait for a slow receiver.
const CHUNKS_WAITING: usize = 2;
/// A receiver that takes no chunk for so long is given up.
const CHUNK_WAIT: Duration = Duration::from_secs(30);

/// Serves pulls.
#[derive(Debug)]
pub(super) struct Pulls {
    parts: Parts,
    crowd: Crowd<ClusterUid>,
    items: Arc<Semaphore>,
}

/// What one pull is about, all of it checked.
struct Wanted {
    cluster: ClusterUid,
    app: AppName,
    manifest: Digest,
    objects: Vec<Digest>,
}

impl Wanted {
    fn read(cluster: ClusterUid, wire: &v1::PullRequest) -> Result<Wanted, Status> {
        let broken = |what: String| refuse(Code::InvalidArgument, Reason::ProtocolBroken, what);
        if wire.objects.len() > PULL_OBJECTS_MAX {
            let what = format!("{} objects, at most {PULL_OBJECTS_MAX}", wire.objects.len());
            return Err(broken(what));
        }
        let app = AppName::parse(&wire.app).map_err(|e| broken(e.to_string()))?;
        let digest =
            |field, bytes: &[u8]| digest_from_wire(field, bytes).map_err(|e| broken(e.to_string()));
        let manifest = digest("pull.manifest", &wire.manifest)?;
        let objects = wire.objects.iter().map(|bytes| digest("pull.objects", bytes));
        Ok(Wanted { cluster, app, manifest, objects: objects.collect::<Result<_, _>>()? })
    }
}

impl Pulls {
    pub(super) fn new(parts: Parts) -> Pulls {
        Pulls { parts, crowd: Crowd::new(), items: Arc::new(Semaphore::new(ITEMS_MAX)) }
    }

    pub(super) async fn pull(
        &self,
        request: Request<v1::PullRequest>,
    ) -> Result<Response<ReceiverStream<Result<v1::PullChunk, Status>>>, Status> {
        let admitted = self.parts.admit_active(&request).await?;
        let wanted = Wanted::read(admitted.peer.cluster.clone(), request.get_ref())?;
        let place = self.crowd.enter(wanted.cluster.clone(), PULLS_PER_CLUSTER);
        let Some(place) = place else {
            let what = format!("cluster `{}` pulls too much at once", admitted.cluster.name);
            return Err(refuse(Code::ResourceExhausted, Reason::Refused, what));
        };
        granted(&self.parts, &wanted)?;
        let items = if wanted.objects.is_empty() {
            vec![wanted.manifest]
        } else {
            self.members(&wanted).await?
        };
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        let (parts, limit) = (self.parts.clone(), self.items.clone());
        tokio::spawn(async move {
            let _place: Place<_> = place;
            if let Err(status) = send_all(&parts, &wanted, items, &limit, &sender).await {
                // The receiver went away: nobody is left to tell.
                drop(timeout(CHUNK_WAIT, sender.send(Err(status))).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// The wanted objects, each of them in the manifest.
    async fn members(&self, wanted: &Wanted) -> Result<Vec<Digest>, Status> {
        let bytes = item(&self.parts, wanted.manifest).await?;
        let manifest = Manifest::parse(&bytes).map_err(|what| corrupt(&wanted.manifest, &what))?;
        let listed: BTreeSet<_> = manifest.entries().iter().map(|entry| entry.digest).collect();
        if wanted.objects.iter().all(|object| listed.contains(object)) {
            Ok(wanted.objects.clone())
        } else {
            let what = "an object is not in the manifest that it was asked for with";
            Err(refuse(Code::PermissionDenied, Reason::Refused, what))
        }
    }
}

/// Whether the cluster still holds the grant it pulls for.
fn granted(parts: &Parts, wanted: &Wanted) -> Result<(), Status> {
    if parts.desk.granted(&wanted.cluster, &wanted.app, &wanted.manifest) {
        return Ok(());
    }
    let what = format!("this cluster is not granted this release of `{}`", wanted.app);
    Err(refuse(Code::PermissionDenied, Reason::Refused, what))
}

async fn send_all(
    parts: &Parts,
    wanted: &Wanted,
    items: Vec<Digest>,
    limit: &Semaphore,
    sender: &mpsc::Sender<Result<v1::PullChunk, Status>>,
) -> Result<(), Status> {
    for digest in items {
        // A recall or a deletion ends a long pull too.
        granted(parts, wanted)?;
        let _turn = limit.acquire().await.map_err(refuse::internal)?;
        let bytes = item(parts, digest).await?;
        for chunk in chunks(digest, &bytes) {
            match timeout(CHUNK_WAIT, sender.send(Ok(chunk))).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => return Ok(()),
                Err(_slow) => return Err(Status::deadline_exceeded("no chunk was taken for 30 s")),
            }
        }
    }
    Ok(())
}

/// An item in order; one that is empty is one empty chunk, so that its arrival shows.
fn chunks(digest: Digest, bytes: &Bytes) -> impl Iterator<Item = v1::PullChunk> {
    let count = bytes.len().div_ceil(CHUNK_BYTES_MAX).max(1);
    (0..count).map(move |n| {
        let start = n * CHUNK_BYTES_MAX;
        let end = bytes.len().min(start + CHUNK_BYTES_MAX);
        v1::PullChunk {
            digest: digest_to_wire(&digest),
            total: bytes.len() as u64,
            data: bytes.slice(start..end),
        }
    })
}

/// An item, checked against its digest: what left the hub is what was rendered.
async fn item(parts: &Parts, digest: Digest) -> Result<Bytes, Status> {
    let content = parts.content.clone();
    blocking(move || match content.item(&digest) {
        Ok(Some(bytes)) if Digest::of(&bytes) == digest => Ok(bytes),
        Ok(Some(_)) => Err(corrupt(&digest, "its bytes have another digest")),
        Ok(None) => {
            let what = format!("content {} is not on the hub now", digest.short());
            Err(refuse(Code::Unavailable, Reason::Unavailable, what))
        }
        Err(error) => Err(refuse::internal(error)),
    })
    .await?
}

fn corrupt(digest: &Digest, what: &str) -> Status {
    tracing::error!(%digest, what, "content is damaged");
    let what = format!("content {} is damaged on the hub", digest.short());
    refuse(Code::DataLoss, Reason::ContentCorrupt, what)
}

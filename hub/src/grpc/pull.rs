//! Content by digest, only what this cluster is granted now: the manifest of the grant, or objects that
//! this manifest lists; item by item, or packed into one bundle. Whether anything else exists cannot be
//! found out here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{AppName, ClusterUid, Digest, Reason};
use proto::convert::{digest_from_wire, digest_to_wire};
use proto::limits::{CHUNK_BYTES_MAX, PULL_OBJECTS_MAX};
use proto::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::bundle::{Base, Bundles};
use super::count::{Crowd, Place};
use super::parts::Parts;
use super::read::{manifest, read};
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
    bundles: Arc<Bundles>,
}

/// What one pull is about, all of it checked.
struct Wanted {
    cluster: ClusterUid,
    app: AppName,
    manifest: Digest,
    objects: Vec<Digest>,
    packed: bool,
    /// Only one that the cluster was granted: another is as good as none.
    base: Base,
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
        let objects = objects.collect::<Result<_, _>>()?;
        let base = if wire.base.is_empty() {
            Base::None
        } else {
            Base::Held(digest("pull.base", &wire.base)?)
        };
        Ok(Wanted { cluster, app, manifest, objects, packed: wire.packed, base })
    }
}

impl Pulls {
    pub(super) fn new(parts: Parts) -> Pulls {
        let bundles = Arc::new(Bundles::new(parts.content.clone()));
        Pulls { parts, crowd: Crowd::new(), items: Arc::new(Semaphore::new(ITEMS_MAX)), bundles }
    }

    pub(super) async fn pull(
        &self,
        request: Request<v1::PullRequest>,
    ) -> Result<Response<ReceiverStream<Result<v1::PullChunk, Status>>>, Status> {
        let admitted = self.parts.admit_active(&request).await?;
        let mut wanted = Wanted::read(admitted.peer.cluster.clone(), request.get_ref())?;
        let place = self.crowd.enter(wanted.cluster.clone(), PULLS_PER_CLUSTER);
        let Some(place) = place else {
            let what = format!("cluster `{}` pulls too much at once", admitted.cluster.name);
            return Err(refuse(Code::ResourceExhausted, Reason::Refused, what));
        };
        granted(&self.parts, &wanted)?;
        if let Base::Held(base) = wanted.base
            && !self.parts.desk.may_hold(&wanted.cluster, &wanted.app, &base)
        {
            wanted.base = Base::Unknown;
        }
        let items = if wanted.objects.is_empty() {
            vec![wanted.manifest]
        } else {
            self.members(&wanted).await?
        };
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        let (parts, limit) = (self.parts.clone(), self.items.clone());
        let bundles = self.bundles.clone();
        tokio::spawn(async move {
            let _place: Place<_> = place;
            let sent = if wanted.packed {
                send_bundle(&bundles, &wanted, &limit, &sender).await
            } else {
                send_all(&parts, &wanted, items, &limit, &sender).await
            };
            if let Err(status) = sent {
                // The receiver went away: nobody is left to tell.
                drop(timeout(CHUNK_WAIT, sender.send(Err(status))).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// The wanted objects, each of them in the manifest.
    async fn members(&self, wanted: &Wanted) -> Result<Vec<Digest>, Status> {
        let (content, digest) = (self.parts.content.clone(), wanted.manifest);
        let manifest = blocking(move || manifest(&content, &digest)).await??;
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
        let content = parts.content.clone();
        let bytes = blocking(move || read(&content, &digest)).await??;
        let like = v1::PullChunk { digest: digest_to_wire(&digest), ..Default::default() };
        if !send(&like, &bytes, sender).await? {
            return Ok(());
        }
    }
    Ok(())
}

async fn send_bundle(
    bundles: &Bundles,
    wanted: &Wanted,
    limit: &Semaphore,
    sender: &mpsc::Sender<Result<v1::PullChunk, Status>>,
) -> Result<(), Status> {
    let _turn = limit.acquire().await.map_err(refuse::internal)?;
    let (bytes, on_base) = if wanted.objects.is_empty() {
        bundles.release(wanted.base, wanted.manifest).await?
    } else {
        (bundles.objects(wanted.objects.clone()).await?, false)
    };
    let like = v1::PullChunk { packed: true, on_base, ..Default::default() };
    send(&like, &bytes, sender).await.map(drop)
}

/// Sends an item in chunks like `like`; one that is empty is one empty chunk, so that its arrival shows.
/// `false` when nobody takes them any more.
async fn send(
    like: &v1::PullChunk,
    bytes: &Bytes,
    sender: &mpsc::Sender<Result<v1::PullChunk, Status>>,
) -> Result<bool, Status> {
    let count = bytes.len().div_ceil(CHUNK_BYTES_MAX).max(1);
    for start in (0..count).map(|n| n * CHUNK_BYTES_MAX) {
        let data = bytes.slice(start..bytes.len().min(start + CHUNK_BYTES_MAX));
        let chunk = v1::PullChunk { total: bytes.len() as u64, data, ..like.clone() };
        match timeout(CHUNK_WAIT, sender.send(Ok(chunk))).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => return Ok(false),
            Err(_slow) => return Err(Status::deadline_exceeded("no chunk was taken for 30 s")),
        }
    }
    Ok(true)
}

//! Packed pulls: what a cluster lacks in one answer, and never more than it may have.

use bytes::Bytes;
use hub::engine::Served;
use model::{AppName, Digest, Directive, Manifest};
use proto::bundle::{self, Release};
use proto::limits::BUNDLE_OBJECTS_BYTES_MAX;
use proto::v1;
use tonic::{Code, Status};

use super::rig::{Identity, Rig, grant, reason, soon};

/// Serves a grant to a cluster that was granted `earlier` before.
fn serve(rig: &Rig, identity: &Identity, directive: Directive, earlier: &[&Manifest]) {
    let served = Served {
        app: AppName::parse("web").unwrap(),
        directive,
        revision: "main@sha1:1f3c9a2".to_owned(),
        drift: "correct".to_owned(),
        trace: None,
        earlier: earlier.iter().map(|manifest| manifest.digest()).collect(),
    };
    rig.serve_as(&identity.uid, served);
}

/// One packed pull: the bundle, whether it begins from the base, and how many chunks it took.
async fn pull(
    identity: &Identity,
    manifest: &Manifest,
    objects: &[Digest],
    base: Option<&Manifest>,
) -> Result<(Vec<u8>, bool), Status> {
    let request = v1::PullRequest {
        app: "web".to_owned(),
        manifest: manifest.digest().as_bytes().to_vec(),
        objects: objects.iter().map(|digest| digest.as_bytes().to_vec()).collect(),
        packed: true,
        base: base.map(|base| base.digest().as_bytes().to_vec()).unwrap_or_default(),
        trace: None,
    };
    let mut chunks = identity.client().await.pull(request).await?.into_inner();
    let (mut bytes, mut total, mut on_base) = (Vec::new(), 0, None);
    while let Some(chunk) = soon("a chunk", chunks.message()).await? {
        assert!(chunk.packed && chunk.digest.is_empty());
        assert!(*on_base.get_or_insert(chunk.on_base) == chunk.on_base);
        total = chunk.total;
        bytes.extend(chunk.data);
    }
    assert_eq!(bytes.len() as u64, total);
    Ok((bytes, on_base.unwrap()))
}

async fn release(
    identity: &Identity,
    manifest: &Manifest,
    base: Option<&Manifest>,
) -> (Release, bool) {
    let (bytes, on_base) = pull(identity, manifest, &[], base).await.unwrap();
    let base = base.filter(|_| on_base);
    (bundle::unpack_release(&bytes, base, &manifest.digest()).unwrap(), on_base)
}

#[tokio::test]
async fn a_first_release_comes_whole_in_one_answer() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["one", "two", "three"]);
    serve(&rig, &identity, grant(1, &manifest), &[]);
    let (made, on_base) = release(&identity, &manifest, None).await;
    assert_eq!((made.manifest, on_base), (manifest, false));
    let texts: Vec<_> = made.objects.values().map(Bytes::as_ref).collect();
    assert_eq!(made.objects.len(), 3);
    assert!(texts.contains(&&b"one"[..]) && texts.contains(&&b"three"[..]));
}

#[tokio::test]
async fn the_next_release_is_a_difference_that_carries_only_what_is_new() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let (old, new) = (rig.stock(&["one", "two", "three"]), rig.stock(&["one", "2", "three"]));
    serve(&rig, &identity, grant(2, &new), &[&old]);
    let (made, on_base) = release(&identity, &new, Some(&old)).await;
    assert!(on_base);
    assert_eq!(made.manifest, new);
    assert_eq!(made.objects.into_values().collect::<Vec<_>>(), ["2"]);
}

#[tokio::test]
async fn nothing_is_told_of_a_manifest_that_the_cluster_was_never_granted() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let own = rig.stock(&["one", "secret"]);
    let (foreign, absent) = (rig.stock(&["one", "other"]), Manifest::new(Vec::new()));
    serve(&rig, &identity, grant(1, &own), &[]);
    // Whether the hub has it or not, the answer is the same: the whole list, and no object unasked.
    let there = pull(&identity, &own, &[], Some(&foreign)).await.unwrap();
    let nowhere = pull(&identity, &own, &[], Some(&absent)).await.unwrap();
    assert_eq!(there, nowhere);
    assert!(!there.1);
    let made = bundle::unpack_release(&there.0, None, &own.digest()).unwrap();
    assert!(made.objects.is_empty());
    let status = pull(&identity, &foreign, &[], None).await.unwrap_err();
    assert_eq!(reason(&status), (Code::PermissionDenied, "API-003"));
    let objects = [Digest::of(b"other")];
    let status = pull(&identity, &own, &objects, None).await.unwrap_err();
    assert_eq!(reason(&status), (Code::PermissionDenied, "API-003"));
}

#[tokio::test]
async fn what_does_not_fit_one_bundle_is_left_to_be_asked_for() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let texts: Vec<_> =
        (0..5).map(|n| n.to_string().repeat(BUNDLE_OBJECTS_BYTES_MAX / 2)).collect();
    let manifest = rig.stock(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    serve(&rig, &identity, grant(1, &manifest), &[]);
    let (made, _) = release(&identity, &manifest, None).await;
    let mut held = made.objects;
    assert_eq!(held.len(), 2);
    let mut rounds = 0;
    while held.len() < 5 {
        let lacks = |entry: &&model::ObjectEntry| !held.contains_key(&entry.digest);
        let missing: Vec<_> =
            manifest.entries().iter().filter(lacks).map(|entry| entry.digest).collect();
        let (bytes, _) = pull(&identity, &manifest, &missing, None).await.unwrap();
        held.extend(bundle::unpack_objects(&bytes, &missing.into_iter().collect()).unwrap());
        rounds += 1;
    }
    assert_eq!(rounds, 2);
}

#[tokio::test]
async fn damaged_content_leaves_the_hub_in_no_bundle_either() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let (old, new) = (rig.stock(&["one"]), rig.stock(&["one", "two"]));
    serve(&rig, &identity, grant(1, &new), &[&old]);
    rig.damage(&Digest::of(b"two"), b"tvo");
    let status = pull(&identity, &new, &[], None).await.unwrap_err();
    assert_eq!(reason(&status), (Code::DataLoss, "APL-335"));
    // A base that is damaged is as good as none, once that was noticed.
    rig.stock(&["two"]);
    rig.damage(&old.digest(), b"nonsense");
    let status = pull(&identity, &new, &[], Some(&old)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::DataLoss, "APL-335"));
    let (made, on_base) = release(&identity, &new, Some(&old)).await;
    assert_eq!((made.manifest, on_base), (new, false));
}

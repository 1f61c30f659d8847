//! Bundles: the difference between two releases makes the second out of the first, and nothing else ever.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use model::{Digest, Manifest, ObjectEntry, ObjectKey};
use proptest::prelude::*;
use prost::Message as _;
use proto::bundle::{self, Error};
use proto::limits::BUNDLE_BYTES_MAX;
use proto::v1::{Line, Step, step};

type Objects = BTreeMap<Digest, Bytes>;

/// A manifest of these named texts, and the texts by digest.
fn release(texts: &BTreeMap<String, String>) -> (Manifest, Objects) {
    let mut objects = Objects::new();
    let entries = texts.iter().map(|(name, text)| {
        let digest = Digest::of(text.as_bytes());
        objects.insert(digest, Bytes::copy_from_slice(text.as_bytes()));
        let key = ObjectKey::parse_id(&format!("/ConfigMap/shop/{name}")).unwrap();
        ObjectEntry { key, digest, bytes: u32::try_from(text.len()).unwrap() }
    });
    let manifest = Manifest::new(entries.collect());
    (manifest, objects)
}

/// `count` objects of about 170 bytes, as small ConfigMaps are.
fn many(count: usize, text: impl Fn(usize) -> String) -> (Manifest, Objects) {
    let object = |n| {
        format!(
            r#"{{"apiVersion":"v1","data":{{"value":"{}"}},"kind":"ConfigMap","metadata":{{"labels":{{"app":"web"}},"name":"map-{n}","namespace":"shop"}}}}"#,
            text(n)
        )
    };
    release(&(0..count).map(|n| (format!("map-{n}"), object(n))).collect())
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn packed(steps: &[step::Step]) -> Vec<u8> {
    let one = |s: &step::Step| Step { step: Some(s.clone()) }.encode_length_delimited_to_vec();
    deflated(&steps.iter().flat_map(one).collect::<Vec<_>>())
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-e]{1,3}", "[xy]{0,2}", 0..30)
}

proptest! {
    #[test]
    fn the_difference_of_two_releases_makes_the_second_out_of_the_first(
        old in prop::option::of(texts()),
        new in texts(),
        sent in prop::collection::vec(any::<bool>(), 30),
    ) {
        let old = old.map(|old| release(&old).0);
        let (manifest, objects) = release(&new);
        let mut sent = sent.into_iter();
        let travel: Objects =
            objects.into_iter().filter(|_| sent.next() == Some(true)).collect();
        let packed = bundle::pack_release(old.as_ref(), &manifest, &travel).unwrap();
        let made = bundle::unpack_release(&packed, old.as_ref(), &manifest.digest()).unwrap();
        prop_assert_eq!(&made.manifest, &manifest);
        // What came is what was to travel, of what the old release does not list.
        let held: BTreeSet<_> =
            old.iter().flat_map(Manifest::entries).collect();
        let lacks: BTreeSet<_> = manifest.entries().iter().filter(|e| !held.contains(e)).collect();
        for (digest, bytes) in &made.objects {
            prop_assert_eq!(Digest::of(bytes), *digest);
        }
        let came: BTreeSet<_> = made.objects.keys().copied().collect();
        let wanted: BTreeSet<_> = lacks.iter().map(|e| e.digest)
            .filter(|d| travel.get(d).is_some_and(|bytes| !bytes.is_empty())).collect();
        prop_assert_eq!(came, wanted);
    }

    #[test]
    fn a_bundle_for_another_base_is_refused_or_makes_the_same(
        old in texts(), other in texts(), new in texts(),
    ) {
        let (manifest, objects) = release(&new);
        let packed = bundle::pack_release(Some(&release(&old).0), &manifest, &objects).unwrap();
        let wanted = manifest.digest();
        if let Ok(made) = bundle::unpack_release(&packed, Some(&release(&other).0), &wanted) {
            prop_assert_eq!(made.manifest, manifest);
        }
    }

    #[test]
    fn no_bytes_make_anything_but_what_was_asked_for(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        old in texts(),
    ) {
        let (base, _) = release(&old);
        for packed in [deflated(&bytes), bytes] {
            let wanted = Digest::of(b"something else");
            prop_assert!(bundle::unpack_release(&packed, Some(&base), &wanted).is_err());
            let objects = bundle::unpack_objects(&packed, &BTreeSet::from([wanted]));
            prop_assert!(objects.map_or(true, |objects| objects.is_empty()));
        }
    }
}

#[test]
fn one_changed_object_of_a_hundred_costs_a_few_hundred_bytes() {
    let (old, _) = many(100, |_| "first".to_owned());
    let (new, objects) = many(100, |n| if n == 42 { "second" } else { "first" }.to_owned());
    let packed = bundle::pack_release(Some(&old), &new, &objects).unwrap();
    assert!(packed.len() < 250, "{} bytes", packed.len());
    let made = bundle::unpack_release(&packed, Some(&old), &new.digest()).unwrap();
    assert_eq!((made.manifest, made.objects.len()), (new, 1));
}

#[test]
fn nothing_changed_is_a_step_and_a_first_release_is_smaller_than_its_objects() {
    let (new, objects) = many(100, |n| format!("value {n}"));
    let packed = bundle::pack_release(Some(&new), &new, &objects).unwrap();
    assert!(packed.len() < 16, "{} bytes", packed.len());
    let first = bundle::pack_release(None, &new, &objects).unwrap();
    let whole: usize = objects.values().map(Bytes::len).sum();
    assert!(first.len() * 4 < whole, "{} of {whole} bytes", first.len());
    let made = bundle::unpack_release(&first, None, &new.digest()).unwrap();
    assert_eq!(made, bundle::Release { manifest: new, objects });
}

#[test]
fn objects_come_back_by_digest_and_only_those_that_were_asked_for() {
    let (_, objects) = many(10, |n| n.to_string());
    let packed = bundle::pack_objects(objects.values()).unwrap();
    let mut wanted: BTreeSet<_> = objects.keys().copied().collect();
    assert_eq!(bundle::unpack_objects(&packed, &wanted).unwrap(), objects);
    wanted.pop_first();
    let error = bundle::unpack_objects(&packed, &wanted).unwrap_err();
    assert!(error.to_string().contains("was not asked for"), "{error}");
}

#[test]
fn a_bundle_that_grows_without_end_is_stopped() {
    let bomb = deflated(&vec![0; 2 * BUNDLE_BYTES_MAX]);
    assert!(bomb.len() < BUNDLE_BYTES_MAX / 10);
    let error = bundle::unpack_release(&bomb, None, &Digest::of(b"")).unwrap_err();
    assert!(matches!(error, Error::Packing(_)), "{error}");
}

#[test]
fn hostile_steps_are_refused() {
    let (base, _) = many(3, |_| "a".to_owned());
    let line = |id: &str, digest: &[u8]| {
        let (id, digest) = (id.to_owned(), digest.to_vec());
        step::Step::Line(Line { id, digest, bytes: 1, ..Line::default() })
    };
    let digest = base.digest();
    for (steps, why) in [
        (vec![step::Step::Keep(4)], "the base has fewer lines"),
        (vec![step::Step::Keep(3), step::Step::Keep(u32::MAX)], "the base has fewer lines"),
        (vec![step::Step::Drop(u32::MAX)], "the base has fewer lines"),
        (vec![line("ConfigMap", &[0; 32])], "is not an object"),
        (vec![line("/ConfigMap/shop/a", &[0; 31])], "line.digest"),
        (vec![step::Step::Object(Bytes::from_static(b"{}"))], "another kind"),
        (vec![step::Step::Keep(2)], "was asked for"),
        (vec![line("/ConfigMap/shop/a", &[0; 32]); 100_001], "too many lines"),
    ] {
        let error = bundle::unpack_release(&packed(&steps), Some(&base), &digest).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    // A step that a newer hub knows is refused too: what it would have changed is not known.
    let error = bundle::unpack_release(&deflated(&[0]), Some(&base), &digest).unwrap_err();
    assert!(error.to_string().contains("another kind"), "{error}");
    let cut = bundle::pack_release(None, &base, &Objects::new()).unwrap();
    for at in 0..cut.len() {
        assert!(bundle::unpack_release(&cut[..at], None, &digest).is_err(), "cut at {at}");
    }
}

use super::*;

use model::{Manifest, ObjectEntry, ObjectKey};

fn content() -> (tempfile::TempDir, Content) {
    let dir = tempfile::tempdir().unwrap();
    let content = Content::open(dir.path()).unwrap();
    (dir, content)
}

#[test]
fn what_is_put_comes_back_also_after_a_restart() {
    let (dir, content) = content();
    let a = content.put(Kind::Object, b"a").unwrap();
    assert_eq!(content.put(Kind::Object, b"a").unwrap(), a);
    let items: Vec<_> = (0..100_u8).map(|i| (Digest::of(&[i, i]), [i, i])).collect();
    let borrowed = items.iter().map(|(digest, bytes)| (*digest, &bytes[..]));
    content.put_all(Kind::Manifest, borrowed).unwrap();
    drop(content);
    let content = Content::open(dir.path()).unwrap();
    assert_eq!(content.get(&a).unwrap().unwrap(), "a");
    for (digest, bytes) in &items {
        assert!(content.has(digest));
        assert_eq!(content.get(digest).unwrap().unwrap(), &bytes[..]);
    }
    assert_eq!(content.get(&Digest::of(b"none")).unwrap(), None);
    assert!(!content.has(&Digest::of(b"none")));
}

#[test]
fn a_damaged_file_is_named_set_aside_and_mended_by_the_next_put() {
    for damage in [&b"A"[..], b"", b"aa"] {
        let (_dir, content) = content();
        let digest = content.put(Kind::Object, b"a").unwrap();
        fs::write(content.path(&digest), damage).unwrap();
        let error = content.get(&digest).unwrap_err();
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
        let Error::Damaged { set_aside, .. } = error else { panic!("{error}") };
        assert_eq!(fs::read(set_aside).unwrap(), damage);
        assert!(!content.has(&digest));
        content.put(Kind::Object, b"a").unwrap();
        assert_eq!(content.get(&digest).unwrap().unwrap(), "a");
    }
}

#[test]
fn a_file_that_was_cut_is_written_again() {
    let (_dir, content) = content();
    let digest = content.put(Kind::Object, b"abc").unwrap();
    fs::write(content.path(&digest), b"ab").unwrap();
    content.put(Kind::Object, b"abc").unwrap();
    assert_eq!(content.get(&digest).unwrap().unwrap(), "abc");
}

#[test]
fn each_kind_has_its_limit() {
    let (_dir, content) = content();
    let large = vec![0; OBJECT_BYTES_MAX + 1];
    let error = content.put(Kind::Object, &large).unwrap_err();
    assert_eq!(error.to_string(), "object of 1572865 bytes is over the limit of 1572864");
    let digest = content.put(Kind::Manifest, &large).unwrap();
    assert_eq!(content.get(&digest).unwrap().unwrap().len(), large.len());
    let error = content.put(Kind::Manifest, &vec![0; MANIFEST_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
}

#[test]
fn what_a_killed_process_left_unfinished_is_gone_after_a_restart() {
    let (dir, content) = content();
    fs::write(dir.path().join("unfinished/0"), b"half").unwrap();
    drop(content);
    let content = Content::open(dir.path()).unwrap();
    assert_eq!(dir.path().join("unfinished").read_dir().unwrap().count(), 0);
    content.put(Kind::Object, b"a").unwrap();
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let (dir, content) = content();
    let digest = Digest::of(b"a");
    // a file where the folder should be: stands for any fault of the disk
    let folder = content.path(&digest).parent().unwrap().to_owned();
    fs::write(&folder, b"").unwrap();
    let error = content.put(Kind::Object, b"a").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(dir.path().join("unfinished").read_dir().unwrap().count(), 0);
    fs::remove_file(&folder).unwrap();
    content.put(Kind::Object, b"a").unwrap();
}

#[test]
fn a_sweep_leaves_what_is_referred_to_and_nothing_else() {
    let (dir, content) = content();
    let object = |name: &str| {
        let bytes = name.as_bytes();
        let key = ObjectKey::parse_id(&format!("/ConfigMap/shop/{name}")).unwrap();
        (ObjectEntry { key, digest: Digest::of(bytes), bytes: 1 }, bytes.to_vec())
    };
    let release = |names: &[&str]| {
        let (entries, bytes): (Vec<_>, Vec<_>) = names.iter().map(|name| object(name)).unzip();
        for bytes in &bytes {
            content.put(Kind::Object, bytes).unwrap();
        }
        content.put(Kind::Manifest, &Manifest::new(entries).canonical()).unwrap()
    };
    let (old, new) = (release(&["a", "b"]), release(&["b", "c"]));
    let none = Digest::of(b"a release that was never kept");
    let swept = content.sweep(&BTreeSet::from([new, none])).unwrap();
    assert_eq!((swept.files, swept.bytes > 100), (2, true), "{swept:?}");
    let there = |digest: &Digest| Content::open(dir.path()).unwrap().has(digest);
    assert_eq!(["a", "b", "c"].map(|n| there(&Digest::of(n.as_bytes()))), [false, true, true]);
    assert!(there(&new) && !there(&old));
    assert_eq!(content.sweep(&BTreeSet::from([new])).unwrap(), Swept::default());
}

#[test]
fn a_sweep_removes_nothing_when_a_manifest_cannot_be_read() {
    let (_dir, content) = content();
    let digest = content.put(Kind::Object, b"of a release").unwrap();
    let damaged = content.put(Kind::Manifest, &Manifest::new(Vec::new()).canonical()).unwrap();
    let garbage = content.put(Kind::Manifest, b"no manifest").unwrap();
    assert_eq!(content.sweep(&BTreeSet::from([garbage])).unwrap(), Swept::default());
    fs::write(content.path(&damaged), b"x").unwrap();
    content.sweep(&BTreeSet::from([damaged])).unwrap_err();
    assert!(content.has(&digest));
}

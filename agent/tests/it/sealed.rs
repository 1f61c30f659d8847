//! What SOPS encrypted: opened as `sops` itself does it, refused when a byte is not as `sops` wrote it, and never said.

use std::collections::BTreeSet;
use std::fmt;

use aes_gcm::aead::generic_array::typenum::U32;
use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use agent::sealed::{Keyring, open};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use model::Reason;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::world::{World, namespace};

/// A document with its keys in the order of the file.
enum Node {
    Leaf,
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Nothing,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Nothing)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

fn pointers(node: &Node, base: &str, found: &mut Vec<Value>) {
    match node {
        Node::Nothing => {}
        Node::Leaf => found.push(json!(base)),
        Node::List(items) => {
            for (at, item) in items.iter().enumerate() {
                pointers(item, &format!("{base}/{at}"), found);
            }
        }
        Node::Map(entries) => {
            for (name, inner) in
                entries.iter().filter(|(name, _)| !(base.is_empty() && name == "sops"))
            {
                pointers(inner, &format!("{base}/{name}"), found);
            }
        }
    }
}

/// A vector as an agent gets it: sorted keys, and the order noted by rendering.
fn rendered(name: &str) -> Value {
    let path = format!("{}/tests/sealed/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut object: Value = serde_saphyr::from_str(&text).unwrap();
    let mut order = Vec::new();
    pointers(&serde_saphyr::from_str::<Node>(&text).unwrap(), "", &mut order);
    if object.get("sops").is_some() {
        object["sops"]["order"] = Value::Array(order);
    }
    object
}

fn text_of(name: &str) -> String {
    let path = format!("{}/tests/sealed/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn keyring(files: &[&str]) -> Keyring {
    let mut keyring = Keyring::of("Secret tidegate-agent/sops-age");
    for file in files {
        keyring.read(file, &text_of(file)).unwrap();
    }
    keyring
}

/// Numbers without a needless fraction, as objects are written.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() && n.as_f64().unwrap().fract() == 0.0 => {
            format!("{:.0}", n.as_f64().unwrap()).parse::<i64>().unwrap().into()
        }
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, whole(v))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[test]
fn every_vector_of_sops_opens_to_what_it_was_made_of() {
    let vectors = [
        ("k8s.yaml", "plain.yaml"),
        ("k8s.json", "plain.yaml"),
        ("both.yaml", "plain.yaml"),
        ("maconly.yaml", "plain.yaml"),
        ("types.yaml", "types-plain.yaml"),
        ("maconly-types.yaml", "types-plain.yaml"),
        ("unregex.yaml", "types-plain.yaml"),
        ("esuffix.yaml", "types-plain.yaml"),
        ("usuffix.yaml", "types-plain.yaml"),
    ];
    for (sealed, plain) in vectors {
        let found = open(rendered(sealed), &keyring(&["one.key"]));
        let found = found.unwrap_or_else(|fault| panic!("{sealed}: {fault}"));
        assert_eq!(whole(found.object), whole(rendered(plain)), "{sealed}");
    }
    // Either of two recipients, and the second after a key that is not meant.
    for keys in [&["two.key"][..], &["one.key", "two.key"]] {
        assert!(open(rendered("both.yaml"), &keyring(keys)).is_ok());
        assert!(open(rendered("second.yaml"), &keyring(keys)).is_ok());
    }
}

/// All texts of an object that mean something, with a way to change each.
fn texts(value: &Value, base: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((base.to_owned(), text.clone())),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                texts(item, &format!("{base}/{at}"), found);
            }
        }
        Value::Object(map) => {
            for (name, inner) in map {
                texts(inner, &format!("{base}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Who is named as recipient, and by which version, is said for people only; half of the rule is about a field that
/// the object has not, and a rule that means something else is refused below.
const SAID: [&str; 3] = ["/sops/age/0/recipient", "/sops/version", "/sops/encrypted_regex"];

#[test]
fn no_byte_can_be_another_one() {
    let keys = keyring(&["one.key"]);
    let (mut tried, whole) = (0, rendered("k8s.yaml"));
    let mut all = Vec::new();
    texts(&whole, "", &mut all);
    all.retain(|(at, _)| !SAID.contains(&at.as_str()));
    for (at, text) in all {
        for (place, char) in text.char_indices() {
            let other = match char {
                '\n' => 'x',
                'A' => 'B',
                _ => 'A',
            };
            let mut spoiled = whole.clone();
            let changed = format!("{}{other}{}", &text[..place], &text[place + char.len_utf8()..]);
            *spoiled.pointer_mut(&at).unwrap() = json!(changed);
            assert!(open(spoiled, &keys).is_err(), "{at}: {changed}");
            tried += 1;
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn values_cannot_be_exchanged_moved_added_or_taken_away() {
    let keys = keyring(&["one.key"]);
    let refused = |change: &dyn Fn(&mut Value)| {
        for name in ["k8s.yaml", "maconly.yaml"] {
            let mut object = rendered(name);
            change(&mut object);
            let fault = open(object, &keys).err().unwrap_or_else(|| panic!("{name} opened"));
            assert_eq!(fault.reason(), Reason::SealBroken, "{fault}");
        }
    };
    refused(&|o| {
        let data = o["stringData"].as_object_mut().unwrap();
        let (alpha, zeta) = (data["alpha"].clone(), data["zeta"].clone());
        data["alpha"] = zeta;
        data["zeta"] = alpha;
    });
    refused(&|o| o["stringData"]["more"] = json!("readable"));
    refused(&|o| o["stringData"]["alpha"] = json!("readable"));
    refused(&|o| o["stringData"]["alpha"] = json!(""));
    refused(&|o| {
        o["stringData"].as_object_mut().unwrap().remove("alpha");
    });
    refused(&|o| o["data"] = o["stringData"].take());
    refused(&|o| {
        let order = o["sops"]["order"].as_array_mut().unwrap();
        order.reverse();
    });
    refused(&|o| o["sops"]["encrypted_regex"] = json!("^stringData$|^name$"));
    refused(&|o| o["sops"]["encrypted_suffix"] = json!("Data"));
    refused(&|o| o["sops"]["encrypted_comment_regex"] = json!("x"));
    refused(&|o| {
        o["sops"].as_object_mut().unwrap().remove("mac");
    });
    refused(&|o| o["sops"]["lastmodified"] = json!("2020-01-01T00:00:00Z"));
}

#[test]
fn a_missing_key_another_key_and_another_kind_of_key_each_have_a_reason() {
    let told = |object: Value, keys: &[&str]| {
        let fault = open(object, &keyring(keys)).err().unwrap();
        (fault.reason(), fault.to_string())
    };
    let (reason, words) = told(rendered("k8s.yaml"), &[]);
    assert_eq!(reason, Reason::SealKeyMissing);
    let recipient = text_of("one.key")
        .lines()
        .find_map(|l| l.strip_prefix("# public key: ").map(str::to_owned));
    let recipient = recipient.unwrap();
    assert!(words.contains(&recipient) && words.contains("tidegate-agent/sops-age"), "{words}");
    let (reason, words) = told(rendered("second.yaml"), &["one.key"]);
    assert_eq!(reason, Reason::SealKeyWrong);
    assert!(words.contains(&recipient), "{words}");
    let mut other = rendered("k8s.yaml");
    other["sops"]["age"] = json!(null);
    other["sops"]["pgp"] = json!([{"fp": "F", "enc": "x"}]);
    assert_eq!(
        told(other, &["one.key"]),
        (Reason::SealKeyUnsupported, "encrypted for PGP and for no age key".to_owned())
    );
    let fault = Keyring::of("FILE").read("", "# fine\n\nAGE-PLUGIN-X\n").unwrap_err().to_string();
    assert!(fault.contains("line 3 of FILE") && !fault.contains("PLUGIN-X"), "{fault}");
}

/// Encrypts as `sops` does, so that any value can be tried.
struct Sealer {
    data_key: [u8; 32],
    enc: String,
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut key).unwrap();
    key
}

fn boxed(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> Vec<u8> {
    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
    let mut bytes = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
    bytes
}

impl Sealer {
    /// For the recipient of `one.key`.
    fn new() -> Sealer {
        let keys = keyring(&["one.key"]);
        let recipient = keys.recipients().next().unwrap();
        let parsed = bech32::primitives::decode::CheckedHrpstring::new::<bech32::Bech32>(recipient);
        let public: Vec<u8> = parsed.unwrap().byte_iter().collect();
        let public = <[u8; 32]>::try_from(public).unwrap();
        let (file_key, data_key, secret) = ([3; 16], [4; 32], StaticSecret::from([5; 32]));
        let share = PublicKey::from(&secret);
        let shared = secret.diffie_hellman(&PublicKey::from(public));
        let salt = [*share.as_bytes(), public].concat();
        let wrap = derive(shared.as_bytes(), &salt, b"age-encryption.org/v1/X25519");
        let body = STANDARD_NO_PAD.encode(boxed(&wrap, [0; 12], &file_key));
        let share = STANDARD_NO_PAD.encode(share.as_bytes());
        let head = format!("age-encryption.org/v1\n-> X25519 {share}\n{body}\n---");
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&derive(&file_key, &[], b"header")).unwrap();
        mac.update(head.as_bytes());
        let mac = STANDARD_NO_PAD.encode(mac.finalize().into_bytes());
        let mut last = [0; 12];
        last[11] = 1;
        let mut file = format!("{head} {mac}\n").into_bytes();
        file.extend([6; 16]);
        file.extend(boxed(&derive(&file_key, &[6; 16], b"payload"), last, &data_key));
        let armor = STANDARD.encode(file);
        let enc = format!(
            "-----BEGIN AGE ENCRYPTED FILE-----\n{armor}\n-----END AGE ENCRYPTED FILE-----\n"
        );
        Sealer { data_key, enc }
    }

    fn value(&self, plain: &[u8], place: &str, kind: &str) -> String {
        let cipher = aes_gcm::AesGcm::<Aes256, U32>::new((&self.data_key).into());
        let nonce: [u8; 32] = Sha256::digest([place.as_bytes(), plain].concat()).into();
        let mut bytes = plain.to_vec();
        let tag = cipher
            .encrypt_in_place_detached((&nonce).into(), place.as_bytes(), &mut bytes)
            .unwrap();
        let (data, nonce, tag) =
            (STANDARD.encode(bytes), STANDARD.encode(nonce), STANDARD.encode(tag));
        format!("ENC[AES256_GCM,data:{data},iv:{nonce},tag:{tag},type:{kind}]")
    }

    /// A Secret of which only `stringData.key` is encrypted and counted.
    fn secret(&self, value: &str, kind: &str) -> Value {
        let when = "2026-11-24T00:00:00Z";
        let mut code = Sha512::new();
        code.update(Sha256::digest(b"sops"));
        code.update(value);
        let code = hex::encode_upper(code.finalize());
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"},
            "stringData": {"key": self.value(value.as_bytes(), "stringData:key:", kind)},
            "sops": {"age": [{"recipient": "age1x", "enc": self.enc}], "lastmodified": when,
                "mac": self.value(code.as_bytes(), when, "str"), "encrypted_regex": "^stringData$",
                "mac_only_encrypted": true, "version": "3.9.4"}})
    }
}

#[test]
fn all_types_of_values_are_what_they_were() {
    let sealer = Sealer::new();
    let opened = |value: &str, kind: &str| {
        let found = open(sealer.secret(value, kind), &keyring(&["one.key"]));
        found.map(|opened| opened.object["stringData"]["key"].clone()).ok()
    };
    assert_eq!(opened("words", "str"), Some(json!("words")));
    assert_eq!(opened("words", "bytes"), Some(json!("words")));
    assert_eq!(opened("-12", "int"), Some(json!(-12)));
    assert_eq!(opened("0.5", "float"), Some(json!(0.5)));
    assert_eq!(opened("3", "float"), Some(json!(3)));
    assert_eq!(opened("True", "bool"), Some(json!(true)));
    assert_eq!(opened("False", "bool"), Some(json!(false)));
    for (value, kind) in
        [("x", "int"), ("x", "float"), ("NaN", "float"), ("true", "bool"), ("x", "time")]
    {
        assert_eq!(opened(value, kind), None, "{value} {kind}");
    }
}

/// The first eight bytes of `value`, in any form, that stand in `text`.
fn leak(value: &str, text: &str) -> bool {
    let seen = |form: &[u8], piece: usize| {
        let pieces: BTreeSet<&[u8]> = form.windows(piece).collect();
        text.as_bytes().windows(piece).any(|window| pieces.contains(window))
    };
    seen(value.as_bytes(), 8)
        || seen(STANDARD.encode(value).as_bytes(), 10)
        || seen(hex::encode(value).as_bytes(), 16)
}

#[test]
fn ten_thousand_secrets_are_said_to_nobody() {
    struct Kinds;
    impl plan::Scope for Kinds {
        fn namespaced(&self, _: &str, _: &str) -> Option<bool> {
            Some(true)
        }
    }
    let (sealer, keys) = (Sealer::new(), keyring(&["one.key"]));
    let app = model::AppName::parse("web").unwrap();
    for n in 0_u32..10_000 {
        let value = STANDARD.encode(Sha256::digest(n.to_be_bytes()));
        let value = &value[..8 + (n as usize % 32)];
        let kind = if n % 7 == 0 { "int" } else { "str" };
        let mut object = sealer.secret(value, kind);
        match n % 5 {
            1 => object["sops"]["mac"] = object["stringData"]["key"].clone(),
            2 => object["stringData"]["other"] = json!(value),
            3 => object["data"] = object["stringData"].take(),
            _ => {}
        }
        let mut said = String::new();
        match open(object, &keys) {
            Err(fault) => said.push_str(&format!("{fault} {fault:?}")),
            Ok(opened) => {
                let mut scrubber = plan::Scrubber::new();
                opened.texts.iter().for_each(|text| scrubber.learn_text(text));
                said.push_str(&scrubber.scrub(&format!("admission webhook said: {value}!")));
                let digest = model::Digest::of(b"x");
                let content = plan::Content { digest, object: opened.object };
                said.push_str(&format!("{content:?}"));
                let options = plan::AdmitOptions::new(plan::Key::new([1; 32]));
                let desired = plan::admit(&app, vec![content], &Kinds, &options).unwrap();
                let inventory = plan::Inventory::new(app.clone()).claim(&desired, model::Epoch(1));
                let bytes = inventory.seal(&plan::Key::new([1; 32])).unwrap();
                said.push_str(&format!("{desired:?}{}", String::from_utf8_lossy(&bytes)));
            }
        }
        assert!(!leak(value, &said), "{value}: {said}");
    }
}

async fn degraded(world: &World, epoch: u64) -> (Reason, String) {
    let report = world.hub.reported("web", epoch, |p| matches!(p, model::Phase::Degraded { .. }));
    let model::Phase::Degraded { reason, message } = report.await.phase else { unreachable!() };
    (reason, message)
}

fn agent_namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegate-agent"}})
}

fn key_secret(file: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "sops-age", "namespace": "tidegate-agent"},
        "data": {"age.agekey": STANDARD.encode(text_of(file))}})
}

/// Every file below a folder, as one text.
fn everything(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&everything(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_opens_what_was_encrypted_for_its_cluster_and_keeps_it_to_itself() {
    let world = World::new().await;
    let agent = world.agent().await;
    let other = crate::world::config_map("other", "one");
    world.hub.grant("web", 1, &[namespace(), rendered("k8s.yaml"), other.clone()]);
    // No key: the whole set waits, with the object, the recipient and the place for the key.
    let (reason, words) = degraded(&world, 1).await;
    assert_eq!(reason, Reason::SealKeyMissing, "{words}");
    assert!(words.contains("Secret shop/db") && words.contains("age1"), "{words}");
    assert_eq!(world.cluster.requests().writes(), 0);
    // Another key.
    world.cluster.create_as("kubectl-create", agent_namespace()).unwrap();
    world.cluster.create_as("kubectl-create", key_secret("two.key")).unwrap();
    world
        .hub
        .until("the other key", |book| {
            let model::Phase::Degraded { reason, .. } = &book.reports.last()?.1.phase else {
                return None;
            };
            (*reason == Reason::SealKeyWrong).then_some(())
        })
        .await;
    // The right one, with no restart.
    world.cluster.delete("", "Secret", Some("tidegate-agent"), "sops-age").unwrap();
    world.cluster.create_as("kubectl-create", key_secret("one.key")).unwrap();
    world.hub.healthy("web", 1).await;
    let live = world.get("", "Secret", "db").unwrap();
    let password = "correct horse battery staple";
    assert_eq!(live["data"]["zeta"], json!(STANDARD.encode(password)));
    assert!(live.get("sops").is_none(), "{live}");
    // A key that is exchanged opens the next release.
    world.cluster.delete("", "Secret", Some("tidegate-agent"), "sops-age").unwrap();
    world.cluster.create_as("kubectl-create", key_secret("two.key")).unwrap();
    world.hub.grant("web", 2, &[namespace(), rendered("second.yaml"), other.clone()]);
    world.hub.healthy("web", 2).await;
    // A byte that is not as it was: refused for good, nothing of the set is written.
    let mut spoiled = rendered("second.yaml");
    spoiled["stringData"]["alpha"] = spoiled["stringData"]["zeta"].clone();
    world.cluster.reset_requests();
    world.hub.grant("web", 3, &[namespace(), spoiled, crate::world::config_map("other", "two")]);
    let (reason, words) = world.hub.failed("web", 3).await;
    assert_eq!(reason, Reason::SealBroken);
    assert!(words.contains("Secret shop/db: `stringData.alpha`"), "{words}");
    assert_eq!(world.cluster.requests().writes(), 0);
    assert_eq!(world.data("other", "key").as_deref(), Some("one"));
    // What is left on the disk, and what the hub heard.
    let metrics = agent.metrics();
    agent.stop().await.unwrap();
    let heard = format!("{:?}", world.hub.book.lock().unwrap().reports);
    let kept = everything(&world.path("state"));
    assert!(kept.contains("ENC[AES256_GCM"), "the grant is kept as it came");
    for text in [heard, kept, metrics] {
        assert!(!leak(password, &text));
        assert!(!text.contains("AGE-SECRET-KEY-"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reads_its_keys_from_a_file_when_one_is_named() {
    let world = World::new().await;
    let mut config = world.config();
    config.sops_age_keys = Some(world.path("keys"));
    let _agent = agent::start(config, agent::Deps::default()).await.unwrap();
    world.hub.grant("web", 1, &[namespace(), rendered("k8s.yaml")]);
    let (reason, _) = degraded(&world, 1).await;
    assert_eq!(reason, Reason::SealKeyMissing);
    std::fs::write(world.path("keys"), text_of("one.key")).unwrap();
    world.hub.healthy("web", 1).await;
    assert!(world.get("", "Secret", "db").is_some());
}

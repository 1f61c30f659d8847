//! No byte of a Secret's value in anything that is said.

use model::ObjectKey;
use plan::{
    Answer, Asked, Key, Policy, Scrubber, Verb, admit, classify, plan as make_plan, redacted,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Cluster, Kinds, app, content, options};

/// Shortest piece that must not be seen.
const PIECE: usize = 8;

/// Encodings in which a value may hide.
fn forms(value: &str) -> [String; 4] {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n & 15)]);
    let hex: String = value.bytes().flat_map(|b| [digit(b >> 4), digit(b)]).collect();
    let escaped = Value::from(value).to_string();
    [value.to_owned(), base64(value.as_bytes()), hex, escaped.trim_matches('"').to_owned()]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |n: u32| char::from(DIGITS[(n & 63) as usize]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let n = (at(0) << 16) | (at(1) << 8) | at(2);
        text.push(digit(n >> 18));
        text.push(digit(n >> 12));
        text.push(if chunk.len() > 1 { digit(n >> 6) } else { '=' });
        text.push(if chunk.len() > 2 { digit(n) } else { '=' });
    }
    text
}

/// The first piece of any form of `value` that is in `text`.
fn leak(value: &str, text: &str) -> Option<String> {
    // Eight bytes are 16 digits in hexadecimal and at least 10 in base64.
    let [plain, base64, hex, escaped] = forms(value);
    [(plain, PIECE), (base64, 10), (hex, 2 * PIECE), (escaped, PIECE)].iter().find_map(
        |(form, piece)| {
            let seen = |part: &&[u8]| text.as_bytes().windows(*piece).any(|window| window == *part);
            let found = form.as_bytes().windows(*piece).find(seen)?;
            Some(String::from_utf8_lossy(found).into_owned())
        },
    )
}

/// Secrets that are right, and wrong in many ways, around one value.
fn secrets(value: &str) -> Vec<Value> {
    let secret = |fields: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "shop"}});
        for (name, field) in fields.as_object().into_iter().flatten() {
            object[name.as_str()] = field.clone();
        }
        object
    };
    let copy = json!({"name": "s", "namespace": "shop", "annotations":
        {"kubectl.kubernetes.io/last-applied-configuration": value}});
    vec![
        secret(json!({"stringData": {"k": value}})),
        secret(json!({"data": {"k": base64(value.as_bytes())}})),
        secret(json!({"data": {"k": format!("{value} is not base64!")}})),
        secret(json!({"data": {"k": [value]}})),
        secret(json!({"stringData": {"k": {"deep": value}}})),
        secret(json!({"stringData": {"k": value}, "metadata": copy})),
        secret(json!({"stringData": {"k": value}, "metadata": {"generateName": "s-"}})),
    ]
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{8,40}", "[a-zA-Z0-9]{20,32}", "[A-Za-z\"\\\\\n\t]{12,30}", "\\PC{8,20}",]
        // Words that our own messages use are no secrets that anybody could keep.
        .prop_filter("not all one character", |v| v.chars().any(|c| !v.starts_with(c)))
}

proptest! {
    #[test]
    fn admission_and_planning_show_no_value(value in values()) {
        for object in secrets(&value) {
            let mut said = format!("{:?}", content(object.clone()));
            match admit(&app(), vec![content(object)], &Kinds, &options()) {
                Err(faults) => {
                    for fault in &faults {
 said.push_str(&format!("{fault} {fault:?}"));
 }
                }
                Ok(desired) => {
                    let mut cluster = Cluster::new();
                    let plan = make_plan(&desired, &cluster.live, &cluster.inventory, &Policy::default());
                    said.push_str(&format!("{desired:?} {plan:?}"));
                    cluster.run(&desired, &plan);
                    let sealed = cluster.inventory.seal(&Key::new([1; 32])).unwrap();
                    said.push_str(&String::from_utf8_lossy(&sealed));
                }
            }
            prop_assert_eq!(leak(&value, &said), None, "{}", said);
        }
    }

    #[test]
    fn a_refusal_of_a_secret_keeps_the_servers_words_to_itself(value in values(), code in 400u16..505) {
        let status = json!({"kind": "Status", "reason": "Invalid",
            "message": format!("Secret \"s\" is invalid: data: Invalid value: {value:?} {value}"),
            "details": {"causes": [
                {"field": "data.password", "message": format!("Invalid value: {value}")},
                {"field": format!("data[{value} ]"), "message": "x"},
            ]}});
        let key = ObjectKey::parse_id("/Secret/shop/s").unwrap();
        let asked = Asked { verb: Verb::Apply, key: &key, namespace_planned: false, definition_planned: false };
        let answer = Answer { code, status: Some(&status), text: "", retry_after: None };
        let failure = classify(&asked, &answer);
        prop_assert_eq!(leak(&value, &format!("{failure:?}")), None);
        let text = Answer { code, status: None, text: &value, retry_after: None };
        prop_assert_eq!(leak(&value, &format!("{:?}", classify(&asked, &text))), None);
    }

    #[test]
    fn a_scrubbed_text_holds_no_piece_of_a_value(value in values(), before in "[a-z ]{0,10}", after in "[a-z ]{0,10}") {
        for object in secrets(&value).into_iter().take(2) {
            let mut scrubber = Scrubber::new();
            scrubber.learn(&object);
            for form in forms(&value) {
                let text = format!("{before}{form}{after}");
                let scrubbed = scrubber.scrub(&text);
                prop_assert_eq!(leak(&value, &scrubbed), None, "{} -> {}", text, scrubbed);
            }
        }
    }
}

#[test]
fn a_secret_that_is_too_large_is_refused_without_a_word_of_it() {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
        "stringData": {"k": "correct-horse".repeat(120_000)}});
    let faults = admit(&app(), vec![content(object)], &Kinds, &options()).unwrap_err();
    assert_eq!(leak("correct-horse", &format!("{faults:?}")), None);
    assert_eq!(faults.len(), 2);
}

#[test]
fn a_scrubber_leaves_everything_else_alone_and_says_how_much_it_took() {
    let mut scrubber = Scrubber::new();
    scrubber.learn(&json!({"kind": "Secret", "stringData": {"k": "correct-horse"}}));
    assert_eq!(scrubber.scrub("pod web: exit 1"), "pod web: exit 1");
    assert_eq!(scrubber.scrub("login correct-horse failed"), "login «redacted len=13» failed");
    assert_eq!(redacted(3), "«redacted len=3»");
    let mut other = Scrubber::new();
    other.learn(&json!({"kind": "ConfigMap", "data": {"k": "correct-horse"}}));
    assert_eq!(other.scrub("correct-horse"), "correct-horse");
}

//! The join token: what a person may do to it on the way, and what must never leave it.

use proptest::prelude::*;
use proto::token::{JoinToken, Secret, TokenError};

fn token() -> JoinToken {
    JoinToken {
        token_id: [7; 16],
        secret: Secret::new([0xAB; 32]),
        fleet_id: "0123456789abcdef0123456789abcdef".to_owned(),
        endpoints: vec!["hub.example.com:7421".to_owned(), "[::1]:7421".to_owned()],
        pins: vec![[1; 32], [2; 32]],
        expires: 1_750_000_000,
    }
}

#[test]
fn a_token_reads_back_with_white_space_around_it() {
    let text = format!("\n  {}\r\n", token().encode());
    assert_eq!(JoinToken::parse(&text).as_ref(), Ok(&token()));
}

#[test]
fn the_text_begins_so_that_secret_scanners_find_it() {
    assert!(token().encode().starts_with("tgj1."));
}

#[test]
fn the_first_token_ever_printed_is_still_read() {
    let text = include_str!("../recorded/token.txt");
    assert_eq!(JoinToken::parse(text), Ok(token()));
}

#[test]
fn every_truncation_is_told_from_a_wrong_token() {
    let text = token().encode();
    for end in 5..text.len() {
        let fault = JoinToken::parse(&text[..end]).unwrap_err();
        assert!(matches!(fault, TokenError::Truncated | TokenError::Checksum), "{end}: {fault}");
        assert_eq!(fault.reason().code(), "JOI-805");
    }
    assert_eq!(JoinToken::parse(&text[..4]), Err(TokenError::Prefix));
    assert_eq!(JoinToken::parse("hunter2"), Err(TokenError::Prefix));
    assert_eq!(JoinToken::parse(""), Err(TokenError::Prefix));
}

#[test]
fn neither_a_token_nor_its_faults_print_the_secret() {
    let token = token();
    let text = token.encode();
    let printed = format!("{token:?}");
    assert!(printed.contains("hub.example.com"));
    for form in ["171", "abab", "ABAB", "0xab", "q6ur"] {
        assert!(!printed.contains(form), "{printed}");
    }
    let fault = JoinToken::parse(&text[..text.len() - 1]).unwrap_err();
    assert!(!format!("{fault:?} {fault}").contains(&text[10..20]));
}

/// A token with a right checksum and whatever content.
fn sealed(change: impl FnOnce(&mut JoinToken)) -> Result<JoinToken, TokenError> {
    let mut token = token();
    change(&mut token);
    JoinToken::parse(&token.encode())
}

#[test]
fn content_that_makes_no_sense_is_refused() {
    let content = |result: Result<_, _>| matches!(result, Err(TokenError::Content(_)));
    assert!(content(sealed(|t| t.fleet_id = "x".to_owned())));
    assert!(content(sealed(|t| t.fleet_id = t.fleet_id.to_uppercase())));
    assert!(content(sealed(|t| t.endpoints.clear())));
    assert!(content(sealed(|t| t.endpoints = vec!["a:1".to_owned(); 9])));
    for endpoint in ["hub", "hub:", ":7421", "hub:0", "hub:70000", "h ub:1", "https://hub:1"] {
        assert!(content(sealed(|t| t.endpoints = vec![endpoint.to_owned()])), "{endpoint}");
    }
    assert!(content(sealed(|t| t.pins.clear())));
    assert!(content(sealed(|t| t.pins = vec![[0; 32]; 4])));
    assert!(content(sealed(|t| t.endpoints = vec![format!("{}:1", "h".repeat(9000))])));
}

proptest! {
    #[test]
    fn one_changed_character_is_always_seen(at in 0usize..1000, to in "[A-Za-z0-9_.-]") {
        let mut text = token().encode();
        let at = at % text.len();
        prop_assume!(&text[at..=at] != to.as_str());
        text.replace_range(at..=at, &to);
        prop_assert!(JoinToken::parse(&text).is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..100)) {
        use base64::Engine as _;
        drop(JoinToken::parse(&text));
        drop(JoinToken::parse(&format!("tgj1.{text}")));
        let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(body);
        drop(JoinToken::parse(&format!("tgj1.{body}.{:08x}", crc32fast::hash(body.as_bytes()))));
    }
}

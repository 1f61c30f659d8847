//! Keeping secret bytes out of everything that leaves the process.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Shortest piece of a secret that must not be seen.
const WINDOW: usize = 8;
/// Longest message that is reported, in bytes.
const MESSAGE_BYTES_MAX: usize = 256;

/// What stands for a value.
pub fn redacted(bytes: usize) -> String {
    format!("«redacted len={bytes}»")
}

/// Cuts a message at 256 bytes, at a character, saying that it was cut.
pub(crate) fn clip(text: &str) -> String {
    if text.len() <= MESSAGE_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = MESSAGE_BYTES_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Knows the values of some Secrets, and takes them out of texts.
#[derive(Clone, Default)]
pub struct Scrubber {
    pieces: BTreeSet<[u8; WINDOW]>,
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scrubber({} pieces)", self.pieces.len())
    }
}

impl Scrubber {
    /// Knows nothing.
    pub fn new() -> Scrubber {
        Scrubber::default()
    }

    /// Learns the values of a Secret: as written, decoded, in hexadecimal, and as JSON escapes them.
    /// Other kinds teach nothing.
    pub fn learn(&mut self, object: &Value) {
        if object.get("kind").and_then(Value::as_str) != Some("Secret") {
            return;
        }
        for map in ["data", "stringData"] {
            let values = object.get(map).and_then(Value::as_object).into_iter().flatten();
            for value in values.filter_map(|(_, v)| v.as_str()) {
                self.value(value.as_bytes());
                let inner = match map {
                    "data" => STANDARD.decode(value).unwrap_or_default(),
                    _ => value.as_bytes().to_vec(),
                };
                self.value(&inner);
                self.value(STANDARD.encode(&inner).as_bytes());
                self.value(hex::encode(&inner).as_bytes());
                let escaped = Value::from(String::from_utf8_lossy(&inner)).to_string();
                self.value(escaped.trim_matches('"').as_bytes());
            }
        }
    }

    fn value(&mut self, bytes: &[u8]) {
        for window in bytes.windows(WINDOW) {
            if let Ok(piece) = window.try_into() {
                self.pieces.insert(piece);
            }
        }
    }

    /// Replaces every run of known pieces.
    pub fn scrub(&self, text: &str) -> String {
        if self.pieces.is_empty() {
            return text.to_owned();
        }
        let bytes = text.as_bytes();
        let mut hit = vec![false; bytes.len()];
        for (at, window) in bytes.windows(WINDOW).enumerate() {
            if <[u8; WINDOW]>::try_from(window).is_ok_and(|piece| self.pieces.contains(&piece)) {
                hit[at..at + WINDOW].fill(true);
            }
        }
        let mut out = String::new();
        let mut hidden = 0;
        for (at, c) in text.char_indices() {
            if (at..at + c.len_utf8()).any(|i| hit[i]) {
                hidden += c.len_utf8();
                continue;
            }
            if hidden > 0 {
                out.push_str(&redacted(hidden));
                hidden = 0;
            }
            out.push(c);
        }
        if hidden > 0 {
            out.push_str(&redacted(hidden));
        }
        out
    }
}

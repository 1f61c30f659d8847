//! Keeping secret bytes out of everything that leaves the process.

use std::collections::{BTreeMap, BTreeSet};

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

/// Knows the values of some Secrets, and takes them out of texts. Holds one copy of each value; the
/// forms in which it may appear are made while scrubbing, which happens for messages only.
#[derive(Clone, Default)]
pub struct Scrubber {
    values: BTreeSet<Vec<u8>>,
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scrubber({} values)", self.values.len())
    }
}

impl Scrubber {
    /// Knows nothing.
    pub fn new() -> Scrubber {
        Scrubber::default()
    }

    /// Learns the values of a Secret. Other kinds teach nothing.
    pub fn learn(&mut self, object: &Value) {
        if object.get("kind").and_then(Value::as_str) != Some("Secret") {
            return;
        }
        for map in ["data", "stringData"] {
            let values = object.get(map).and_then(Value::as_object).into_iter().flatten();
            for text in values.filter_map(|(_, value)| value.as_str()) {
                let decoded = (map == "data").then(|| STANDARD.decode(text).ok()).flatten();
                let value = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
                if value.len() >= WINDOW {
                    self.values.insert(value);
                }
            }
        }
    }

    /// Learns a text that was encrypted, wherever it stood.
    pub fn learn_text(&mut self, text: &str) {
        if text.len() >= WINDOW {
            self.values.insert(text.as_bytes().to_vec());
        }
    }

    /// Replaces every run of eight bytes and more of a value: as it is, in base64, in hexadecimal, and
    /// as JSON escapes it.
    pub fn scrub(&self, text: &str) -> String {
        let Some(pieces) = Pieces::of(text.as_bytes()).filter(|_| !self.values.is_empty()) else {
            return text.to_owned();
        };
        let mut found = BTreeSet::new();
        for value in &self.values {
            pieces.find(value, &mut found);
            pieces.find(STANDARD.encode(value).as_bytes(), &mut found);
            pieces.find(hex::encode(value).as_bytes(), &mut found);
            let escaped = Value::from(String::from_utf8_lossy(value)).to_string();
            pieces.find(escaped.trim_matches('"').as_bytes(), &mut found);
        }
        hide(text, &found)
    }
}

/// All windows of a text, quick to ask.
struct Pieces<'a> {
    windows: BTreeMap<&'a [u8], Vec<usize>>,
    /// Which first two bytes occur: most windows of a value are turned away here.
    starts: Vec<bool>,
}

impl<'a> Pieces<'a> {
    /// `None` when the text is too short to hold any.
    fn of(text: &'a [u8]) -> Option<Pieces<'a>> {
        let mut pieces = Pieces { windows: BTreeMap::new(), starts: vec![false; 1 << 16] };
        for (at, window) in text.windows(WINDOW).enumerate() {
            pieces.starts[start(window)] = true;
            pieces.windows.entry(window).or_default().push(at);
        }
        (!pieces.windows.is_empty()).then_some(pieces)
    }

    /// Notes where windows of `value` stand in the text.
    fn find(&self, value: &[u8], found: &mut BTreeSet<usize>) {
        for window in value.windows(WINDOW).filter(|window| self.starts[start(window)]) {
            found.extend(self.windows.get(window).into_iter().flatten());
        }
    }
}

/// The first two bytes as a number.
fn start(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

/// The text without what the windows at `found` cover.
fn hide(text: &str, found: &BTreeSet<usize>) -> String {
    let covered = |at: usize| found.range(at.saturating_sub(WINDOW - 1)..=at).next().is_some();
    let mut out = String::new();
    let mut hidden = 0;
    for (at, c) in text.char_indices() {
        if (at..at + c.len_utf8()).any(covered) {
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

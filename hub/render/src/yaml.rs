//! From bytes to documents that know where each value stands.
//!
//! The parser has budgets; whatever is over one is refused, never truncated. Typing is what Kubernetes
//! users mean: YAML 1.2 booleans (`yes` and `on` are text), octal `0644` as a number, whole floats as integers
//! later on. Anchors and merge keys work within one document.
//!
//! Deliberately absent: custom tags, includes, anything that reads a second file.

use std::fmt;

use model::Reason;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use crate::{
    diagnostic::{Diagnostic, Position},
    guard::{Guard, stands},
    limits,
};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value. Keys of one map are distinct.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Node,
}

impl Node {
    /// The value of a key, when this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                None
            }
        }
    }

    /// The text, when it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        }
    }

    /// What it is, in words for a message.
    pub(crate) fn what(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(b) => format!("`{b}`, a yes-or-no value"),
            Value::Number(n) => format!("the number `{n}`"),
            Value::Text(text) => format!("the text `{}`", clip(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// Text of a file in a message: one line, bounded, no control characters.
pub(crate) fn clip(text: &str) -> String {
    const CHARS: usize = 60;
    let mut out: String = text.chars().take(CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS).is_some() {
        out.push('…');
    }
    out
}

/// An object as people read it.
pub fn text(object: &serde_json::Value) -> String {
    // Text keys and finite numbers can always be written.
    serde_saphyr::to_string(object).unwrap_or_default()
}

/// All documents of a file; empty ones are left out.
pub(crate) fn documents(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Vec<Diagnostic>> {
    documents_by(file, bytes, document::<true>)
}

/// As [`documents`], in two thirds of the time: nothing says where it stands. For whoever reads the file once more,
/// with places, when there is a fault to tell.
pub(crate) fn unplaced(file: &str, bytes: &[u8]) -> Result<Vec<Node>, Vec<Diagnostic>> {
    documents_by(file, bytes, document::<false>)
}

/// Gives what reads many files the stack that the parser wants, once for all of them.
pub(crate) fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES + STACK_BYTES / 2, work)
}

fn documents_by(
    file: &str,
    bytes: &[u8],
    document: impl Fn(&str, Part<'_>) -> Result<Option<Node>, Vec<Diagnostic>>,
) -> Result<Vec<Node>, Vec<Diagnostic>> {
    if bytes.len() > limits::RELEASE_BYTES_MAX {
        return Err(vec![too_large(file, "the file", bytes.len(), limits::RELEASE_BYTES_MAX)]);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| vec![not_utf8(file, bytes, &error)])?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut nodes = Vec::new();
    let mut faults = Vec::new();
    for (count, part) in split(text).enumerate() {
        if count == limits::DOCUMENTS_MAX {
            faults.push(too_large(file, "the file", count + 1, limits::DOCUMENTS_MAX));
            break;
        }
        match document(file, part) {
            Ok(Some(node)) => nodes.push(node),
            Ok(None) => {}
            Err(more) => faults.extend(more),
        }
        if faults.len() >= limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok(nodes) } else { Err(faults) }
}

/// All documents of what a tool wrote, each with the file that `shown` tells from its text.
pub(crate) fn documents_of(
    bytes: &[u8],
    shown: impl Fn(&str) -> String,
) -> Result<Vec<(String, Node)>, Vec<Diagnostic>> {
    let text = String::from_utf8_lossy(bytes);
    let mut nodes = Vec::new();
    let mut faults = Vec::new();
    for part in split(&text) {
        let file = shown(part.text);
        match document::<true>(&file, part) {
            Ok(Some(node)) => nodes.push((file, node)),
            Ok(None) => {}
            // A line of the output is no line of a file.
            Err(more) => {
                faults.extend(more.into_iter().map(|f| Diagnostic { position: None, ..f }));
            }
        }
        if faults.len() >= limits::DIAGNOSTICS_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok(nodes) } else { Err(faults) }
}

fn too_large(file: &str, what: &str, is: usize, limit: usize) -> Diagnostic {
    let unit = if limit == limits::DOCUMENTS_MAX { "documents" } else { "bytes" };
    let message = format!("{what} has {is} {unit}, at most {limit} are allowed");
    Diagnostic::error(Reason::RenderTooLarge, file, message)
}

fn not_utf8(file: &str, bytes: &[u8], error: &std::str::Utf8Error) -> Diagnostic {
    let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let line = before.matches('\n').count() + 1;
    let at = Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
    Diagnostic::error(Reason::YamlInvalid, file, "the line is not UTF-8 text")
        .at(at)
        .hint("save the file as UTF-8, or keep binary content out of manifests")
}

/// Stack for the parser, which recurses: some 30 KiB for each of `YAML_DEPTH_MAX` levels without
/// optimisation, four times over.
const STACK_BYTES: usize = 16 << 20;

/// One document: its text and how many lines stand before it.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    lines_before: u32,
}

/// Cuts at lines that begin with `---` or `...`: YAML forbids them anywhere inside a document, so a
/// broken document does not hide the faults of the next, and each has a budget of its own.
fn split(text: &str) -> impl Iterator<Item = Part<'_>> {
    let marks = |line: &str| {
        ["---", "..."].iter().any(|mark| {
            line.strip_prefix(mark)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        })
    };
    let mut parts = Vec::new();
    let (mut begin, mut begin_line, mut offset, mut number) = (0, 0, 0, 0_u32);
    for line in text.split_inclusive('\n') {
        if marks(line) && offset > begin {
            parts.push(Part { text: &text[begin..offset], lines_before: begin_line });
            (begin, begin_line) = (offset, number);
        }
        offset += line.len();
        number += 1;
    }
    parts.push(Part { text: &text[begin..], lines_before: begin_line });
    parts.into_iter().filter(|part| part.text.lines().any(says_something))
}

/// Whether a line is more than white space, a comment, a directive or a bare mark.
fn says_something(line: &str) -> bool {
    let line = line.strip_prefix("---").or_else(|| line.strip_prefix("...")).unwrap_or(line);
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}

fn document<const PLACED: bool>(
    file: &str,
    part: Part<'_>,
) -> Result<Option<Node>, Vec<Diagnostic>> {
    if part.text.len() > limits::DOCUMENT_BYTES_MAX {
        let at = Position { line: part.lines_before + 1, column: 1 };
        let fault =
            too_large(file, "the document", part.text.len(), limits::DOCUMENT_BYTES_MAX).at(at);
        return Err(vec![fault]);
    }
    let parse = || {
        if PLACED {
            let parsed = serde_saphyr::from_str_with_options(part.text, options());
            parsed.map(node)
        } else {
            let parsed = serde_saphyr::from_str_with_options(part.text, options());
            parsed.map(|Bare(value)| Node { at: NOWHERE, value })
        }
    };
    let parsed = stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, parse);
    let mut node = match parsed {
        Ok(node) => node,
        Err(error) => return Err(vec![parse_fault(file, part, &error)]),
    };
    node.shift(part.lines_before);
    let mut faults = Vec::new();
    duplicates(file, &node, &mut faults);
    match (faults.is_empty(), &node.value) {
        (false, _) => Err(faults),
        (true, Value::Null) => Ok(None),
        (true, _) => Ok(Some(node)),
    }
}

fn options() -> serde_saphyr::Options {
    // Switched off it is ten times as many, so that the test ends.
    let times = if stands(Guard::Bombs) { 1 } else { 10 };
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: limits::YAML_DEPTH_MAX,
            max_nodes: limits::YAML_NODES_MAX * times,
            max_total_scalar_bytes: limits::YAML_TEXT_BYTES_MAX * times,
        },
        // Collected and reported all at once, with both places, by `duplicates`.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

fn parse_fault(file: &str, part: Part<'_>, error: &serde_saphyr::Error) -> Diagnostic {
    let message = error.without_snippet().to_string();
    // The place is told once, by us: the parser counts from the beginning of this document.
    let ends = [" at line ", " (defined at ", " (used at "].map(|mark| message.find(mark));
    let message = &message[..ends.into_iter().flatten().min().unwrap_or(message.len())];
    let known = WORDS.iter().find(|(theirs, _, _)| message.starts_with(theirs));
    let fault = match known {
        Some((_, "", hint)) => Diagnostic::error(Reason::YamlInvalid, file, message).hint(*hint),
        Some((_, ours, hint)) => Diagnostic::error(Reason::YamlInvalid, file, *ours).hint(*hint),
        None => Diagnostic::error(Reason::YamlInvalid, file, message),
    };
    match error.location() {
        Some(location) => fault.at(Position {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX) + part.lines_before,
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        }),
        None => fault,
    }
}

/// What the parser says, and what we say instead (nothing: its own words) with what to do.
const WORDS: &[(&str, &str, &str)] = &[
    ("budget breached: Nodes", "the document has too many values, aliases included", "split it"),
    ("budget breached: Depth", "the document is nested too deep", "flatten it"),
    ("budget breached: ScalarBytes", "the document is too large, aliases included", "split it"),
    ("budget breached", "the document is over a limit for aliases and anchors", "split it"),
    ("cannot deserialize null into string", "a key is empty", "write a key, or put it in quotes"),
    (
        "expected string scalar",
        "a key must be plain text",
        "write text before the colon; `{{ … }}` is a template, and templates are not rendered",
    ),
    ("tabs disallowed", "the line is indented with a tab", "indent with spaces"),
    ("mapping values are not allowed", "", "put text that holds a colon in quotes"),
    (
        "alias references unknown anchor",
        "",
        "define `&name` above in the same document, or put `*` in quotes",
    ),
    ("simple key expected", "", "write `key: value`; lines such as `<<<<<<<` are left of a merge"),
    ("non-finite float", "a number must be finite", "put it in quotes if it is text"),
    ("unsupported tag", "", "remove the tag, or put the value in quotes"),
    ("unclosed", "", "close it"),
    ("unexpected character", "", "put the value in quotes"),
];

fn duplicates(file: &str, node: &Node, faults: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Map(entries) => {
            let mut seen = std::collections::BTreeMap::new();
            for entry in entries {
                if let Some(first) = seen.insert(&entry.key, entry.at)
                    && faults.len() < limits::DIAGNOSTICS_MAX
                {
                    let message = format!(
                        "key `{}` stands twice in one map, first at line {}",
                        clip(&entry.key),
                        first.line
                    );
                    let fault = Diagnostic::error(Reason::YamlInvalid, file, message);
                    faults.push(fault.at(entry.at).hint("remove one of the two"));
                }
                duplicates(file, &entry.value, faults);
            }
        }
        Value::List(items) => items.iter().for_each(|item| duplicates(file, item, faults)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

impl Node {
    fn shift(&mut self, lines: u32) {
        if lines == 0 {
            return;
        }
        self.at.line += lines;
        match &mut self.value {
            Value::Map(entries) => {
                for entry in entries {
                    entry.at.line += lines;
                    entry.value.shift(lines);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(lines)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }
}

fn position(location: serde_saphyr::Location) -> Position {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(location.line()), column: number(location.column()) }
}

fn node(spanned: Spanned<Value>) -> Node {
    Node { at: position(spanned.referenced), value: spanned.value }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor::<true>)
    }
}

/// A value of which nobody asks where it stands.
struct Bare(Value);

/// The place of what has none.
const NOWHERE: Position = Position { line: 1, column: 1 };

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor::<false>).map(Bare)
    }
}

struct ValueVisitor<const PLACED: bool>;

impl<'de, const PLACED: bool> Visitor<'de> for ValueVisitor<PLACED> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if PLACED {
            Value::deserialize(deserializer)
        } else {
            Bare::deserialize(deserializer).map(|Bare(value)| value)
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value)
            .ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("binary values are not allowed; write base64 text without a tag"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        if PLACED {
            while let Some(item) = access.next_element()? {
                items.push(node(item));
            }
        } else {
            while let Some(Bare(value)) = access.next_element()? {
                items.push(Node { at: NOWHERE, value });
            }
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        if PLACED {
            while let Some(key) = access.next_key::<Spanned<String>>()? {
                let value = node(access.next_value()?);
                entries.push(Entry { key: key.value, at: position(key.referenced), value });
            }
        } else {
            while let Some(key) = access.next_key()? {
                let Bare(value) = access.next_value()?;
                let value = Node { at: NOWHERE, value };
                entries.push(Entry { key, at: NOWHERE, value });
            }
        }
        if entries.len() > limits::YAML_NODES_MAX {
            return Err(A::Error::custom("too many keys in one map"));
        }
        Ok(Value::Map(entries))
    }
}

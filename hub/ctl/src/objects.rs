//! Kubernetes objects from files: YAML with any number of documents, JSON, lists, folders, stdin.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use model::Reason;
use serde_json::Value;

use crate::error::{Error, Exit};

/// Largest input, in bytes: a list of ten thousand large objects.
const INPUT_BYTES_MAX: u64 = 512 << 20;
/// Deepest nesting of a document; an API server refuses deeper objects.
const DEPTH_MAX: usize = 100;
/// Most values of one YAML document, aliases included.
const VALUES_MAX: usize = 20_000_000;
/// Deepest folder below the one that is named.
const FOLDERS_MAX: usize = 32;
/// Names of files that are read from a folder.
const ENDINGS: &[&str] = &["yaml", "yml", "json"];

/// One object, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// `file:line`.
    pub(crate) place: String,
    /// The object.
    pub(crate) object: Value,
}

/// What a field that stands twice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// A slip of the author's: refused.
    Refused,
    /// As the API server printed it.
    LastWins,
}

/// All objects of a file, of `-`, or of all files of a folder; lists are opened. Items that are no
/// object, or have no kind, are an error with their place.
pub(crate) fn objects(path: &Path, twice: Twice) -> Result<Vec<Found>, Error> {
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, FOLDERS_MAX, &mut files)?;
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut all = Vec::new();
    for file in files {
        for (line, document) in documents(&file, &read(&file)?, twice)? {
            open(format!("{}:{line}", file.display()), document, &mut all)?;
        }
    }
    Ok(all)
}

/// All documents of a file as they are: line and value.
pub(crate) fn documents(file: &Path, text: &str, twice: Twice) -> Result<Vec<(u64, Value)>, Error> {
    if let Some(all) = json(text) {
        return all.map_err(|why| fault(file, &why));
    }
    let duplicate_keys = match twice {
        Twice::Refused => serde_saphyr::DuplicateKeyPolicy::Error,
        Twice::LastWins => serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_events: 4 * VALUES_MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        with_snippet: false,
    };
    let mut all = Vec::new();
    for (line, part) in parts(text) {
        let value = serde_saphyr::from_str_with_options::<Value>(part, options.clone());
        let value = value.map_err(|error| {
            let within = error.location().map_or(1, |at| at.line());
            // What stands there may be a Secret: the place and the kind of the fault have to do.
            let message = error.without_snippet().to_string();
            let end = message.find(" at line ").unwrap_or(message.len());
            fault(file, &format!("line {}: {}", line as u64 + within, &message[..end]))
        })?;
        if !value.is_null() {
            let before = part.lines().take_while(|line| !says(line)).count();
            all.push(((line + before) as u64 + 1, value));
        }
    }
    Ok(all)
}

/// A stream of JSON documents; `None` when the text is none.
fn json(text: &str) -> Option<Result<Vec<(u64, Value)>, String>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut all = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match document {
            Ok(value) => all.push((1, value)),
            // A flow mapping of YAML begins like JSON.
            Err(_) if all.is_empty() => return None,
            Err(error) => {
                return Some(Err(format!("line {}: no JSON document", error.line())));
            }
        }
    }
    Some(Ok(all))
}

pub(crate) fn read(file: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(fs::File::open(file).map_err(|error| unread(file, &error))?)
    };
    let taken = source.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
    taken.map_err(|error| unread(file, &error))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(fault(file, &format!("larger than {INPUT_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| fault(file, "is not UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

fn unread(file: &Path, error: &io::Error) -> Error {
    let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Usage };
    let message = format!("`{}`: {error}", file.display());
    Error::because(exit, Reason::BadRequest, message)
        .hint("give a file or folder that can be read, or `-` for stdin")
}

fn fault(file: &Path, why: &str) -> Error {
    let message = crate::output::safe(&format!("`{}`: {why}", file.display()));
    Error::because(Exit::Usage, Reason::BadRequest, message)
        .hint("correct the file; it was read as Kubernetes objects in YAML or JSON")
}

/// The files of a folder and of those below it. Hidden ones, links out of it and kustomizations are no
/// manifests.
fn walk(folder: &Path, left: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|error| unread(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unread(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.starts_with('.') {
        } else if path.is_dir() && left > 0 && !path.is_symlink() {
            walk(&path, left - 1, files)?;
        } else if path.is_file() && ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Opens lists, also those that `kubectl get -o yaml` prints.
fn open(place: String, document: Value, all: &mut Vec<Found>) -> Result<(), Error> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match document {
        Value::Array(items) => {
            for item in items {
                open(place.clone(), item, all)?;
            }
            Ok(())
        }
        Value::Object(mut map) => {
            let of = kind.strip_suffix("List");
            if let (Some(of), Some(Value::Array(items))) = (of, map.get_mut("items")) {
                for item in std::mem::take(items) {
                    open(place.clone(), typed(item, &api_version, of), all)?;
                }
            } else if !api_version.starts_with("kustomize.config.k8s.io/") {
                all.push(Found { place, object: Value::Object(map) });
            }
            Ok(())
        }
        Value::Null => Ok(()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let (file, line) = place.rsplit_once(':').unwrap_or((&place, ""));
            Err(fault(
                Path::new(file),
                &format!("line {line}: no Kubernetes object, but a plain value"),
            ))
        }
    }
}

/// An item of a list of one kind need not repeat its kind.
fn typed(mut item: Value, api_version: &str, kind: &str) -> Value {
    if let Value::Object(map) = &mut item
        && !kind.is_empty()
    {
        map.entry("apiVersion").or_insert_with(|| api_version.into());
        map.entry("kind").or_insert_with(|| kind.into());
    }
    item
}

/// The documents of a YAML file, each with the number of lines before it.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut begin_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mark = ["---", "..."].iter().find_map(|mark| line.strip_prefix(mark));
        if mark.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            parts.push((begin_line, &text[begin..offset]));
            // What follows the mark on its line belongs to the document.
            (begin, begin_line) = (offset + "---".len(), number);
        }
        offset += line.len();
    }
    parts.push((begin_line, &text[begin.min(offset)..]));
    parts.retain(|(_, part)| part.lines().any(says));
    parts
}

/// Whether a line is more than white space, a comment or a directive.
fn says(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%'])
}

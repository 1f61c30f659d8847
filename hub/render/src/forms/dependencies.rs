//! What a chart depends on, brought to where Helm looks: folders of this repository, and archives that were fetched before.
//!
//! Which of them a release uses (`condition`, `tags`, `alias`) is for Helm to say.

use model::Reason;

use super::{
    closure::{Closure, relative},
    lock::{self, Lock},
};
use crate::{
    charts::{ChartError, Charts, Wanted},
    diagnostic::Diagnostic,
    guard::{Guard, stands},
    tree::Tree,
    walk,
    yaml::{self, Node, Value, clip},
};

/// Charts within charts.
const NESTED_MAX: usize = 10;

/// Dependencies of one chart; large ones in the wild have some thirty.
const DEPENDENCIES_MAX: usize = 100;

/// Where a chart stands in the repository, and where for the tool.
#[derive(Clone, Copy)]
struct At<'a> {
    charts: &'a dyn Charts,
    tree: &'a dyn Tree,
    path: &'a str,
    place: &'a str,
    depth: usize,
}

/// Brings all dependencies of the chart at `path` to `place`; refuses those that cannot be had.
pub(super) fn bring(
    charts: &dyn Charts,
    tree: &dyn Tree,
    path: &str,
    place: &str,
    closure: &mut Closure,
) -> Result<(), Vec<Diagnostic>> {
    walk_through(At { charts, tree, path, place, depth: 0 }, closure)
}

fn walk_through(at: At<'_>, closure: &mut Closure) -> Result<(), Vec<Diagnostic>> {
    let file = walk::join(at.path, "Chart.yaml");
    let Some(bytes) = closure.files.get(&walk::join(at.place, "Chart.yaml")).cloned() else {
        return Ok(());
    };
    let documents = yaml::documents(&file, &bytes)?;
    let listed = documents.first().and_then(|chart| chart.get("dependencies"));
    let Some(Node { value: Value::List(items), .. }) = listed else { return Ok(()) };
    if items.len() > DEPENDENCIES_MAX {
        let message = format!("the chart has more than {DEPENDENCIES_MAX} dependencies");
        return Err(vec![Diagnostic::error(Reason::DependencyMissing, &file, message)]);
    }
    let mut locked: Option<Option<Lock>> = None;
    let (mut faults, mut fetched) = (Vec::new(), Vec::new());
    for (number, item) in items.iter().enumerate() {
        let Some(name) = item.get("name").and_then(Node::text) else { continue };
        let folder = walk::join(at.place, &format!("charts/{name}"));
        if is_vendored(closure, &folder) {
            continue;
        }
        let repository = item.get("repository").and_then(Node::text).unwrap_or_default();
        let found = match repository.strip_prefix("file://") {
            Some(local) => beside(at, name, local, &folder, closure),
            None if !stands(Guard::Dependencies) => Ok(()),
            None => {
                let lock = match &locked {
                    Some(lock) => lock,
                    None => locked.insert(Lock::of(at.tree, at.path, items)?),
                };
                let version = lock.as_ref().and_then(|lock| lock.version(number));
                elsewhere(at, item, (name, repository), version)
                    .map(|archive| fetched.push(archive))
                    .map_err(Missing::Here)
            }
        };
        match found {
            Ok(()) => {}
            Err(Missing::Here(fault)) => faults.push(fault.fault(&file).at(item.at)),
            Err(Missing::Within(within)) => return Err(within),
        }
    }
    // Only now: what was fetched for one entry must not count as vendored for the next.
    for (archive, bytes) in fetched {
        closure.share(&walk::join(at.place, &format!("charts/{archive}")), bytes, at.path)?;
    }
    if faults.is_empty() || !stands(Guard::Dependencies) { Ok(()) } else { Err(faults) }
}

/// Why a dependency is not there.
enum Missing {
    /// A fault of the entry in `Chart.yaml`.
    Here(ChartError),
    /// Faults of the chart that it leads to.
    Within(Vec<Diagnostic>),
}

impl From<ChartError> for Missing {
    fn from(error: ChartError) -> Missing {
        Missing::Here(error)
    }
}

fn missing(message: String, hint: impl Into<String>) -> ChartError {
    ChartError { reason: Reason::DependencyMissing, message, hint: Some(hint.into()) }
}

/// A chart in this repository.
fn beside(
    at: At<'_>,
    name: &str,
    local: &str,
    folder: &str,
    closure: &mut Closure,
) -> Result<(), Missing> {
    let hint = "correct `repository`, or commit the folder `charts`";
    let Some(from) = relative(at.path, local) else {
        let message = format!("dependency `{}` leaves the repository", clip(name));
        return Err(missing(message, hint).into());
    };
    if at.depth >= NESTED_MAX {
        let message = format!("charts are nested deeper than {NESTED_MAX}");
        return Err(missing(message, "does a chart depend on itself?").into());
    }
    if !stands(Guard::Dependencies) {
        return Ok(());
    }
    if closure.folder(at.tree, &from, folder).is_err() {
        let message = format!("dependency `{}`: `{from}` is no chart", clip(name));
        return Err(missing(message, hint).into());
    }
    let inner = At { path: &from, place: folder, depth: at.depth + 1, ..at };
    walk_through(inner, closure).map_err(Missing::Within)
}

/// A chart of a repository of charts, by its one version; with the name of its archive.
fn elsewhere(
    at: At<'_>,
    item: &Node,
    (name, repository): (&str, &str),
    locked: Option<&str>,
) -> Result<(String, std::sync::Arc<[u8]>), ChartError> {
    if let Some((message, hint)) = lock::place_fault(name, repository) {
        return Err(missing(message, hint));
    }
    let asked = item.get("version").and_then(Node::text).unwrap_or_default();
    let version = locked.unwrap_or(asked);
    // A version that stands alone says as much as a lock, which holds no digest of the archive either.
    if !lock::is_one_version(version) {
        let message = format!(
            "dependency `{}`: `{}` is no single version, and there is no `Chart.lock` that names one",
            clip(name),
            clip(version)
        );
        let hint = format!("run `helm dependency update {}` and commit `Chart.lock`", at.path);
        return Err(missing(message, hint));
    }
    let (repository, name) = (repository.trim_end_matches('/').to_owned(), name.to_owned());
    let wanted = Wanted { repository, name, version: version.to_owned() };
    at.charts.archive(&wanted).map(|bytes| (wanted.archive(), bytes))
}

/// Whether the chart is in `charts` already: as a folder, or packed with a version behind its name.
fn is_vendored(closure: &Closure, folder: &str) -> bool {
    let (below, packed) = (format!("{folder}/"), format!("{folder}-"));
    let versioned = |rest: &str| {
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        is_packed(rest) && rest.starts_with(|c: char| c.is_ascii_digit())
    };
    let files = closure.files.range(folder.to_owned()..).map(|(file, _)| file);
    files
        .take_while(|file| file.starts_with(folder))
        .any(|file| file.starts_with(&below) || file.strip_prefix(&packed).is_some_and(versioned))
}

/// Helm looks for this very ending.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "as Helm does")]
pub(super) fn is_packed(file: &str) -> bool {
    file.ends_with(".tgz")
}

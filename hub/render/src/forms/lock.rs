//! `Chart.lock`: which one version of each dependency a chart was made with, and whether it still fits the chart.

use model::{Digest, Reason};
use serde_json::{Map, Value as Json};

use crate::{
    canonical,
    diagnostic::Diagnostic,
    tree::Tree,
    walk::{self, Place, PlaceKind},
    yaml::{self, Node, Value, clip},
};

/// The versions of a chart's dependencies, in the order of the chart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lock(Vec<String>);

impl Lock {
    /// Reads the lock beside a chart; `None` when there is none.
    pub(super) fn of(
        tree: &dyn Tree,
        chart: &str,
        listed: &[Node],
    ) -> Result<Option<Lock>, Vec<Diagnostic>> {
        let file = walk::join(chart, "Chart.lock");
        let Ok(Place { real, kind: PlaceKind::File { .. } }) = walk::resolve(tree, &file) else {
            return Ok(None);
        };
        let bytes = tree.read(&real).map_err(|error| vec![walk::tree_fault(&error)])?;
        let documents = yaml::documents(&file, &bytes)?;
        let stale = |why: &str| {
            let fault = Diagnostic::error(Reason::DependencyMissing, &file, why);
            let hint = format!("run `helm dependency update {chart}` and commit `Chart.lock`");
            vec![fault.hint(hint)]
        };
        let lock = documents.first();
        let Some(Node { value: Value::List(locked), .. }) =
            lock.and_then(|l| l.get("dependencies"))
        else {
            return Err(stale("it locks no dependencies"));
        };
        let name = |node: &Node| node.get("name").and_then(Node::text).map(str::to_owned);
        let alike = locked.len() == listed.len()
            && locked.iter().zip(listed).all(|(locked, listed)| name(locked) == name(listed));
        let written = lock.and_then(|lock| lock.get("digest")).and_then(Node::text);
        if !alike || written != Some(digest(listed, locked).as_str()) {
            return Err(stale("it is of another state of `Chart.yaml`: its digest does not fit"));
        }
        let version =
            |node: &Node| node.get("version").and_then(Node::text).unwrap_or_default().to_owned();
        Ok(Some(Lock(locked.iter().map(version).collect())))
    }

    /// The version of one of them, by its place.
    pub(super) fn version(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }
}

/// What Helm writes into a lock: the SHA-256 of what the chart asks for and what it got, in its own JSON.
fn digest(listed: &[Node], locked: &[Node]) -> String {
    let all = |nodes: &[Node]| Json::Array(nodes.iter().map(dependency).collect());
    let json = Json::Array(vec![all(listed), all(locked)]).to_string();
    Digest::of(escaped(&json).as_bytes()).to_string()
}

/// One dependency with the fields that Helm knows, in its order.
fn dependency(node: &Node) -> Json {
    let mut out = Map::new();
    // Name and repository stand there also when they are empty.
    for (key, always) in
        [("name", true), ("version", false), ("repository", true), ("condition", false)]
    {
        let text = node.get(key).and_then(Node::text).unwrap_or_default();
        if always || !text.is_empty() {
            out.insert(key.to_owned(), Json::from(text));
        }
    }
    let list = |key: &str| match node.get(key).map(canonical::json) {
        Some(Json::Array(items)) if !items.is_empty() => Some(Json::Array(items)),
        _ => None,
    };
    let enabled = node.get("enabled").map(canonical::json).filter(|on| *on == Json::Bool(true));
    let alias = node.get("alias").and_then(Node::text).filter(|alias| !alias.is_empty());
    for (key, value) in [
        ("tags", list("tags")),
        ("enabled", enabled),
        ("import-values", list("import-values")),
        ("alias", alias.map(Json::from)),
    ] {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    }
    Json::Object(out)
}

/// As Go writes JSON: what could be taken for HTML is escaped.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether this names one version and no range of them.
pub(super) fn is_one_version(text: &str) -> bool {
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

/// A place that the hub may be asked to fetch from, said in words when it is none.
pub(super) fn place_fault(name: &str, repository: &str) -> Option<(String, &'static str)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
        return Some((format!("`{}` is no name of a chart", clip(name)), "correct `name`"));
    }
    let shown = clip(repository);
    if repository.is_empty() {
        let message = format!("dependency `{name}` names no repository and is not in `charts`");
        return Some((message, "commit the chart below `charts`, or name its `repository`"));
    }
    if repository.starts_with('@') || repository.starts_with("alias:") {
        let message =
            format!("dependency `{name}`: `{shown}` is a name on somebody's machine, and no place");
        return Some((message, "write the URL of the repository"));
    }
    let known = repository.starts_with("https://") || repository.starts_with("oci://");
    (!known).then(|| {
        let message = format!(
            "dependency `{name}`: nothing is fetched from `{shown}`, only from `https://` and `oci://`"
        );
        (message, "correct `repository`, or run `helm dependency build` and commit `charts`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    /// As `helm dependency update` of Helm 4.3 left it.
    const CHART: &str = r#"
dependencies:
  - name: redis
    version: ">=1.0.0 <2"
    repository: http://127.0.0.1:36805
    condition: redis.enabled
    tags: [a, "b&c"]
    enabled: true
    alias: cache
    import-values:
      - data
      - child: default.data
        parent: myimports
  - {name: redis, version: ^1.2, repository: "http://127.0.0.1:36805"}
"#;
    const LOCK: &str = "dependencies:
- name: redis
  repository: http://127.0.0.1:36805
  version: 1.2.3
- name: redis
  repository: http://127.0.0.1:36805
  version: 1.2.4
digest: sha256:DIGEST
";

    fn read(chart: &str, lock: &str) -> Result<Option<Lock>, Vec<Diagnostic>> {
        let documents = yaml::documents("Chart.yaml", chart.as_bytes()).unwrap();
        let Some(Node { value: Value::List(listed), .. }) = documents[0].get("dependencies") else {
            panic!("a list")
        };
        let tree = MemoryTree::new().file("web/Chart.lock", lock);
        Lock::of(&tree, "web", listed)
    }

    #[test]
    fn a_lock_of_helm_fits_its_chart_and_no_other() {
        let lock = LOCK
            .replace("1.2.4", "1.2.3")
            .replace("DIGEST", "e3ffedc0bc9be0ba45edfb7808d882d97786371851fe09e074288fd941a86a28");
        let read_lock = read(CHART, &lock).unwrap().unwrap();
        assert_eq!(read_lock.version(0), Some("1.2.3"));
        assert_eq!(read_lock.version(2), None);
        for changed in [
            CHART.replace("^1.2", "^1.3"),
            CHART.replace("b&c", "b"),
            CHART.replace("alias: cache", "alias: cash"),
            CHART.replace("parent: myimports", "parent: other"),
        ] {
            let faults = read(&changed, &lock).unwrap_err();
            assert!(faults[0].message.contains("another state"), "{faults:?}");
        }
        // A version that was changed by hand.
        assert!(read(CHART, &lock.replace("1.2.3", "1.2.9")).is_err());
        assert!(read(CHART, "digest: sha256:0\n").unwrap_err()[0].message.contains("locks no"));
    }

    #[test]
    fn one_version_is_no_range() {
        for (text, one) in [
            ("1.2.3", true),
            ("v1.2.3-rc.1+b", true),
            ("1.2", false),
            ("^1.2.3", false),
            ("", false),
        ] {
            assert_eq!(is_one_version(text), one, "{text}");
        }
    }

    #[test]
    fn only_names_and_places_that_can_be_fetched_pass() {
        assert_eq!(place_fault("redis", "https://charts.example/stable"), None);
        assert_eq!(place_fault("redis", "oci://registry.example/charts"), None);
        for (name, repository) in [
            ("../redis", "https://x.example"),
            ("-redis", "https://x.example"),
            ("a/b", "https://x.example"),
            ("redis", ""),
            ("redis", "@stable"),
            ("redis", "alias:stable"),
            ("redis", "http://x.example"),
            ("redis", "git+ssh://x.example"),
        ] {
            assert!(place_fault(name, repository).is_some(), "{name} {repository}");
        }
    }
}

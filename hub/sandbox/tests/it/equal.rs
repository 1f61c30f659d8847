//! The same objects as the tools give by hand, for trees and charts that between them use what the tools'
//! documentation has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use model::{ClusterName, ClusterUid, Facts, Labels};
use render::{FleetCluster, Kit, MemoryTree};
use serde_json::Value as Json;

use super::*;

/// One tree or chart.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
    /// For the tool by hand: more arguments, and arguments that are left out.
    more: Vec<String>,
    less: Vec<String>,
    /// For the App: fields of `helm`.
    pub(crate) settings: String,
}

pub(crate) fn trees(text: &str) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    let mut file: Option<String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("@@@ ") {
            trees.push(Tree { name: name.to_owned(), ..Tree::default() });
            file = None;
            continue;
        }
        let tree = trees.last_mut().unwrap();
        if let Some(path) = line.strip_prefix("@@ ") {
            tree.files.insert(path.to_owned(), String::new());
            file = Some(path.to_owned());
        } else if let Some(link) = line.strip_prefix("@> ") {
            let (path, target) = link.split_once(' ').unwrap();
            tree.links.insert(path.to_owned(), target.to_owned());
        } else if let Some(words) = line.strip_prefix("@! ") {
            tree.more = words.split(' ').map(str::to_owned).collect();
        } else if let Some(words) = line.strip_prefix("@- ") {
            tree.less = words.split(' ').map(str::to_owned).collect();
        } else if let Some(words) = line.strip_prefix("@? ") {
            words.clone_into(&mut tree.settings);
        } else {
            let text = tree.files.get_mut(file.as_ref().unwrap()).unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    trees
}

/// Lays the files out for the tool by hand.
fn on_disk(tree: &Tree) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in &tree.files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (path, target) in &tree.links {
        // Kustomize by hand does not follow a link out of its folder; the content is what counts.
        let from = Path::new(path).parent().unwrap().join(target);
        fs::copy(dir.path().join(from), dir.path().join(path)).unwrap();
    }
    dir
}

/// The objects that the tool gives by hand.
fn by_hand(name: &str, dir: &Path, arguments: &[String]) -> Vec<Json> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin").join(name);
    let done = Command::new(program).args(arguments).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    let mut objects = Vec::new();
    for part in text.split("\n---") {
        let part = part.trim_start_matches("---");
        let json: Json = serde_saphyr::from_str_with_options(part, octal()).unwrap();
        if !json.is_null() {
            objects.push(json);
        }
    }
    objects
}

fn octal() -> serde_saphyr::Options {
    serde_saphyr::options! { legacy_octal_numbers: true, strict_booleans: true }
}

/// An App with this `source`, and its repository.
pub(crate) fn app_and_files(
    tree: &Tree,
    source: &str,
) -> Result<(render::App, MemoryTree), Vec<render::Diagnostic>> {
    let app = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\nspec: {{targets: {{select: \"true\"}}, \
         source: {{{source}}}}}\n"
    );
    let mut files = MemoryTree::new().file("apps/web/app.yaml", app);
    for (path, text) in &tree.files {
        files.insert_file(&format!("apps/web/{path}"), text.as_bytes());
    }
    for (path, target) in &tree.links {
        files.insert_link(&format!("apps/web/{path}"), target);
    }
    let app = render::apps(&files).apps.into_values().next().unwrap()?;
    Ok((app, files))
}

/// Some cluster.
pub(crate) fn target() -> FleetCluster {
    FleetCluster {
        uid: ClusterUid::parse("00000000-0000-4000-8000-000000000001").unwrap(),
        name: ClusterName::parse("eu-1").unwrap(),
        labels: Labels::new(),
        facts: Facts::Null,
    }
}

/// The objects of the App.
fn by_us(tree: &Tree, source: &str) -> Vec<Json> {
    let (app, files) = app_and_files(tree, source).unwrap();
    let tools = renderers();
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let cluster = target();
    let rendered = render::render(&kit, &app, &files, (&cluster).into()).unwrap_or_else(|faults| {
        panic!("{}: {}", tree.name, faults.iter().map(ToString::to_string).collect::<String>())
    });
    let bytes = |entry: &model::ObjectEntry| rendered.objects[&entry.digest].clone();
    let bytes = rendered.manifest.entries().iter().map(bytes);
    bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect()
}

/// Equal as sets; whole numbers are whole, whatever their file looked like.
fn assert_equal(name: &str, hand: Vec<Json>, us: Vec<Json>) {
    let canonical = |objects: Vec<Json>| -> BTreeSet<String> {
        objects.into_iter().map(|object| sorted(object).to_string()).collect()
    };
    assert!(!hand.is_empty(), "{name}: nothing to compare");
    assert_eq!(canonical(us), canonical(hand), "{name}");
}

fn sorted(json: Json) -> Json {
    match json {
        Json::Object(map) => {
            let map: BTreeMap<String, Json> =
                map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Json::Object(map.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        Json::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number of a manifest")]
            Some(float) if number.is_f64() && float.fract() == 0.0 => Json::from(float as i64),
            _ => Json::Number(number),
        },
        Json::Null | Json::Bool(_) | Json::String(_) => json,
    }
}

#[test]
fn thirty_kustomize_trees_are_what_kustomize_build_gives() {
    let base = trees(&format!("@@@ base\n{}", include_str!("../trees/base.txt")));
    let all = trees(include_str!("../trees/kustomize.txt"));
    assert!(all.len() >= 30);
    for mut tree in all {
        tree.files.extend(base[0].files.clone());
        let dir = on_disk(&tree);
        let hand = by_hand("kustomize", dir.path(), &["build".into(), "app".into()]);
        // A List that Kustomize leaves whole is taken apart by us.
        assert_equal(&tree.name, hand, by_us(&tree, "path: app"));
    }
}

#[test]
fn thirty_helm_charts_are_what_helm_template_gives() {
    let all = trees(include_str!("../trees/helm.txt"));
    assert!(all.len() >= 30);
    for mut tree in all {
        let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\nappVersion: \"7\"\n";
        tree.files.entry("chart/Chart.yaml".to_owned()).or_insert_with(|| chart.to_owned());
        let dir = on_disk(&tree);
        let named = tree.more.iter().find_map(|word| word.strip_prefix("NAME="));
        let mut arguments: Vec<String> =
            ["template", named.unwrap_or("web"), "chart", "--include-crds"]
                .map(str::to_owned)
                .to_vec();
        arguments.extend(tree.more.iter().filter(|word| !word.starts_with("NAME=")).cloned());
        arguments.retain(|word| !tree.less.contains(word));
        let hand = by_hand("helm", dir.path(), &arguments);
        let source = format!("path: chart, helm: {{{}}}", tree.settings);
        assert_equal(&tree.name, hand, by_us(&tree, &source));
    }
}

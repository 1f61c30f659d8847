//! Each hostile case fails when its guard is switched off: what is said about it is then something else. A case whose guard
//! is not ours to switch is named, with whose it is.

use std::collections::{BTreeMap, BTreeSet};

use render::{Guard, Kit, without};

use super::{
    equal::{Tree, app_and_files, target, trees},
    *,
};

/// Guards and the cases that each answers, by the beginnings of their names.
const GUARDS: &[(Guard, &[&str])] = &[
    (
        Guard::Remote,
        &[
            "kustomize: a base on a web server",
            "kustomize: a base in another repository",
            "kustomize: a base over ssh",
            "kustomize: a base by the ext transport",
            "kustomize: a base by file URL",
            "kustomize: a remote component",
            "kustomize: a remote base behind a local one",
        ],
    ),
    (Guard::Outside, &["kustomize: a base above the repository", "kustomize: an absolute path"]),
    (Guard::Charts, &["kustomize: a chart to fetch and run", "kustomize: the home of helm"]),
    (
        Guard::Functions,
        &["kustomize: a generator that is a program", "kustomize: a transformer in a container"],
    ),
    (Guard::Plugins, &["kustomize: a plugin that is a script"]),
    (
        Guard::Root,
        &[
            "kustomize: a config map of a file of the host",
            "kustomize: a config map of a file above",
            "kustomize: a config map of the environment of the process",
            "kustomize: a patch above its folder",
            "kustomize: a schema above its folder",
        ],
    ),
    (Guard::Present, &["kustomize: a missing resource"]),
    (
        Guard::Links,
        &[
            "kustomize: a link out of the repository",
            "kustomize: an absolute link",
            "kustomize: a folder that is a link to itself",
        ],
    ),
    (Guard::Bombs, &["kustomize: a YAML bomb"]),
    (
        Guard::Secrets,
        &[
            "kustomize: a Secret made of literals",
            "helm: a Secret with a default password",
            "plain: a Secret",
            "plain: a Secret that only looks encrypted",
        ],
    ),
    (
        Guard::Lookup,
        &["helm: a look into the cluster", "helm: a look into the cluster in a helper"],
    ),
    (Guard::Random, &["helm: a random password"]),
    (
        Guard::Options,
        &[
            "helm: a release called like an option",
            "helm: a namespace called like an option",
            "helm: an option among the API versions",
        ],
    ),
    (
        Guard::Values,
        &[
            "helm: values of the host",
            "helm: values above the repository",
            "helm: values that are missing",
            "helm: values from a web server",
        ],
    ),
    (
        Guard::Dependencies,
        &[
            "helm: a dependency that would be fetched",
            "helm: a dependency above the repository",
            "helm: a chart that depends on itself",
        ],
    ),
    (Guard::Empty, &["kustomize: nothing to do", "helm: nothing comes out"]),
    (Guard::Twice, &["helm: the same object twice"]),
    (Guard::Shape, &["helm: output that is no object"]),
    (Guard::Places, &["helm: a label that nobody has", "helm: a fact that nobody knows"]),
    (
        Guard::Form,
        &[
            "helm: no Chart.yaml where one is declared",
            "both in one folder",
            "a chart below plain manifests",
        ],
    ),
    (Guard::Patches, &["a patch that does not exist", "a patch above the repository"]),
];

/// Cases whose guard is a layer of the sandbox, and which layers: `walls` shows that each does its harm without them, with
/// programs that are built for it.
const LAYERS: &[(&str, &str)] = &[
    ("kustomize: a YAML bomb in a resource", "limits"),
    ("helm: a loop that makes gigabytes", "limits"),
    ("helm: a list that takes all memory", "limits"),
    ("helm: the name service", "syscalls"),
];

/// Cases that the tool itself refuses, by no switch of its own; ours is that it is the real tool, and that its words
/// are passed on.
const TOOLS: &[&str] = &[
    "kustomize: a config map of a file of another App",
    "kustomize: a base that is its own base",
    "helm: a file of the host",
    "helm: a file above the chart",
    "helm: the environment",
    "helm: templates that call each other for ever",
    "helm: a YAML bomb in the values",
    "helm: a mistake in a template",
    "helm: an end is missing",
    "helm: a value that the schema refuses",
    "helm: output that is no YAML",
    "a patch for an object that is not there",
];

fn hostile() -> Vec<Tree> {
    let mut all = trees(include_str!("../trees/hostile.txt"));
    let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
    for tree in &mut all {
        if tree.files.keys().any(|path| path.starts_with("chart/")) {
            tree.files.entry("chart/Chart.yaml".to_owned()).or_insert_with(|| chart.to_owned());
        }
    }
    all
}

/// What is said about a repository, or that it was rendered.
fn said(tree: &Tree, tools: &Renderers) -> String {
    let lines = |faults: Vec<render::Diagnostic>| {
        faults.iter().map(|fault| format!("{fault}\n")).collect::<Vec<_>>().concat()
    };
    let (app, files) = match app_and_files(tree, &tree.settings) {
        Ok(both) => both,
        Err(faults) => return lines(faults),
    };
    let kit = Kit { tools, ..Kit::plain() };
    let cluster = target();
    match render::render(&kit, &app, &files, (&cluster).into()) {
        Ok(done) => {
            let objects = done.objects.values().map(|bytes| String::from_utf8_lossy(bytes));
            format!("rendered {}", objects.collect::<Vec<_>>().join("\n"))
        }
        Err(faults) => lines(faults),
    }
}

#[test]
fn every_case_has_a_guard() {
    let all: BTreeSet<String> = hostile().into_iter().map(|tree| tree.name).collect();
    let mut owners: BTreeMap<&String, usize> = BTreeMap::new();
    let mut own = |begin: &str| {
        let exact = all.get(begin);
        let found: Vec<_> = match exact {
            Some(name) => vec![name],
            None => all.iter().filter(|name| name.starts_with(begin)).collect(),
        };
        assert_eq!(found.len(), 1, "`{begin}` names {found:?}");
        for name in found {
            *owners.entry(name).or_default() += 1;
        }
    };
    GUARDS.iter().flat_map(|(_, cases)| cases.iter()).for_each(|case| own(case));
    LAYERS.iter().map(|(case, _)| case).chain(TOOLS).for_each(|case| own(case));
    let without: Vec<_> = all.iter().filter(|name| owners.get(name) != Some(&1)).collect();
    assert!(without.is_empty(), "no guard, or more than one: {without:?}");
}

#[test]
fn every_case_fails_when_its_guard_is_switched_off_and_nothing_leaks_even_then() {
    let (all, tools) = (hostile(), renderers());
    for (guard, cases) in GUARDS {
        for case in *cases {
            let exact = all.iter().find(|tree| tree.name == *case);
            let tree =
                exact.or_else(|| all.iter().find(|tree| tree.name.starts_with(case))).unwrap();
            let guarded = said(tree, &tools);
            let open = without(*guard, || said(tree, &tools));
            assert_ne!(guarded, open, "{}: it says the same without {guard:?}", tree.name);
            assert!(!guarded.starts_with("rendered"), "{}: {guarded}", tree.name);
            // The sandbox still stands behind each guard.
            for leak in ["root:", "/root/", "PATH="] {
                assert!(!open.contains(leak), "{}: without {guard:?}: {open}", tree.name);
            }
        }
    }
    assert!(!Path::new("/owned").exists());
}

/// The last two layers together: only without both does the file of the host come out.
#[test]
fn a_file_of_the_host_comes_out_only_when_the_sandbox_is_open_too() {
    let all = hostile();
    let tree = all
        .iter()
        .find(|tree| tree.name == "kustomize: a config map of a file of the host")
        .unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let places = Places {
        kustomize: Some(root.join("bin/kustomize")),
        helm: None,
        launcher: Some(launcher()),
        rooms: None,
    };
    let open = Renderers::with(places, Some(Sandbox::new(launcher()).without("files")));
    assert!(!said(tree, &open).contains("root:"), "the tool's own guard");
    assert!(!without(Guard::Root, || said(tree, &renderers())).contains("root:"), "the sandbox");
    assert!(without(Guard::Root, || said(tree, &open)).contains("root:"), "neither");
}

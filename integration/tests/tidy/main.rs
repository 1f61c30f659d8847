//! The rules of the house, as tests. Each failure says what to do.

mod source;

use std::{collections::BTreeSet, fs, path::Path};

use source::{File, files, root};

/// Crates in the order of the arrows: each may depend only on those named beside it.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("proto", &["model"]),
    ("rollout", &["model"]),
    ("render", &["model", "rollout", "plan"]),
    ("sandbox", &["model", "render"]),
    ("plan", &["model"]),
    ("ctl", &["model", "proto", "rollout", "render", "sandbox", "plan"]),
    ("hub", &["model", "proto", "rollout", "render", "sandbox"]),
    ("agent", &["model", "proto", "plan", "simcluster"]),
    ("simcluster", &[]),
    (
        "integration",
        &[
            "model",
            "proto",
            "rollout",
            "render",
            "sandbox",
            "plan",
            "ctl",
            "hub",
            "agent",
            "simcluster",
        ],
    ),
];

/// Folder of each crate.
const CRATES: &[(&str, &str)] = &[
    ("model", "proto/model"),
    ("proto", "proto"),
    ("rollout", "hub/rollout"),
    ("render", "hub/render"),
    ("sandbox", "hub/sandbox"),
    ("plan", "agent/plan"),
    ("ctl", "hub/ctl"),
    ("hub", "hub"),
    ("agent", "agent"),
    ("simcluster", "integration/simcluster"),
    ("integration", "integration"),
];

/// Where a heavy dependency may be named in product code, and nowhere else.
const NAMED_IN: &[(&str, &[&str])] = &[
    ("sled", &["hub/src/store/"]),
    ("gix", &["hub/src/source/git"]),
    ("russh", &["hub/src/source/git"]),
    ("pgp", &["hub/src/source/git"]),
    ("rcgen", &["hub/src/pki/", "agent/src/identity/", "integration/"]),
    (
        "rustls",
        &[
            "hub/src/pki/",
            "hub/src/grpc/listen",
            "hub/ctl/src/connect.rs",
            "agent/src/identity/",
            "agent/src/link/",
            "agent/src/cluster/",
            "hub/src/source/git",
            // its reader of PEM
            "hub/src/source/artifact/cosign/",
            "integration/",
        ],
    ),
    ("kube", &["agent/src/cluster/", "agent/src/identity/", "agent/src/state/", "integration/"]),
    ("axum", &["hub/src/http/", "agent/src/http.rs"]),
    (
        "clap",
        &[
            "hub/src/config.rs",
            "hub/src/main.rs",
            "hub/ctl/src/cli.rs",
            "hub/ctl/src/commands/",
            "agent/src/config.rs",
            "agent/src/run.rs",
            "integration/",
        ],
    ),
    (
        "tonic",
        &["hub/src/grpc/", "proto/", "agent/src/link/", "agent/src/identity/", "integration/"],
    ),
    ("backoff", &["agent/src/pauses.rs"]),
    ("landlock", &["hub/sandbox/src/launch/"]),
    ("seccompiler", &["hub/sandbox/src/launch/"]),
];

/// Lines of a file of product code.
const LINES_MAX: usize = 500;

/// Tables of rows that are data: they have as many lines as there are rows, and are searched, not read.
const TABLES: &[&str] = &["proto/model/src/reason/table.rs"];

/// Names of drawers without a label.
const DRAWERS: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// Fails with all faults at once.
fn none(faults: &[String], hint: &str) {
    assert!(faults.is_empty(), "{}\n\nhint: {hint}", faults.join("\n"));
}

#[test]
fn every_source_file_is_reached_by_a_mod() {
    let mut faults = Vec::new();
    for (_, folder) in CRATES {
        let reached = source::reached(&root().join(folder));
        for file in files(folder) {
            if !reached.contains(&file.path) && !file.is_build_script() {
                faults.push(file.name.clone());
            }
        }
    }
    none(
        &faults,
        "declare the file with `mod`, or delete it: a test that is not built cannot fail",
    );
}

#[test]
fn no_file_is_over_500_lines() {
    let faults = product().filter(|f| f.lines() > LINES_MAX && !TABLES.contains(&&*f.name));
    none(
        &faults.map(|f| format!("{}: {} lines", f.name, f.lines())).collect::<Vec<_>>(),
        "split it by idea; when a limit hurts, the shape is wrong",
    );
}

#[test]
fn no_file_is_a_drawer() {
    let drawer =
        |f: &File| DRAWERS.contains(&f.stem()) || f.name.split('/').any(|p| DRAWERS.contains(&p));
    none(
        &product().filter(drawer).map(|f| f.name).collect::<Vec<_>>(),
        "name the file for the idea in it",
    );
}

#[test]
fn every_module_that_gathers_others_says_what_it_is_for() {
    let gathers = |f: &File| ["lib", "main", "mod"].contains(&f.stem());
    let silent = |f: &File| gathers(f) && !f.text.starts_with("//!");
    none(
        &all().filter(silent).map(|f| f.name).collect::<Vec<_>>(),
        "open it with `//!`: what it is for, what is absent",
    );
}

#[test]
fn arrows_between_crates_point_down() {
    let mut faults = Vec::new();
    for (name, folder) in CRATES {
        let allowed = ARROWS.iter().find(|(n, _)| n == name).map_or(&[][..], |(_, a)| *a);
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        for (other, _) in CRATES {
            let named = manifest.lines().any(|l| {
                l.starts_with(&format!("{other}.")) || l.starts_with(&format!("{other} ="))
            });
            if named && name != other && !allowed.contains(other) {
                faults.push(format!("`{name}` depends on `{other}`"));
            }
        }
    }
    none(&faults, "move what is shared to the crate below, or turn the dependency round");
}

#[test]
fn arrows_between_modules_point_down() {
    let mut faults = Vec::new();
    for (_, folder) in CRATES {
        faults.extend(source::upward(&root().join(folder)));
    }
    none(
        &faults,
        "a module may use only modules that are listed below it; reorder the list or move the item",
    );
}

#[test]
fn heavy_dependencies_are_named_in_one_place() {
    let mut faults = Vec::new();
    for file in product() {
        for (dependency, places) in NAMED_IN {
            let names = file.text.contains(&format!("{dependency}::"))
                || file.text.contains(&format!("use {dependency}"));
            let own = file.text.contains(&format!("crate::{dependency}::"))
                || source::has_sibling(&file, dependency);
            if names && !own && !places.iter().any(|p| file.name.starts_with(p)) {
                faults.push(format!("{} names `{dependency}`", file.name));
            }
        }
    }
    none(&faults, "go through the module that owns the dependency");
}

#[test]
fn only_the_clock_looks_at_a_clock() {
    let looks = |f: &File| {
        ["Timestamp::now()", "SystemTime::now()"].iter().any(|c| f.text.contains(c))
            && !f.name.ends_with("/clock.rs")
            && !f.name.starts_with("integration/")
    };
    none(
        &product().filter(looks).map(|f| f.name).collect::<Vec<_>>(),
        "take the time as an argument, or ask the `Clock`",
    );
}

#[test]
fn nothing_is_half_finished() {
    let marks = ["todo!(".to_owned(), "unimplemented!(".to_owned(), "FIX".to_owned() + "ME"];
    let mut faults = Vec::new();
    for file in all().filter(|f| !f.name.starts_with("integration/tests/tidy/")) {
        for mark in &marks {
            if file.text.contains(mark.as_str()) {
                faults.push(format!("{}: {mark}", file.name));
            }
        }
    }
    none(&faults, "finish it, or leave it out and say so");
}

#[test]
fn every_crate_has_a_readme_that_names_its_folders() {
    let mut faults = Vec::new();
    for (name, folder) in CRATES {
        let Ok(readme) = fs::read_to_string(root().join(folder).join("README.md")) else {
            faults.push(format!("{folder}/README.md is missing"));
            continue;
        };
        let nested: BTreeSet<_> = CRATES.iter().map(|(_, f)| *f).collect();
        for entry in fs::read_dir(root().join(folder).join("src")).unwrap() {
            let path = entry.unwrap().path();
            let part = path.file_name().unwrap().to_string_lossy().into_owned();
            let inner = format!("{folder}/{part}");
            if path.is_dir() && !nested.contains(inner.as_str()) && !readme.contains(&part) {
                faults.push(format!("{folder}/README.md ({name}) does not name `src/{part}`"));
            }
        }
    }
    none(&faults, "add a line: what the folder is for");
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "hub",
        "agent",
        "proto",
        "charts",
        "integration",
        "README.md",
        "LICENSE",
        "Makefile",
        "target",
        "bin",
    ];
    let mut faults = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !allowed.contains(&name.as_str()) {
            faults.push(name);
        }
    }
    none(&faults, "put it below one of the crates");
}

fn all() -> impl Iterator<Item = File> {
    let mut seen = BTreeSet::new();
    CRATES.iter().flat_map(|(_, folder)| files(folder)).filter(move |f| seen.insert(f.path.clone()))
}

fn product() -> impl Iterator<Item = File> {
    all().filter(|f| !f.is_test() && !f.is_build_script())
}

#[test]
fn the_rules_look_at_something() {
    assert!(product().count() > 100, "the walk found {} files", product().count());
    assert!(Path::new(&root()).join("Cargo.lock").is_file());
}

/// Conformance scenarios of the agent that no test plays, and why.
const UNPLAYED: &[(u32, &str)] = &[(
    52,
    "an agent that replaces itself comes with the packages of a release; nothing swaps images here",
)];

#[test]
fn every_conformance_scenario_has_a_test_or_a_reason() {
    let mut played = BTreeSet::new();
    for folder in ["agent", "agent/plan", "integration"] {
        for file in files(folder).into_iter().filter(File::is_test) {
            for line in file.text.lines() {
                let story = line
                    .trim_start()
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("async ");
                let number = story.strip_prefix("fn s").and_then(|rest| rest.split_once('_'));
                played.extend(number.and_then(|(number, _)| number.parse::<u32>().ok()));
            }
        }
    }
    let table = fs::read_to_string(root().join("agent/README.md")).unwrap();
    let mut faults = Vec::new();
    for number in 1..=54 {
        let reason = UNPLAYED.iter().find(|(n, _)| *n == number);
        if played.contains(&number) == reason.is_some() {
            faults.push(format!("s{number:02}: played: {}", played.contains(&number)));
        }
        if !table.contains(&format!("| s{number:02} |")) {
            faults.push(format!("s{number:02} is not in the table of agent/README.md"));
        }
    }
    none(&faults, "write the story `sNN_…`, or say in `UNPLAYED` why it cannot be played");
}

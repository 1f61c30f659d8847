//! The scenarios of the brain, played by the very command that people use: each file beside its transcript.
//!
//! After a wanted change: `UPDATE_SCENARIOS=1 cargo test -p ctl simulate`, then read the difference.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rollout/scenarios")
}

fn simulate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .current_dir(folder)
        .args(["rollout", "simulate"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All scenarios, by name.
fn scenarios() -> Vec<String> {
    let all = fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name());
    let mut all: Vec<String> = all.map(|n| n.into_string().unwrap()).collect();
    all.retain(|name| Path::new(name).extension().is_some_and(|e| e == "yaml"));
    all.sort();
    all
}

#[test]
fn every_scenario_ends_as_it_says_and_reads_as_its_transcript() {
    let mut faults = Vec::new();
    for name in scenarios() {
        let played = simulate(&folder(), &[&name]);
        let (seen, talk) = (text(&played.stdout), text(&played.stderr));
        let transcript = folder().join(name.replace(".yaml", ".txt"));
        if option_env!("UPDATE_SCENARIOS").is_some() {
            fs::write(&transcript, &seen).unwrap();
        }
        let wanted = fs::read_to_string(&transcript).unwrap_or_default();
        if !played.status.success() {
            faults.push(format!("{name} ends with {}\n{seen}{talk}", played.status));
        } else if seen != wanted {
            faults.push(format!("{name} would read\n{seen}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn written(name: &str, file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), file).unwrap();
    folder
}

#[test]
fn what_is_not_understood_is_refused_with_its_line_and_the_way_out() {
    let cases = [
        ("clusters: []\nuntil: 1h\nclustres: []\n", "x.yaml:3: unknown field `clustres`"),
        ("clusters: []\nuntil: soon\n", "x.yaml:2: `soon` is not a time; write `90s`"),
        ("clusters:\n  - {name: a, lables: {}}\nuntil: 1h\n", "x.yaml:2: unknown field `lables`"),
        ("clusters:\n  - {name: p%}\nuntil: 1h\n", "x.yaml:2: `count` and a `%` in the name go"),
        (
            "clusters: [{name: a}]\nuntil: 1h\ntimeline:\n  - {at: 0s, do: commit r1}\n  - {at: 1m, do: skip b}\n",
            "x.yaml:5: no cluster `b`; name one of `clusters`",
        ),
        (
            "clusters: [{name: a}]\nuntil: 1h\ntimeline:\n  - at: 0s\n    do:\n      - commit r1\n      - dance\n",
            "x.yaml:7: `dance` is not understood; write `commit",
        ),
        (
            "clusters: [{name: a}]\nuntil: 1h\ntimeline:\n  - {at: 2m, do: crash}\n  - {at: 1m, do: crash}\n",
            "x.yaml:5: this is earlier than the step above",
        ),
        (
            "clusters: [{name: a}]\nuntil: 1h\nexpect:\n  - {that: rollout 1 is fine}\n",
            "x.yaml:4: `rollout 1 is fine` is not understood; write `rollout N STATE`",
        ),
        (
            "clusters: [{name: a}]\napp:\n  rollout:\n    waves:\n      - {name: all, rest: true, maxInFligth: 3}\nuntil: 1h\n",
            "x.yaml:5: ",
        ),
        (
            "clusters: [{name: a}]\nappFile: nowhere/app.yaml\nuntil: 1h\n",
            "x.yaml:2: `nowhere/app.yaml`",
        ),
    ];
    for (file, wanted) in cases {
        let folder = written("x.yaml", file);
        let played = simulate(folder.path(), &["x.yaml"]);
        let said = text(&played.stderr);
        assert_eq!(played.status.code(), Some(2), "{file}\n{said}");
        assert!(said.contains(wanted), "{file}\n{said}\nshould say {wanted}");
        assert!(played.stdout.is_empty(), "{file}");
    }
}

#[test]
fn an_expectation_that_does_not_hold_ends_with_one_and_says_what_is_so() {
    let file = "clusters: [{name: a}]\nuntil: 10s\ntimeline: [{at: 0s, do: commit r1}]\n\
                expect:\n  - {that: rollout 1 Completed}\n";
    let folder = written("x.yaml", file);
    let played = simulate(folder.path(), &["x.yaml"]);
    assert_eq!(played.status.code(), Some(1));
    let seen = text(&played.stdout);
    assert!(seen.contains("line 5: at 10s rollout #1 is Progressing, not Completed"), "{seen}");
}

#[test]
fn the_app_may_be_the_file_that_the_fleet_repository_has() {
    let folder = written(
        "x.yaml",
        "clusters: [{name: a}]\nappFile: apps/shop/app.yaml\nuntil: 1h\n\
                                    timeline: [{at: 0s, do: commit r1}]\nexpect: [{that: wave only Passed}]\n",
    );
    fs::create_dir_all(folder.path().join("apps/shop")).unwrap();
    let app = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: shop}\n\
               spec: {targets: {select: \"true\"}, rollout: {waves: [{name: only, rest: true}]}}\n";
    fs::write(folder.path().join("apps/shop/app.yaml"), app).unwrap();
    let played = simulate(folder.path(), &["x.yaml"]);
    assert_eq!(played.status.code(), Some(0), "{}{}", text(&played.stdout), text(&played.stderr));
}

const LUCK: &str = "clusters: [{name: c%, count: 12}]\njitter: 50\nfaults: {loss: 5, duplicate: 5, delay: 3s}\n\
     app:\n  rollout:\n    waves: [{name: all, rest: true, maxInFlight: 3, retry: {limit: 0}}]\n\
     releases:\n  r1: [{does: fails, on: 5%}]\n\
     timeline: [{at: 0s, do: commit r1}]\nuntil: 20m\n";

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    let folder = written("x.yaml", LUCK);
    let play = |seed| text(&simulate(folder.path(), &["x.yaml", "--seed", seed]).stdout);
    assert_eq!(play("7"), play("7"));
    assert_ne!(play("7"), play("8"));
}

#[test]
fn many_seeds_make_a_table_of_duration_exposure_and_halts() {
    let folder = written("x.yaml", LUCK);
    let played = simulate(folder.path(), &["x.yaml", "--runs", "12"]);
    let seen = text(&played.stdout);
    let rows = seen.lines().filter(|l| l.contains("Completed") || l.contains("Halted")).count();
    assert!(seen.starts_with("SEED") && seen.contains("EXPOSED"), "{seen}");
    assert_eq!(rows, 12, "{seen}");
    assert!(seen.contains("of 12 runs"), "{seen}");
}

#[test]
fn each_line_of_json_is_a_document_and_the_last_one_sums_up() {
    let played = simulate(&folder(), &["s01-waves-in-order.yaml", "-o", "json"]);
    let lines: Vec<serde_json::Value> =
        text(&played.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().all(|l| l["apiVersion"] == "cli.tidegate/v1"));
    assert!(lines.iter().any(|l| l["event"]["event"] == "granted"));
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["ending"]),
        (&"SimulationSummary".into(), &"Completed".into())
    );
}

#[test]
fn a_hundred_clusters_with_half_of_each_stage_in_flight_are_simulated_in_no_time() {
    let began = std::time::Instant::now();
    let played = simulate(&folder(), &["fleet-of-100.yaml"]);
    assert_eq!(played.status.code(), Some(0), "{}", text(&played.stderr));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

//! Broken files and what is said about them. A person who meets one for the first time should know what
//! to do: read the snapshots with that in mind.

use std::fmt::Write;

use super::*;

const HEADER: &str = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}\n";

/// Cases of a corpus: a name after `===`, then the file.
fn cases(corpus: &str) -> Vec<(&str, &str)> {
    let cases = corpus.split("=== ").skip(1);
    cases.map(|case| case.split_once('\n').unwrap_or((case, ""))).collect()
}

/// Cases that begin at `spec:` or `rollout:` get what has to stand above.
fn complete(text: &str) -> String {
    if text.starts_with("spec:") {
        return format!("{HEADER}{text}");
    }
    if !text.starts_with("rollout:") {
        return text.to_owned();
    }
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    format!("{HEADER}spec:\n  targets: {{select: \"true\"}}\n{lines}")
}

fn entry(out: &mut String, name: &str, text: &str, faults: &[Diagnostic]) {
    writeln!(out, "=== {name}").unwrap();
    for (number, line) in text.lines().enumerate() {
        writeln!(out, "{:>3} | {line}", number + 1).unwrap();
    }
    for fault in faults {
        writeln!(out, "{fault}").unwrap();
    }
    out.push('\n');
}

#[test]
fn every_broken_app_says_what_is_wrong_where_and_what_to_do() {
    let mut out = String::new();
    let cases = cases(include_str!("../corpus/app.txt"));
    assert!(cases.len() >= 55, "{}", cases.len());
    for (name, text) in cases {
        let text = complete(text);
        let faults = render::parse_app("apps/web/app.yaml", &text).expect_err(name);
        assert!(!faults.is_empty(), "{name}");
        entry(&mut out, name, &text, &faults);
    }
    insta::assert_snapshot!("app", out);
}

#[test]
fn every_broken_manifest_says_what_is_wrong_where_and_what_to_do() {
    let mut out = String::new();
    let cases = cases(include_str!("../corpus/objects.txt"));
    assert!(cases.len() >= 25, "{}", cases.len());
    for (name, text) in cases {
        let faults = rendered(&tree(&[("a.yaml", text)])).expect_err(name);
        assert!(!faults.is_empty(), "{name}");
        entry(&mut out, name, text, &faults);
    }
    insta::assert_snapshot!("objects", out);
}

#[test]
fn every_diagnostic_has_a_place_and_a_way_out() {
    for (name, text) in cases(include_str!("../corpus/app.txt")) {
        let text = complete(text);
        let lines = u32::try_from(text.lines().count()).unwrap();
        for fault in render::parse_app("apps/web/app.yaml", &text).unwrap_err() {
            let empty = lines == 0 || text.lines().all(|line| line.starts_with('#'));
            assert!(empty || fault.position.is_some(), "{name}: {fault}");
            assert!(
                fault.position.is_none_or(|at| (1..=lines).contains(&at.line)),
                "{name}: {fault}"
            );
            assert!(!fault.next_step().is_empty(), "{name}");
            assert!(!fault.to_string().contains('\n'), "{name}: {fault}");
            for debug in ["Some(", "None", "Err("] {
                assert!(!fault.to_string().contains(debug), "{name}: {fault}");
            }
        }
    }
}

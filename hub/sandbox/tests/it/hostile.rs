//! Hostile and broken repositories: refused or contained, and told so that somebody can act on it.

use super::{
    equal::{Tree, app_and_files, target, trees},
    *,
};
use model::Reason;
use render::Kit;

/// What is said about a repository, one line a fault.
fn told(tree: &Tree) -> Vec<render::Diagnostic> {
    let (app, files) = match app_and_files(tree, &tree.settings) {
        Ok(both) => both,
        Err(faults) => return faults,
    };
    let tools = renderers();
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let cluster = target();
    render::render(&kit, &app, &files, (&cluster).into())
        .map_or_else(|faults| faults, |done| panic!("{}: rendered {done:?}", tree.name))
}

#[test]
fn every_hostile_or_broken_repository_is_refused_with_words_to_act_on() {
    let mut transcript = String::new();
    let mut all = trees(include_str!("../trees/hostile.txt"));
    assert!(all.len() >= 60);
    for tree in &mut all {
        let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
        if tree.files.keys().any(|path| path.starts_with("chart/")) {
            tree.files.entry("chart/Chart.yaml".to_owned()).or_insert_with(|| chart.to_owned());
        }
        let faults = told(tree);
        assert!(!faults.is_empty(), "{}", tree.name);
        transcript.push_str(&format!("# {}\n", tree.name));
        for fault in &faults {
            // Which bound is met first depends on how busy the machine is.
            let bounds = ["memory", "output", "processor time", "time"];
            let text = bounds.iter().fold(fault.to_string(), |text, what| {
                text.replace(&format!("too much {what};"), "too much of something;")
            });
            for leak in ["root:", "hunter2", "/tmp/", "HOME=", "aHVudGVyMg"] {
                assert!(!text.contains(leak), "{}: tells `{leak}`: {text}", tree.name);
            }
            transcript.push_str(&text);
            transcript.push('\n');
        }
        transcript.push('\n');
    }
    assert!(!Path::new("/owned").exists());
    insta::assert_snapshot!(transcript);
}

#[test]
fn what_is_stopped_by_a_bound_says_so() {
    let reasons = |name: &str| -> Vec<Reason> {
        let all = trees(include_str!("../trees/hostile.txt"));
        let mut tree = all.into_iter().find(|tree| tree.name == name).unwrap();
        let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n".to_owned();
        tree.files.insert("chart/Chart.yaml".to_owned(), chart);
        told(&tree).iter().map(|fault| fault.reason).collect()
    };
    assert_eq!(reasons("helm: a list that takes all memory"), [Reason::RenderTooMuch]);
    assert_eq!(reasons("helm: a loop that makes gigabytes"), [Reason::RenderTooMuch]);
}

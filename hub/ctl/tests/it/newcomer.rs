//! Broken repositories as somebody meets them who has never seen Tidegate, and a repository that comes from another tool.

use super::desk::Desk;

const HEADER: &str = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}\n";

/// Cases of a corpus: a name after `===`, then the file.
fn cases(corpus: &'static str) -> Vec<(&'static str, &'static str)> {
    let cases = corpus.split("=== ").skip(1);
    cases.map(|case| case.split_once('\n').unwrap_or((case, ""))).collect()
}

/// What `tidegate lint` says of a repository, and how it ends.
fn linted(files: &[(&str, String)]) -> String {
    let desk = Desk::new();
    for (path, text) in files {
        desk.file(path, text);
    }
    let output = desk.run(&["lint", "."], "");
    let code = output.status.code().unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_ne!(code, 0, "{text}");
    format!("$ tidegate lint .   # exit {code}\n{text}\n")
}

#[test]
fn forty_broken_repositories_tell_a_newcomer_what_to_do() {
    let mut transcript = String::new();
    let mut count = 0;
    for (name, text) in cases(include_str!("../../../render/tests/corpus/app.txt")) {
        let text =
            if text.starts_with("spec:") { format!("{HEADER}{text}") } else { text.to_owned() };
        if text.starts_with("rollout:") || count == 30 {
            continue;
        }
        count += 1;
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".to_owned();
        let files = [("apps/web/app.yaml", text), ("apps/web/a.yaml", object)];
        transcript.push_str(&format!("# {name}\n{}", linted(&files)));
    }
    let app = format!("{HEADER}spec: {{targets: {{select: true}}}}\n");
    for (name, text) in
        cases(include_str!("../../../render/tests/corpus/objects.txt")).into_iter().take(20)
    {
        count += 1;
        let files = [("apps/web/app.yaml", app.clone()), ("apps/web/a.yaml", text.to_owned())];
        transcript.push_str(&format!("# {name}\n{}", linted(&files)));
    }
    assert!(count >= 40, "{count}");
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_repository_of_another_tool_is_imported_once_and_nothing_is_written_over() {
    let desk = Desk::new();
    desk.file(
        "clusters/eu-1/shop.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: shop}\nspec: {path: ./shop, prune: true}\n",
    );
    desk.file("shop/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let output = desk.run(&["import", "flux", ".", "--to", "."], "");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{talk}");
    assert!(talk.contains("tidegate cluster label eu-1 app_shop=yes"), "{talk}");
    let lint = desk.run(&["lint", "."], "");
    assert_eq!(lint.status.code(), Some(0), "{}", String::from_utf8_lossy(&lint.stdout));
    let again = desk.run(&["import", "flux", ".", "--to", "."], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("is there already"));
    let nothing = desk.run(&["import", "argocd", "."], "");
    assert_eq!(nothing.status.code(), Some(5));
    let (code, document) = desk.json(&["import", "flux", "."], "");
    assert_eq!((code, document["read"].as_u64()), (1, Some(1)));
}

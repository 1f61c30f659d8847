//! Symbolic links lead anywhere inside the commit and nowhere else.

use super::*;

fn with_link(path: &str, target: &str) -> MemoryTree {
    tree(&[("a.yaml", &config_map("a"))])
        .file("base/b.yaml", config_map("b"))
        .file("secret.txt", "token: x")
        .link(path, target)
}

fn names(tree: &MemoryTree) -> Result<Vec<String>, Vec<String>> {
    let rendered = rendered(tree).map_err(|faults| texts(&faults))?;
    Ok(rendered.manifest.entries().iter().map(|e| e.key.name.clone()).collect())
}

#[test]
fn a_link_to_a_file_or_a_folder_of_the_repository_is_followed() {
    for (path, target) in [
        ("apps/web/m/b.yaml", "../../../base/b.yaml"),
        ("apps/web/m/b.yaml", "./../../../base/./b.yaml"),
        ("apps/web/m/base", "../../../base"),
        ("apps/web/m/base", "../../../base/"),
        ("apps/web/m/deep", "../../../base/../base"),
    ] {
        assert_eq!(names(&with_link(path, target)).unwrap(), ["a", "b"], "{path} -> {target}");
    }
    let chain = with_link("apps/web/m/base", "../../../one").link("one", "two").link("two", "base");
    assert_eq!(names(&chain).unwrap(), ["a", "b"]);
}

#[test]
fn the_folder_of_the_app_may_be_a_link() {
    let tree = MemoryTree::new()
        .file("shared/m/a.yaml", config_map("a"))
        .file("shared/app.yaml", app_yaml("m"))
        .link("apps/web", "../shared");
    let found = render::apps(&tree);
    assert_eq!(overview(&found.apps), [("web".to_owned(), "ok".to_owned())]);
    assert_eq!(names(&tree).unwrap(), ["a"]);
}

#[test]
fn a_link_that_leaves_the_repository_is_refused() {
    for (target, why) in [
        ("/etc/passwd", "is absolute"),
        ("/base/b.yaml", "is absolute"),
        ("", "is absolute"),
        ("a\\b", "is absolute"),
        ("../../../../etc", "leaves the repository"),
        ("../../../../base/b.yaml", "leaves the repository"),
        ("../../../base/../../x", "leaves the repository"),
    ] {
        let faults = names(&with_link("apps/web/m/b.yaml", target)).unwrap_err();
        assert_eq!(faults.len(), 1);
        let begin = format!("error[RND-206]: apps/web/m/b.yaml: the link {why}");
        assert!(faults[0].starts_with(&begin), "{target}: {faults:?}");
    }
}

#[test]
fn a_link_without_a_target_is_refused_and_not_skipped() {
    let faults = names(&with_link("apps/web/m/b.yaml", "nowhere.yaml")).unwrap_err();
    assert!(faults[0].contains("which does not exist"), "{faults:?}");
}

#[test]
fn a_link_that_comes_back_to_itself_ends() {
    for (path, target) in [
        ("apps/web/m/b.yaml", "b.yaml"),
        ("apps/web/m/loop", "."),
        ("apps/web/m/loop", "../m"),
        ("apps/web/m/loop", "../../../apps"),
        ("apps/web/m/loop", "../../.."),
    ] {
        let faults = names(&with_link(path, target)).unwrap_err();
        assert!(faults[0].contains("the link leads back"), "{target}: {faults:?}");
    }
    let pair = with_link("apps/web/m/x", "y").link("apps/web/m/y", "x");
    assert!(names(&pair).unwrap_err()[0].contains("leads back"));
}

#[test]
fn links_that_fan_out_end() {
    let mut tree = tree(&[]).file("d0/a.yaml", config_map("a"));
    for n in 1..30 {
        for way in ["l", "r"] {
            tree.insert_link(&format!("d{n}/{way}"), &format!("../d{}", n - 1));
        }
    }
    tree.insert_link("apps/web/m", "../../d29");
    let faults = rendered(&tree).unwrap_err();
    assert!(reasons(&faults).contains(&Reason::RenderTooLarge), "{:?}", faults[0]);
}

#[test]
fn a_submodule_is_refused_and_not_skipped() {
    let tree = tree(&[("a.yaml", &config_map("a"))]).submodule("apps/web/m/module");
    assert_eq!(reasons(&rendered(&tree).unwrap_err()), [Reason::NotSupportedYet]);
}

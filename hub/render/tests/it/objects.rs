//! From documents to canonical objects.

use model::Digest;

use super::*;

/// The one object of a file, in canonical form.
fn canonical(text: &str) -> String {
    let rendered =
        rendered(&tree(&[("a.yaml", text)])).unwrap_or_else(|f| panic!("{:?}", texts(&f)));
    assert_eq!(rendered.objects.len(), 1);
    String::from_utf8(rendered.objects.into_values().next().unwrap()).unwrap()
}

fn field(value: &str) -> String {
    let text = canonical(&format!("{}x: {value}\n", config_map("a")));
    let begin = text.find("\"x\":").unwrap() + 4;
    text[begin..text.len() - 1].to_owned()
}

#[test]
fn canonical_form_is_json_with_sorted_keys_and_no_white_space() {
    let text = "kind: ConfigMap\nmetadata:\n  namespace: shop\n  name: a\napiVersion: v1\n\
                data: {b: \"2\", a: \"é\\n\", \"10\": x, \"9\": y}\n";
    assert_eq!(
        canonical(text),
        r#"{"apiVersion":"v1","data":{"10":"x","9":"y","a":"é\n","b":"2"},"kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}"#
    );
}

#[test]
fn scalars_mean_what_they_mean_to_kubernetes() {
    for (yaml, json) in [
        ("1", "1"),
        ("-7", "-7"),
        ("0644", "420"),
        ("0o644", "420"),
        ("0x1F", "31"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1.5", "1.5"),
        ("-0.0", "0"),
        ("18446744073709551615", "18446744073709551615"),
        ("true", "true"),
        ("True", "true"),
        ("yes", "\"yes\""),
        ("on", "\"on\""),
        ("y", "\"y\""),
        ("NO", "\"NO\""),
        ("~", "null"),
        ("", "null"),
        ("null", "null"),
        ("2026-01-02", "\"2026-01-02\""),
        ("1:30", "\"1:30\""),
        ("1.2.3", "\"1.2.3\""),
        ("\"1\"", "\"1\""),
        ("!!str 1", "\"1\""),
        ("100m", "\"100m\""),
        ("[a, {b: c}]", "[\"a\",{\"b\":\"c\"}]"),
        ("|\n  two\n  lines", "\"two\\nlines\\n\""),
    ] {
        assert_eq!(field(yaml), json, "{yaml}");
    }
}

#[test]
fn equal_objects_have_one_digest_whatever_the_file_looks_like() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a # comment\ndata:\n  n: '1'\n";
    let json = "{\n\t\"data\": {\"n\": \"1\"},\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"apiVersion\": \"v1\"\n}\n";
    let from = |name: &str, text: &str| rendered(&tree(&[(name, text)])).unwrap();
    let (one, two) = (from("a.yaml", yaml), from("b.json", json));
    assert_eq!(one, two);
    let (digest, bytes) = one.objects.iter().next().unwrap();
    assert_eq!(Digest::of(bytes), *digest);
    let entry = &one.manifest.entries()[0];
    assert_eq!((entry.digest, entry.bytes as usize), (*digest, bytes.len()));
    let other = from("a.yaml", &yaml.replace("'1'", "'2'"));
    assert_ne!(other.manifest.digest(), one.manifest.digest());
}

#[test]
fn many_documents_files_and_lists_make_one_manifest_sorted_by_key() {
    let many = format!("---\n{}---\n# nothing\n---\n{}...\n", config_map("c"), config_map("b"));
    let list = "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n\
                - {apiVersion: apps/v1, kind: Deployment, metadata: {name: z, namespace: shop}}\n\
                - {apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}]}\n";
    let tree = tree(&[
        ("many.yaml", many.as_str()),
        ("deep/er/list.yml", list),
        ("README.md", "# not a manifest"),
        ("notes.txt", "a: [broken"),
        (".hidden.yaml", "a: [broken"),
        (".github/x.yaml", "a: [broken"),
    ]);
    let keys: Vec<_> =
        rendered(&tree).unwrap().manifest.entries().iter().map(|e| e.key.id()).collect();
    assert_eq!(
        keys,
        ["/ConfigMap/shop/a", "/ConfigMap/shop/b", "/ConfigMap/shop/c", "apps/Deployment/shop/z"]
    );
}

#[test]
fn a_kind_of_ones_own_that_ends_in_list_is_an_object() {
    let text = "apiVersion: x.example/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [{cidr: 10.0.0.0/8}]\n";
    assert!(canonical(text).contains("AllowList"));
}

#[test]
fn lines_are_counted_through_the_whole_file() {
    let text = format!("{}---\n# hello\n{}---\nkind: x\n", config_map("a"), config_map("b"));
    let faults = rendered(&tree(&[("a.yaml", text.as_str())])).unwrap_err();
    assert!(faults.iter().all(|fault| fault.position.unwrap().line == 10), "{:?}", texts(&faults));
}

#[test]
fn the_app_yaml_itself_is_not_an_object() {
    let tree = MemoryTree::new()
        .file("apps/web/app.yaml", app_yaml("."))
        .file("apps/web/a.yaml", config_map("a"));
    let rendered = rendered_for(&app("."), &tree, &Labels::new()).unwrap();
    assert_eq!(rendered.manifest.entries().len(), 1);
}

#[test]
fn a_folder_for_another_tool_is_refused_and_never_read_as_plain_files() {
    for (name, reason) in [
        ("kustomization.yaml", Reason::ToolMissing),
        ("kustomization.yml", Reason::ToolMissing),
        ("Kustomization", Reason::ToolMissing),
        ("Chart.yaml", Reason::ToolMissing),
        ("deep/Chart.yaml", Reason::ObjectInvalid),
        ("deep/kustomization.yaml", Reason::ObjectInvalid),
    ] {
        let map = config_map("a");
        let faults = rendered(&tree(&[("a.yaml", map.as_str()), (name, "resources: [a.yaml]\n")]))
            .unwrap_err();
        assert_eq!(reasons(&faults), [reason], "{name}");
    }
}

#[test]
fn nothing_is_never_an_empty_release() {
    for files in [&[("README.md", "empty")][..], &[("a.yaml", "# nothing\n")], &[("a.yaml", "")]] {
        assert_eq!(reasons(&rendered(&tree(files)).unwrap_err()), [Reason::RenderEmpty]);
    }
    let gone = rendered(&tree(&[])).unwrap_err();
    assert_eq!(reasons(&gone), [Reason::PathMissing]);
    assert_eq!(
        gone[0].to_string(),
        "error[RND-203]: apps/web/app.yaml:5:18: folder `apps/web/m` does not exist in this commit; \
         restore the folder, or correct `source.path`; the last release stays in force"
    );
}

#[test]
fn a_fault_in_one_file_means_no_release_and_every_fault_is_told() {
    let good = config_map("a");
    let files = [
        ("a.yaml", good.as_str()),
        ("b.yaml", "kind: x\n"),
        ("c.yaml", "a: [\n"),
        ("d.yaml", "\u{0}"),
    ];
    let faults = rendered(&tree(&files)).unwrap_err();
    let files: std::collections::BTreeSet<_> = faults.iter().map(|f| f.file.as_str()).collect();
    assert_eq!(files.len(), 3, "{:?}", texts(&faults));
}

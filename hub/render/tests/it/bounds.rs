//! Input that is meant to hurt ends with a reason, in bounded time and memory.

use std::time::{Duration, Instant};

use render::{TreeError, limits};

use super::*;

fn refused(text: &str) -> Diagnostic {
    let begin = Instant::now();
    let faults = rendered(&tree(&[("a.yaml", text)])).unwrap_err();
    // Four seconds without optimisation on a quiet machine; without a budget, hours and gigabytes.
    assert!(begin.elapsed() < Duration::from_mins(5));
    faults.into_iter().next().unwrap()
}

#[test]
fn an_alias_bomb_is_refused_in_its_quadratic_exponential_and_long_text_forms() {
    let quadratic =
        format!("a: &a [{}]\nb: [{}]\n", vec!["1"; 8000].join(","), vec!["*a"; 8000].join(","));
    assert!(quadratic.len() < 41_000);
    let laughs: String = (1..20)
        .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(",")))
        .collect();
    let laughs = format!("a0: &a0 lol\n{laughs}");
    let small: String = (0..3000).map(|n| format!("- &s{n} 1\n")).collect();
    let long = format!(
        "x: &x {}\ns:\n{small}l: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*x"; 20_000].join(",")
    );
    for bomb in [quadratic, laughs, long] {
        let fault = refused(&bomb);
        assert_eq!(fault.reason, Reason::YamlInvalid, "{fault}");
        assert!(fault.message.contains("aliases"), "{fault}");
    }
}

#[test]
fn a_document_nested_too_deep_is_refused_on_a_small_stack() {
    let work = || {
        for open in ["[", "{a: ", "- "] {
            for depth in [limits::YAML_DEPTH_MAX + 1, 100_000] {
                let fault = refused(&open.repeat(depth));
                assert_eq!(fault.reason, Reason::YamlInvalid, "{fault}");
            }
        }
        let nest =
            |n: usize| format!("{}x: {}1{}\n", config_map("a"), "[".repeat(n), "]".repeat(n));
        let deepest = limits::YAML_DEPTH_MAX - 1;
        assert!(rendered(&tree(&[("a.yaml", nest(deepest).as_str())])).is_ok());
        assert!(refused(&nest(deepest + 1)).message.contains("nested too deep"));
        // Each anchor is within the limit, and one inside the other is not.
        let chain: String = (1..20)
            .map(|n| format!("a{n}: &a{n} {}*a{}{}\n", "[".repeat(60), n - 1, "]".repeat(60)))
            .collect();
        assert!(refused(&format!("a0: &a0 1\n{chain}")).message.contains("nested too deep"));
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn documents_objects_and_releases_have_sizes() {
    let object = |name: usize, bytes: usize| {
        format!("{}data: {{x: \"{}\"}}\n", config_map(&format!("a{name}")), "x".repeat(bytes))
    };
    let fault = refused(&object(0, limits::DOCUMENT_BYTES_MAX));
    assert!(
        fault.reason == Reason::RenderTooLarge && fault.message.contains("the document"),
        "{fault}"
    );
    let fault = refused(&object(0, limits::OBJECT_BYTES_MAX));
    assert!(fault.reason == Reason::RenderTooLarge && fault.message.contains("shop/a0"), "{fault}");
    assert!(rendered(&tree(&[("a.yaml", &object(0, limits::OBJECT_BYTES_MAX - 200))])).is_ok());
    let mut many = MemoryTree::new();
    for n in 0..11 {
        many.insert_file(&format!("apps/web/m/{n}.yaml"), object(n, 1 << 20));
    }
    assert_eq!(reasons(&rendered(&many).unwrap_err()), [Reason::RenderTooLarge]);
    let part = |from: usize, to: usize| -> String {
        (from..to).map(|n| format!("---\n{}", config_map(&format!("a{n}")))).collect()
    };
    let half = limits::OBJECTS_MAX / 2;
    let count =
        |n: usize| tree(&[("a.yaml", part(0, half).as_str()), ("b.yaml", part(half, n).as_str())]);
    let whole = rendered(&count(limits::OBJECTS_MAX)).unwrap();
    assert_eq!(whole.manifest.entries().len(), limits::OBJECTS_MAX);
    let faults = rendered(&count(limits::OBJECTS_MAX + 1)).unwrap_err();
    assert!(reasons(&faults).contains(&Reason::RenderTooLarge), "{:?}", texts(&faults));
}

#[test]
fn a_storm_of_faults_is_cut_short() {
    let text = "---\nkind: x\n".repeat(1000);
    let faults = rendered(&tree(&[("a.yaml", text.as_str())])).unwrap_err();
    assert!(faults.len() <= limits::DIAGNOSTICS_MAX + 3, "{}", faults.len());
    let fields: String = (0..1000).map(|n| format!("  f{n}: 1\n")).collect();
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\nspec:\n{fields}"
    );
    let faults = render::parse_app("apps/web/app.yaml", &text).unwrap_err();
    assert_eq!(faults.len(), limits::DIAGNOSTICS_MAX);
}

#[test]
fn an_app_yaml_of_a_megabyte_is_refused() {
    let text = format!("{}# {}\n", app_yaml("m"), "x".repeat(1 << 20));
    assert_eq!(
        reasons(&render::parse_app("apps/web/app.yaml", &text).unwrap_err()),
        [Reason::AppInvalid]
    );
}

#[test]
fn a_tree_that_fails_is_no_empty_tree() {
    struct Broken;
    impl render::Tree for Broken {
        fn list(&self, dir: &str) -> Result<Vec<render::TreeEntry>, TreeError> {
            Err(TreeError::Other { path: dir.to_owned(), why: "disk".to_owned() })
        }
        fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
            Err(TreeError::Other { path: path.to_owned(), why: "disk".to_owned() })
        }
    }
    let found = render::apps(&Broken);
    assert!(found.refused && found.apps.is_empty());
    assert_eq!(found.diagnostics[0].reason, Reason::Internal);
    let faults = rendered_for(&app("m"), &Broken, &Labels::new()).unwrap_err();
    assert_eq!(reasons(&faults), [Reason::Internal]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~\n\t\u{0}é{}\\[\\]:&*#|>%-]{0,300}") {
        render::parse_app("apps/web/app.yaml", &text).ok();
        rendered(&tree(&[("a.yaml", text.as_str())])).ok();
    }
}

//! The real tools behind the walls.

use render::{Job, Tool, ToolError, Tools};

use super::*;

fn job(tool: Tool, arguments: &[&str], files: &[(&str, &str)]) -> Job {
    let mut job = Job::new(tool, arguments.iter().map(|a| (*a).to_owned()).collect());
    job.files =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect();
    job
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n";

fn kustomize(files: &[(&str, &str)]) -> Job {
    job(Tool::Kustomize, &["build", "./app"], files)
}

fn helm(template: &str) -> Job {
    let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
    job(
        Tool::Helm,
        &["template", "web", "./chart"],
        &[("chart/Chart.yaml", chart), ("chart/templates/a.yaml", template)],
    )
}

#[test]
fn both_tools_answer_and_tell_their_versions() {
    let tools = renderers();
    assert_eq!(tools.version(Tool::Kustomize).unwrap(), "v5.8.2");
    assert_eq!(tools.version(Tool::Helm).unwrap(), "v4.3.1");
    let files =
        [("app/kustomization.yaml", "namePrefix: x-\nresources: [a.yaml]\n"), ("app/a.yaml", MAP)];
    let out = tools.run(&kustomize(&files)).unwrap();
    assert!(String::from_utf8_lossy(&out).contains("name: x-a"));
    let out = tools.run(&helm(MAP)).unwrap();
    assert!(String::from_utf8_lossy(&out).contains("# Source: web/templates/a.yaml"));
}

#[test]
fn equal_input_is_rendered_once_and_faults_are_remembered() {
    let tools = renderers();
    for _ in 0..3 {
        tools.run(&helm(MAP)).unwrap();
        tools.run(&helm("{{ fail \"no\" }}")).unwrap_err();
    }
    assert_eq!(tools.runs(), 2);
    tools.run(&helm(&MAP.replace("'1'", "'2'"))).unwrap();
    assert_eq!(tools.runs(), 3, "another input is another render");
}

#[test]
fn what_differs_from_run_to_run_is_refused() {
    let tools = renderers();
    let mut job = helm(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: {{ randAlphaNum 9 }}}\n",
    );
    tools.run(&job).unwrap();
    job.twice = true;
    let error = tools.run(&job).unwrap_err();
    assert!(
        matches!(&error, ToolError::Differs { line } if line.starts_with("data: {x:")),
        "{error:?}"
    );
}

#[test]
fn a_missing_tool_is_named_with_where_it_was_looked_for() {
    let places = Places { helm: Some("/nowhere/helm".into()), ..Places::default() };
    let tools = Renderers::with(places, Some(Sandbox::new(launcher())));
    let error = tools.run(&helm(MAP)).unwrap_err().to_string();
    assert_eq!(
        error,
        "`helm` is not installed: it was looked for `/nowhere/helm`, which was named"
    );
}

#[test]
fn without_its_sandbox_nothing_is_run() {
    let places = Places { launcher: Some("/nowhere/launcher".into()), ..Places::default() };
    let places = Places { helm: Some("/bin/true".into()), ..places };
    let tools = Renderers::new(places);
    assert!(matches!(tools.run(&helm(MAP)), Err(ToolError::Sandbox { .. })));
    let weakness = tools.weakness().unwrap();
    assert_eq!(weakness.reason(), Some(model::Reason::SandboxFailed));
    assert_eq!(renderers().weakness(), None);
}

#[test]
fn paths_that_lead_out_of_the_room_are_refused() {
    let tools = renderers();
    for path in ["../x", "/etc/x", "a/../../x", "./x"] {
        let error = tools.run(&job(Tool::Kustomize, &["build", "."], &[(path, "x")])).unwrap_err();
        assert!(matches!(error, ToolError::Sandbox { .. }), "{path}: {error:?}");
    }
}

#[test]
fn a_remote_base_is_not_reached_even_when_the_tool_asks_for_it() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base.yaml", server.local_addr().unwrap());
    let text = format!("resources: [{url}]\n");
    let error = renderers().run(&kustomize(&[("app/kustomization.yaml", &text)])).unwrap_err();
    assert!(matches!(error, ToolError::Failed { .. }), "{error:?}");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "somebody knocked");
}

#[test]
fn templates_that_never_end_or_hoard_are_stopped() {
    let tools = renderers();
    let hoard = "{{- $x := list }}{{- range until 100000 }}{{- $x = append $x (repeat 100000 \"x\") }}{{- end }}a: {{ len $x }}";
    let ended = tools.run(&helm(hoard)).unwrap_err();
    assert!(matches!(ended, ToolError::TooMuch { .. }), "{ended:?}");
    let endless = "{{- define \"x\" }}{{ include \"x\" . }}{{- end }}{{ include \"x\" . }}";
    let ended = tools.run(&helm(endless)).unwrap_err();
    assert!(matches!(ended, ToolError::Failed { .. } | ToolError::TooMuch { .. }), "{ended:?}");
    let output = "{{- range until 100000 }}{{ repeat 10000 \"x\" }}\n{{- end }}";
    let ended = tools.run(&helm(output)).unwrap_err();
    assert!(matches!(ended, ToolError::TooMuch { .. } | ToolError::Failed { .. }), "{ended:?}");
}

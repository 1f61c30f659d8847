//! What rendering costs: plain YAML, Kustomize and Helm beside the bare tools, and a preview of a large fleet.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use model::{ClusterName, ClusterUid, Facts, Labels};
use render::{FleetCluster, Kit, MemoryTree};
use sandbox::{Places, Renderers};

use super::{
    Options,
    table::{Row, median, ms},
};
use crate::stage::{Error, Repository, programs};

/// Objects of the App of plain YAML.
const PLAIN: usize = 1_000;
/// Objects of the kustomization and of the chart.
const TOOLED: usize = 100;
/// Clusters and Apps of the fleet that is previewed.
const CLUSTERS: usize = 1_000;
const APPS: usize = 50;

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("measure rendering: {error}"))
}

fn app(name: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  \
         source: {{path: \"m/${{labels.env}}\"}}\n  targets: {{select: \"true\"}}\n"
    )
}

fn object(number: usize, value: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{number}, namespace: shop, labels: {{app: web}}}}\n\
         data: {{value: \"{value}\"}}\n"
    )
}

fn cluster(number: usize) -> Result<FleetCluster, Error> {
    let uid = ClusterUid::parse(&format!("00000000-0000-4000-8000-{number:012}")).map_err(fault)?;
    let name = ClusterName::parse(&format!("k{number}")).map_err(fault)?;
    let labels = Labels::from([("env".to_owned(), ["dev", "prod"][number % 2].to_owned())]);
    Ok(FleetCluster { uid, name, labels, facts: Facts::Null })
}

/// Plain YAML, both tools, a preview.
pub(super) fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let samples = options.samples(20, 3);
    let mut rows = vec![plain(samples)?];
    let bin = std::env::var_os("KUBEBUILDER_ASSETS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("bin"), PathBuf::from);
    let program = |name: &str| Some(bin.join(name)).filter(|path| path.is_file());
    let rooms = tempfile::tempdir().map_err(fault)?;
    let tools = Renderers::new(Places {
        kustomize: program("kustomize"),
        helm: program("helm"),
        launcher: None,
        rooms: Some(rooms.path().to_owned()),
    });
    for tool in ["kustomize", "helm"] {
        let program = program(tool)
            .ok_or_else(|| fault(format!("`{tool}` is not in `{}`", bin.display())))?;
        rows.extend(beside(tool, &program, &tools, samples)?);
    }
    rows.push(preview(options.samples(5, 1))?);
    rows.push(checkout(options.samples(5, 1), &bin)?);
    Ok(rows)
}

/// Renders for one cluster; milliseconds.
fn timed(kit: &Kit<'_>, tree: &MemoryTree) -> Result<f64, Error> {
    let cluster = cluster(0)?;
    let begin = Instant::now();
    let app = render::apps(tree).apps.into_values().next().ok_or_else(|| fault("no App"))?;
    let told = |faults: Vec<render::Diagnostic>| {
        fault(faults.first().map_or_else(String::new, ToString::to_string))
    };
    let done = render::render(kit, &app.map_err(told)?, tree, (&cluster).into()).map_err(told)?;
    let spent = ms(begin.elapsed());
    drop(done);
    Ok(spent)
}

fn plain(samples: usize) -> Result<Row, Error> {
    let mut tree = MemoryTree::new().file("apps/web/app.yaml", app("web"));
    for number in 0..PLAIN {
        tree.insert_file(&format!("apps/web/m/dev/{number}.yaml"), object(number, 1));
    }
    let times = (0..samples).map(|_| timed(&Kit::plain(), &tree));
    let times = times.collect::<Result<Vec<_>, _>>()?;
    let how = format!("{PLAIN} files of one object, from files in memory to digests");
    Ok(Row::spread("render, plain YAML", &times, "ms", how))
}

/// The files of a kustomization or chart; each sample has content of its own, so that no cache answers.
fn files(tool: &str, sample: usize) -> Vec<(String, String)> {
    let objects =
        (0..TOOLED).map(|number| object(number, sample) + "---\n").collect::<Vec<_>>().concat();
    if tool == "helm" {
        return vec![
            ("Chart.yaml".to_owned(), "apiVersion: v2\nname: web\nversion: 0.1.0\n".to_owned()),
            ("templates/all.yaml".to_owned(), objects),
        ];
    }
    let kustomization = "resources: [all.yaml]\nnamePrefix: a-\n".to_owned();
    vec![("kustomization.yaml".to_owned(), kustomization), ("all.yaml".to_owned(), objects)]
}

/// The tool by hand and by us, in turn, on the same files.
fn beside(
    tool: &str,
    program: &Path,
    tools: &Renderers,
    samples: usize,
) -> Result<Vec<Row>, Error> {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let kit = Kit { tools, ..Kit::plain() };
    // The first run finds the tool and asks for its version.
    for sample in 0..=samples {
        let folder = tempfile::tempdir().map_err(fault)?;
        let mut tree = MemoryTree::new().file("apps/web/app.yaml", app("web"));
        for (path, text) in files(tool, sample) {
            let place = folder.path().join(&path);
            let parent = place.parent().ok_or_else(|| fault("no folder"))?;
            fs::create_dir_all(parent).and_then(|()| fs::write(&place, &text)).map_err(fault)?;
            tree.insert_file(&format!("apps/web/m/dev/{path}"), text);
        }
        let arguments: &[&str] =
            if tool == "helm" { &["template", "web", "."] } else { &["build", "."] };
        let begin = Instant::now();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path()).stdout(Stdio::piped());
        let output = command.output().map_err(fault)?;
        let spent = ms(begin.elapsed());
        if !output.status.success() {
            return Err(fault(String::from_utf8_lossy(&output.stderr)));
        }
        let own = timed(&kit, &tree)?;
        if sample > 0 {
            bare.push(spent);
            ours.push(own);
        }
    }
    let bound = median(&bare).mul_add(1.1, 20.0);
    let how = format!(
        "{TOOLED} objects, in the sandbox; 1.1 times the bare tool and 20 ms are {bound:.0}"
    );
    let by_hand = format!("{TOOLED} objects, by hand, in turn with the row below");
    Ok(vec![
        Row::spread(format!("{tool}, bare"), &bare, "ms", by_hand),
        Row::spread(format!("render, {tool}"), &ours, "ms", how),
    ])
}

/// One changed file on a large fleet.
fn preview(samples: usize) -> Result<Row, Error> {
    let mut base = MemoryTree::new();
    for app_number in 0..APPS {
        base.insert_file(
            &format!("apps/app-{app_number}/app.yaml"),
            app(&format!("app-{app_number}")),
        );
        for (env, file) in
            ["dev", "prod"].into_iter().flat_map(|env| (0..10).map(move |n| (env, n)))
        {
            let path = format!("apps/app-{app_number}/m/{env}/{file}.yaml");
            base.insert_file(&path, object(app_number * 10 + file, 1));
        }
    }
    let head = base.clone().file("apps/app-7/m/prod/3.yaml", object(73, 2));
    let fleet = (0..CLUSTERS).map(cluster).collect::<Result<Vec<_>, _>>()?;
    let mut times = Vec::new();
    for _ in 0..samples {
        let begin = Instant::now();
        let found = render::preview(&Kit::plain(), &base, &head, &fleet, None);
        times.push(ms(begin.elapsed()));
        if found.apps.len() != 1 {
            return Err(fault(format!("{} Apps change, not one", found.apps.len())));
        }
    }
    let how = format!("{CLUSTERS} clusters, {APPS} Apps of 20 files, one file changed");
    Ok(Row::spread("preview", &times, "ms", how))
}

/// The program itself, on a Git repository: a fifth of the Apps is for Kustomize and a fifth for Helm.
fn checkout(samples: usize, bin: &Path) -> Result<Row, Error> {
    let folder = tempfile::tempdir().map_err(fault)?;
    let repository = Repository::init(&folder.path().join("fleet"))?;
    for number in 0..APPS {
        let name = format!("app-{number}");
        repository.write(&format!("apps/{name}/app.yaml"), &app(&name))?;
        for env in ["dev", "prod"] {
            let place = format!("apps/{name}/m/{env}");
            let objects = (0..10).map(|n| object(number * 10 + n, 1) + "---\n").collect::<String>();
            match number % 5 {
                0 => {
                    let text = "resources: [all.yaml]\nnamePrefix: a-\n";
                    repository.write(&format!("{place}/kustomization.yaml"), text)?;
                    repository.write(&format!("{place}/all.yaml"), &objects)?;
                }
                1 => {
                    let text = format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
                    repository.write(&format!("{place}/Chart.yaml"), &text)?;
                    repository.write(&format!("{place}/templates/all.yaml"), &objects)?;
                }
                _ => repository.write(&format!("{place}/all.yaml"), &objects)?,
            }
        }
    }
    let base = repository.commit("before")?;
    let fleet = folder.path().join("fleet.json");
    let items = (0..CLUSTERS).map(|n| {
        let env = ["dev", "prod"][n % 2];
        serde_json::json!({ "name": format!("k{n}"), "labels": { "env": env }, "facts": {} })
    });
    let document = serde_json::json!({ "items": items.collect::<Vec<_>>() }).to_string();
    fs::write(&fleet, document).map_err(fault)?;
    let tidegate = programs()?.tidegate;
    let mut times = Vec::new();
    for sample in 0..samples {
        // One of each form changes.
        for number in 5..8 {
            let file = ["all.yaml", "templates/all.yaml", "all.yaml"][number - 5];
            let text = object(number * 10, sample + 2);
            repository.write(&format!("apps/app-{number}/m/prod/{file}"), &text)?;
        }
        let head = repository.commit("after")?;
        let begin = Instant::now();
        let done = Command::new(&tidegate)
            .args(["preview", "--base", &base, "--head", &head, "-o", "json", "--fleet"])
            .arg(&fleet)
            .arg("--kustomize")
            .arg(bin.join("kustomize"))
            .arg("--helm")
            .arg(bin.join("helm"))
            .arg(repository.path())
            .output()
            .map_err(fault)?;
        times.push(ms(begin.elapsed()));
        let said: serde_json::Value = serde_json::from_slice(&done.stdout).map_err(fault)?;
        let changed = said["preview"]["apps"].as_array().map_or(0, Vec::len);
        if changed != 3 {
            return Err(fault(format!("{changed} Apps change, not three")));
        }
    }
    let how = format!(
        "`tidegate preview` of a commit: {CLUSTERS} clusters, {APPS} Apps, 20 of them for a tool, three changed; 3,000 is the bound"
    );
    Ok(Row::spread("preview, from a checkout", &times, "ms", how))
}

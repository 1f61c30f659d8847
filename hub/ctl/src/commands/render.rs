//! `tidegate render PATH`: the manifests exactly as a cluster will get them; needs no hub.

use std::{collections::BTreeMap, path::PathBuf};

use model::{AppName, api::List};
use render::{App, FleetCluster, Rendered, Target, Tree};
use serde::Serialize;

use super::offline::{self, Bench};
use crate::{
    checkout,
    connect::Hub,
    error::{Error, Exit},
    fleet,
    output::{Format, Output},
};

/// What to render.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Root of the fleet repository, or `app/NAME` for one App of the repository here
    #[arg(default_value = ".")]
    path: PathBuf,
    /// One App; default: all
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// One cluster, of the fleet or described by `--label`; default: each variant once
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// A label of the cluster, for one that is in no fleet
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A revision instead of the files as they are
    #[arg(long, value_name = "REVISION")]
    at: Option<String>,
    #[command(flatten)]
    offline: offline::Args,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as `key=value`")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// One App as some clusters get it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    app: AppName,
    /// Who gets it; empty when no cluster was asked about.
    clusters: Vec<String>,
    digest: String,
    objects: Vec<serde_json::Value>,
}

/// Runs it: 0 when everything could be rendered.
pub(crate) fn run(args: &Args, hub: Option<&Hub>, output: Output) -> Result<Exit, Error> {
    let (root, named) = root(args)?;
    let tree = match &args.at {
        Some(revision) => checkout::revision(&root, revision)?,
        None => checkout::working(&root)?,
    };
    let bench = args.offline.bench()?;
    let apps = apps(&*tree, named.as_ref())?;
    let clusters = clusters(args, hub)?;
    let mut items = Vec::new();
    for app in &apps {
        items.extend(one(&bench, &*tree, app, args, clusters.as_deref(), output)?);
    }
    match output.format {
        Format::Json => Output::json(&List::new(items))?,
        Format::Name => {
            let keys = items.iter().flat_map(|item| &item.objects).map(name);
            Output::data(&keys.collect::<Vec<_>>().join("\n"))?;
        }
        Format::Table => {
            Output::data(&stream(&items))?;
        }
    }
    Ok(Exit::Fine)
}

/// The repository and the App that was named.
fn root(args: &Args) -> Result<(PathBuf, Option<AppName>), Error> {
    let named = args.app.as_deref().map(offline::app_name).transpose()?;
    let text = args.path.to_string_lossy();
    if text.starts_with("app/") && !args.path.exists() {
        return Ok((PathBuf::from("."), Some(offline::app_name(&text)?)));
    }
    Ok((args.path.clone(), named))
}

fn apps(tree: &dyn Tree, named: Option<&AppName>) -> Result<Vec<App>, Error> {
    if let Some(name) = named {
        return Ok(vec![offline::app(tree, name)?]);
    }
    let found = render::apps(tree);
    if found.refused {
        return Err(offline::refused(&found.diagnostics));
    }
    let mut apps = Vec::new();
    for app in found.apps.into_values() {
        apps.push(app.map_err(|faults| offline::refused(&faults))?);
    }
    Ok(apps)
}

/// The clusters to render for; `None` when nothing was said about clusters.
fn clusters(args: &Args, hub: Option<&Hub>) -> Result<Option<Vec<FleetCluster>>, Error> {
    if !args.label.is_empty() {
        let name = args.cluster.as_deref().unwrap_or("described");
        return fleet::described(name, &args.label).map(|one| Some(vec![one]));
    }
    let fleet = args.offline.clusters(hub)?;
    let Some(name) = &args.cluster else { return Ok(fleet) };
    let Some(fleet) = fleet else { return fleet::described(name, &[]).map(|one| Some(vec![one])) };
    if let Some(cluster) = fleet.iter().find(|c| c.name.as_str() == name) {
        return Ok(Some(vec![cluster.clone()]));
    }
    let near = super::did_you_mean(name, fleet.iter().map(|c| c.name.as_str()));
    let hint = near.map_or_else(
        || "is it in the fleet file?".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("there is no cluster `{name}` in the fleet");
    Err(Error::new(Exit::NotFound, message).hint(hint))
}

fn one(
    bench: &Bench,
    tree: &dyn Tree,
    app: &App,
    args: &Args,
    clusters: Option<&[FleetCluster]>,
    output: Output,
) -> Result<Vec<Item>, Error> {
    let nowhere = fleet::described("none", &[])?;
    // A cluster that was named is rendered for, selected or not: the answer is what it would get.
    let asked = args.cluster.is_some() || !args.label.is_empty();
    let chosen: Vec<&FleetCluster> = match clusters {
        Some(clusters) if asked => clusters.iter().collect(),
        Some(clusters) => clusters
            .iter()
            .filter(|c| app.targets.selects(&c.labels, &c.facts).unwrap_or(false))
            .collect(),
        None if app.is_uniform() => vec![&nowhere],
        None => {
            let message = format!("App `{}` differs from cluster to cluster", app.name);
            return Err(Error::new(Exit::Usage, message).hint(
                "say for which one: `--fleet FILE`, `--cluster NAME`, or `--label key=value`",
            ));
        }
    };
    if asked
        && let Some(cluster) = chosen.first()
        && !app.targets.selects(&cluster.labels, &cluster.facts).unwrap_or(false)
    {
        output.say(&format!("note: App `{}` does not select `{}`", app.name, cluster.name));
    }
    let variants = render::render_all(
        &bench.kit(),
        app,
        tree,
        chosen.iter().map(|cluster| Target::from(*cluster)),
    );
    if !variants.faults.is_empty() {
        return Err(offline::refused(&variants.faults));
    }
    for note in variants.rendered.values().flat_map(|rendered| &rendered.notes) {
        output.say(&note.to_string());
    }
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for cluster in chosen {
        if let Some(digest) = variants.by_cluster.get(&cluster.uid) {
            let names = groups.entry(*digest).or_default();
            if clusters.is_some() {
                names.push(cluster.name.to_string());
            }
        }
    }
    let item = |(digest, clusters): (model::Digest, Vec<String>)| {
        let rendered = variants.rendered.get(&digest)?;
        let objects = objects(rendered);
        Some(Item { app: app.name.clone(), clusters, digest: digest.to_string(), objects })
    };
    Ok(groups.into_iter().filter_map(item).collect())
}

fn objects(rendered: &Rendered) -> Vec<serde_json::Value> {
    let bytes = |entry: &model::ObjectEntry| rendered.objects.get(&entry.digest);
    let entries = rendered.manifest.entries().iter();
    // What is asked of the agents is no object of a cluster.
    let bytes = entries.filter(|entry| !model::Choices::is_key(&entry.key)).filter_map(bytes);
    bytes.filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect()
}

fn name(object: &serde_json::Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(|v| v.as_str()).unwrap_or_default();
    let namespace = match text("/metadata/namespace") {
        "" => String::new(),
        namespace => format!("{namespace}/"),
    };
    format!("{} {namespace}{}", text("/kind"), text("/metadata/name"))
}

/// One stream of YAML; comments say whose objects follow.
fn stream(items: &[Item]) -> String {
    let mut out = String::new();
    for item in items {
        let who = match item.clusters.as_slice() {
            [] => String::new(),
            [one] => format!(", cluster {one}"),
            [first, ..] => format!(", {} clusters such as {first}", item.clusters.len()),
        };
        out.push_str(&format!("# App {}{who}: {}\n", item.app, item.digest));
        for object in &item.objects {
            out.push_str("---\n");
            out.push_str(&render::yaml_text(object));
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    out
}

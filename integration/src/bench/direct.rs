//! From a commit to a real API server, beside a client that applies the same objects itself.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Options, app,
    desk::Desk,
    table::{Row, median, ms},
};
use crate::{
    kubernetes::{Options as Real, Pool},
    stage::{Error, Stage},
};

/// Objects of the App.
const OBJECTS: usize = 10;
/// Requests of the direct client at one time; beyond that only latency grows.
const IN_FLIGHT: usize = 8;
/// Namespace that the direct client uses.
const BESIDE: &str = "beside";
/// Name of the cluster.
const CLUSTER: &str = "real";
/// Longest wait for the objects of one sample.
const ARRIVAL_MAX: Duration = Duration::from_mins(1);

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("real API server: {error}"))
}

/// Both ways in turn, on the same API server, seen by the same kind of watch.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let pool = Pool::start(1, Real::default()).await?;
    let client = pool.cluster(0).client().await?;
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    stage.add_cluster(CLUSTER, &[("bench", "yes")]).await?;
    stage.start_agent(CLUSTER, &pool.cluster(0).kubeconfig())?;
    let desk = Desk::of(&stage)?;
    desk.connected(1).await?;
    app::declare(&stage, 1)?;
    app::objects(&stage, OBJECTS, |_| "first".to_owned())?;
    let (_, first) = app::commit(&stage, "first").await?;
    app::follow(&stage).await?;
    let space = json!({"metadata": {"name": BESIDE}});
    let space: Namespace = serde_json::from_value(space).map_err(fault)?;
    Api::all(client.clone()).create(&PostParams::default(), &space).await.map_err(fault)?;
    apply(&client, "first").await?;
    desk.completed(&first).await?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..options.samples(30, 10) {
        let value = format!("change {n}");
        let since = version(&client, app::NAMESPACE).await?;
        app::objects(&stage, OBJECTS, |_| value.clone())?;
        let (began, commit) = app::commit(&stage, "change all").await?;
        ours.push(ms(arrived(&client, app::NAMESPACE, &since, &value).await? - began));
        desk.completed(&commit).await?;

        let since = version(&client, BESIDE).await?;
        let began = Instant::now();
        let (done, seen) =
            tokio::join!(apply(&client, &value), arrived(&client, BESIDE, &since, &value));
        done?;
        theirs.push(ms(seen? - began));
    }
    let how = "kube-apiserver, one cluster; commit done -> a watch has seen the last object";
    let beside =
        format!("same server, same watch; server-side apply, {IN_FLIGHT} at a time, no hub");
    let ratio = median(&ours) / median(&theirs).max(f64::EPSILON);
    Ok(vec![
        Row::spread(format!("commit -> {OBJECTS} ConfigMaps applied"), &ours, "ms", how),
        Row::spread(format!("direct apply of the same {OBJECTS}"), &theirs, "ms", beside),
        Row::value(
            "ratio of the medians",
            format!("{ratio:.1}"),
            "",
            "commit / direct; the look at Git included",
        ),
    ])
}

/// Where a watch is to begin.
async fn version(client: &Client, namespace: &str) -> Result<String, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let list = api.list(&ListParams::default().limit(1)).await.map_err(fault)?;
    list.metadata.resource_version.ok_or_else(|| fault("a list without a version"))
}

/// Waits until all objects hold `value`; when the last one did.
async fn arrived(
    client: &Client,
    namespace: &str,
    since: &str,
    value: &str,
) -> Result<Instant, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let events = api.watch(&WatchParams::default(), since).await.map_err(fault)?;
    let mut events = std::pin::pin!(events);
    let mut seen = BTreeSet::new();
    let all = async {
        while let Some(event) = events.try_next().await.map_err(fault)? {
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                continue;
            };
            let holds =
                object.data.as_ref().and_then(|d| d.get("value")).is_some_and(|v| v == value);
            if holds && seen.insert(object.metadata.name) && seen.len() == OBJECTS {
                return Ok(Instant::now());
            }
        }
        Err(fault("the watch ended"))
    };
    tokio::time::timeout(ARRIVAL_MAX, all).await.map_err(|_| fault("objects did not arrive"))?
}

/// The same objects, by server-side apply.
async fn apply(client: &Client, value: &str) -> Result<(), Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), BESIDE);
    let how = PatchParams::apply("bench");
    stream::iter(0..OBJECTS)
        .map(|n| {
            let (api, how, name) = (&api, &how, format!("map-{n}"));
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name}, "data": {"value": value},
            });
            async move { api.patch(&name, how, &Patch::Apply(&object)).await.map(drop) }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await
        .map_err(fault)
}

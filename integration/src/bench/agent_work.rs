//! What an agent does on a real API server: first syncs beside a client that applies the same objects itself, a release
//! that changes no object, and drift.

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
    process::cpu,
    table::{Row, ms},
};
use crate::{
    kubernetes::{Options as Real, Pool},
    stage::{Error, Stage},
};

/// Sizes of first syncs.
const SIZES: [usize; 3] = [1, 100, 1000];
/// Numbers of requests at a time that the direct client tries; the quickest counts.
const AT_A_TIME: [usize; 3] = [8, 16, 32];
/// Writes a second that the agent may make here; the default, 20, is a choice and not a speed.
const WRITES_PER_SECOND: &str = "100000";
/// Name of the cluster.
const CLUSTER: &str = "work";
/// Longest wait for the objects of one sample.
const ARRIVAL_MAX: Duration = Duration::from_mins(3);
/// Time until an agent that has nothing to do does nothing.
const SETTLE: Duration = Duration::from_secs(5);

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("real API server: {error}"))
}

/// All of it, on one API server.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let pool = Pool::start(1, Real::default()).await?;
    let client = pool.cluster(0).client().await?;
    let mut stage = Stage::new()?;
    stage.agent_options = vec!["--writes-per-second".to_owned(), WRITES_PER_SECOND.to_owned()];
    stage.start_hub().await?;
    stage.add_cluster(CLUSTER, &[("bench", "yes")]).await?;
    stage.start_agent(CLUSTER, &pool.cluster(0).kubeconfig())?;
    let desk = Desk::of(&stage)?;
    desk.connected(1).await?;
    app::follow(&stage).await?;
    let mut rows = Vec::new();
    let mut largest = String::new();
    for size in SIZES.into_iter().filter(|size| *size <= options.samples(1000, 100)) {
        let name = format!("first-{size}");
        rows.extend(first(&stage, &desk, &client, &name, size).await?);
        largest = name;
    }
    tokio::time::sleep(SETTLE).await;
    rows.extend(unchanged(options, &stage, &desk, &client, &largest).await?);
    tokio::time::sleep(SETTLE).await;
    rows.extend(drift(options, &client, &largest).await?);
    Ok(rows)
}

/// The first sync of one App, and the same objects applied directly in the quickest way.
async fn first(
    stage: &Stage,
    desk: &Desk,
    client: &Client,
    name: &str,
    size: usize,
) -> Result<Vec<Row>, Error> {
    app::declare_app(stage, name, 1, "")?;
    app::objects_of(stage, (name, name), size, |n| format!("value {n}"))?;
    let from = version(client).await?;
    let (_, commit) = app::commit(stage, name).await?;
    let ours = ms(arrived(client, name, size, &from).await?);
    desk.completed(&commit).await?;
    let mut direct = Vec::new();
    for at_a_time in AT_A_TIME {
        let beside = format!("{name}-beside-{at_a_time}");
        let from = version(client).await?;
        let (done, took) = tokio::join!(
            apply(client, &beside, size, at_a_time),
            arrived(client, &beside, size, &from)
        );
        done?;
        direct.push((ms(took?), at_a_time));
    }
    let quickest = direct.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
    let (theirs, at_a_time) = quickest.unwrap_or((f64::NAN, 0));
    let how = "kube-apiserver; from its Namespace to its last ConfigMap, as a watch sees them";
    let beside = format!("same server, same watch; {at_a_time} at a time is quickest");
    Ok(vec![
        Row::value(format!("first sync, {size} objects"), format!("{ours:.0}"), "ms", how),
        Row::value(format!("direct apply, {size} objects"), format!("{theirs:.0}"), "ms", beside),
        Row::value(
            format!("ratio, {size} objects"),
            format!("{:.2}", ours / theirs),
            "",
            "first sync / direct apply",
        ),
    ])
}

/// Releases that differ in what the agent is asked for and in no object.
async fn unchanged(
    options: &Options,
    stage: &Stage,
    desk: &Desk,
    client: &Client,
    name: &str,
) -> Result<Vec<Row>, Error> {
    let releases = options.samples(20, 4);
    let before = requests(client).await?;
    let (began, idle) = (Instant::now(), cpu(stage.agent_pid(CLUSTER))?);
    tokio::time::sleep(SETTLE).await;
    let idle = cpu(stage.agent_pid(CLUSTER))?.saturating_sub(idle);
    let idle = idle.div_f64(began.elapsed().as_secs_f64());
    let (began, used) = (Instant::now(), cpu(stage.agent_pid(CLUSTER))?);
    for n in 0..releases {
        let more = format!("  apply: {{recreate: {}}}\n", n % 2 == 0);
        app::declare_app(stage, name, 1, &more)?;
        let (_, commit) = app::commit(stage, &format!("unchanged {n}")).await?;
        desk.completed(&commit).await?;
    }
    let used = cpu(stage.agent_pid(CLUSTER))?.saturating_sub(used);
    let used = used.saturating_sub(idle.mul_f64(began.elapsed().as_secs_f64()));
    let asked = requests(client).await?.saturating_sub(before);
    let each = ms(used) / f64::from(u32::try_from(releases).unwrap_or(u32::MAX));
    Ok(vec![
        Row::value(
            format!("CPU of a release that changes nothing, {name}"),
            format!("{each:.1}"),
            "ms",
            format!("{releases} releases; threads of the agent, idle time taken off"),
        ),
        Row::value(
            format!("requests for objects of {releases} such releases"),
            asked,
            "",
            "as the API server counts requests for ConfigMaps and Namespaces, watches left out",
        ),
    ])
}

/// Somebody changes one object of many.
async fn drift(options: &Options, client: &Client, name: &str) -> Result<Vec<Row>, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), name);
    let count = api.list(&ListParams::default()).await.map_err(fault)?.items.len();
    let mut took = Vec::new();
    for n in 0..options.samples(200, 20) {
        // Far apart, and never the same one soon: a fight would be slowed down.
        let at = (n * 37) % count.max(1);
        let map = format!("map-{at}");
        let edit = json!({"data": {"value": "edited"}});
        let how = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        let began = Instant::now();
        let edited = api.patch(&map, &how, &Patch::Merge(&edit)).await.map_err(fault)?;
        let since = edited.metadata.resource_version.unwrap_or_default();
        let one = WatchParams::default().fields(&format!("metadata.name={map}"));
        let mut events = std::pin::pin!(api.watch(&one, &since).await.map_err(fault)?);
        let want = format!("value {at}");
        let back = async {
            while let Some(event) = events.try_next().await.map_err(fault)? {
                if let WatchEvent::Modified(object) = event
                    && object.data.as_ref().and_then(|data| data.get("value")) == Some(&want)
                {
                    return Ok(());
                }
            }
            Err(fault("the watch ended"))
        };
        tokio::time::timeout(ARRIVAL_MAX, back).await.map_err(|_| fault("never corrected"))??;
        took.push(ms(began.elapsed()));
    }
    took.sort_by(f64::total_cmp);
    let part = |percent: usize| {
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied()
    };
    let value = |percent| format!("{:.0}", part(percent).unwrap_or(f64::NAN));
    let how = format!(
        "{} edits of {count} ConfigMaps, one after the other, until a watch sees the old value",
        took.len()
    );
    Ok(vec![
        Row::value("drift corrected, p50", value(50), "ms", how.clone()),
        Row::value("drift corrected, p99", value(99), "ms", how),
    ])
}

/// Where a watch is to begin.
async fn version(client: &Client) -> Result<String, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let list = api.list(&ListParams::default().limit(1)).await.map_err(fault)?;
    list.metadata.resource_version.ok_or_else(|| fault("a list without a version"))
}

/// From the moment a watch sees the namespace until it has seen all objects in it.
async fn arrived(
    client: &Client,
    namespace: &str,
    count: usize,
    since: &str,
) -> Result<Duration, Error> {
    let spaces: Api<Namespace> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let one = WatchParams::default().fields(&format!("metadata.name={namespace}"));
    let mut spaces = std::pin::pin!(spaces.watch(&one, since).await.map_err(fault)?);
    let mut maps = std::pin::pin!(maps.watch(&WatchParams::default(), since).await.map_err(fault)?);
    let all = async {
        while let Some(event) = spaces.try_next().await.map_err(fault)? {
            if matches!(event, WatchEvent::Added(_)) {
                break;
            }
        }
        let began = Instant::now();
        let mut seen = BTreeSet::new();
        while let Some(event) = maps.try_next().await.map_err(fault)? {
            if let WatchEvent::Added(object) = event
                && object.data.is_some_and(|data| data.contains_key("value"))
                && seen.insert(object.metadata.name)
                && seen.len() == count
            {
                return Ok(began.elapsed());
            }
        }
        Err(fault("the watch ended"))
    };
    tokio::time::timeout(ARRIVAL_MAX, all).await.map_err(|_| fault("objects did not arrive"))?
}

/// The same objects, by server-side apply.
async fn apply(
    client: &Client,
    namespace: &str,
    count: usize,
    at_a_time: usize,
) -> Result<(), Error> {
    let space = json!({"metadata": {"name": namespace}});
    let space: Namespace = serde_json::from_value(space).map_err(fault)?;
    Api::all(client.clone()).create(&PostParams::default(), &space).await.map_err(fault)?;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let how = PatchParams::apply("bench");
    stream::iter(0..count)
        .map(|n| {
            let (api, how, name) = (&api, &how, format!("map-{n}"));
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name}, "data": {"value": format!("value {n}")},
            });
            async move { api.patch(&name, how, &Patch::Apply(&object)).await.map(drop) }
        })
        .buffer_unordered(at_a_time)
        .try_collect::<()>()
        .await
        .map_err(fault)
}

/// Requests for ConfigMaps and Namespaces that the API server has answered, watches left out.
async fn requests(client: &Client) -> Result<u64, Error> {
    let ask = http::Request::get("/metrics").body(Vec::new()).map_err(fault)?;
    let text = client.request_text(ask).await.map_err(fault)?;
    let counts = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && [r#"resource="configmaps""#, r#"resource="namespaces""#]
                .iter()
                .any(|r| line.contains(r))
            && !line.contains(r#"verb="WATCH""#)
    };
    let number = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    let sum: f64 = text.lines().filter(counts).filter_map(number).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    Ok(sum as u64)
}

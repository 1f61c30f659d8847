//! What an agent costs its cluster: memory, processor time, and requests while nothing happens.

use std::time::Duration;

use simcluster::{Cluster, Options as Simulated, Server};

use super::{
    Options, app,
    desk::Desk,
    process::{cpu, resident},
    table::Row,
};
use crate::stage::{Error, Stage};

/// Time after the last work until memory and requests are those of an idle agent: a release stays in memory for 30 s
/// after its last use.
const SETTLE: Duration = Duration::from_secs(40);
/// Name of the cluster.
const CLUSTER: &str = "idle";
/// The period that requests are given for.
const PERIOD: Duration = Duration::from_hours(1);
/// Objects of one App: the most that the hub accepts, with its namespace.
const PER_APP: usize = 4_999;
/// Writes a second; the default, 20, would make the largest set take ten minutes.
const WRITES_PER_SECOND: &str = "2000";

/// One real agent on a pretended API server: without Apps, with more and more objects, and left alone.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let cluster = Cluster::new(Simulated { name: CLUSTER.to_owned(), ..Simulated::default() });
    let server = Server::start(vec![cluster.clone()]).await;
    let server = server.map_err(|e| Error::Unexpected(format!("start a cluster: {e}")))?;
    let mut stage = Stage::new()?;
    stage.agent_options = vec!["--writes-per-second".to_owned(), WRITES_PER_SECOND.to_owned()];
    stage.start_hub().await?;
    stage.add_cluster(CLUSTER, &[("bench", "yes")]).await?;
    stage.start_agent(CLUSTER, &server.kubeconfig(CLUSTER))?;
    let desk = Desk::of(&stage)?;
    desk.connected(1).await?;
    app::follow(&stage).await?;
    let settle = if options.quick { Duration::from_secs(5) } else { SETTLE };
    let sizes: &[usize] = if options.quick { &[0, 100, 200] } else { &[0, 100, 1_000, 10_000] };
    let idle_at = if options.quick { 200 } else { 1_000 };
    let mut rows = Vec::new();
    for size in sizes {
        fill(&stage, &desk, *size).await?;
        tokio::time::sleep(settle).await;
        let mib = format!("{:.1}", f64::from(resident(stage.agent_pid(CLUSTER))?) / 1024.0);
        let name = format!("agent memory, {size} objects");
        rows.push(Row::value(name, mib, "MiB", "VmRSS of tidegate-agent, idle"));
        if *size == idle_at {
            rows.extend(idle(options, &stage, &cluster, *size).await?);
        }
    }
    server.stop().await;
    Ok(rows)
}

/// Makes the set of the cluster `size` objects in as few Apps as can hold them.
async fn fill(stage: &Stage, desk: &Desk, size: usize) -> Result<(), Error> {
    let mut left = size;
    let mut number = 0;
    while left > 0 {
        let count = left.min(PER_APP);
        let name = format!("many-{number}");
        app::declare_app(stage, &name, 1, "")?;
        app::objects_of(stage, (&name, &name), count, |n| format!("small {n}"))?;
        (left, number) = (left - count, number + 1);
    }
    if size > 0 {
        let (_, commit) = app::commit(stage, &format!("{size} objects")).await?;
        for n in 0..number {
            desk.completed_by(&commit, &format!("many-{n}")).await?;
        }
    }
    Ok(())
}

/// Requests and processor time while nothing happens, each line with its reason.
async fn idle(
    options: &Options,
    stage: &Stage,
    cluster: &Cluster,
    size: usize,
) -> Result<Vec<Row>, Error> {
    cluster.reset_requests();
    let before = cpu(stage.agent_pid(CLUSTER))?;
    tokio::time::sleep(options.idle()).await;
    let used = cpu(stage.agent_pid(CLUSTER))?.saturating_sub(before);
    let log = cluster.requests();
    let seconds = options.idle().as_secs();
    let scaled = |count: u64| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let scale = PERIOD.as_secs_f64() / options.idle().as_secs_f64();
        format!("{:.0}", f64::from(count) * scale)
    };
    let millicores = used.as_secs_f64() / options.idle().as_secs_f64() * 1000.0;
    let mut rows = vec![
        Row::value(
            "CPU of an idle agent",
            format!("{millicores:.2}"),
            "millicore",
            format!("{size} objects; all threads, over {seconds} s"),
        ),
        Row::value(
            "requests of an idle hour",
            scaled(log.total()),
            "",
            format!("{size} objects; watched for {seconds} s and scaled; {} writes", log.writes()),
        ),
    ];
    for ((verb, resource, _), count) in log.counts() {
        let name = format!("- {verb} {resource}");
        rows.push(Row::value(name, scaled(*count), "", reason(verb, resource)));
    }
    Ok(rows)
}

/// Why an idle agent asks for this at all.
fn reason(verb: &str, resource: &str) -> &'static str {
    match (verb, resource.split('.').next().unwrap_or_default()) {
        ("watch", "customresourcedefinitions" | "apiservices") => {
            "new kinds are noticed at once; renewed every 40 to 50 s, so that a dead line is noticed"
        }
        ("watch", _) => "drift and health; one watch a kind, renewed every 40 to 50 s",
        ("list", "nodes" | "storageclasses" | "ingressclasses") => "facts, every 5 minutes",
        ("list", _) => "a watch that began anew, or the full look once an hour",
        (_, "leases") => "the Lease of a leader",
        ("get", "namespaces") => {
            "facts, every 5 minutes: the uid of `kube-system` tells clusters apart"
        }
        ("discovery", _) => "which kinds are served, and the version, every 5 minutes",
        _ => "NOT EXPLAINED: an idle agent has no reason for it",
    }
}

//! What an agent costs its cluster: memory, and requests while nothing happens.

use std::time::Duration;

use simcluster::{Cluster, Options as Simulated, Server};

use super::{Options, app, desk::Desk, process::resident, table::Row};
use crate::stage::{Error, Stage};

/// Time after the last work until memory and requests are those of an idle agent.
const SETTLE: Duration = Duration::from_secs(5);
/// Name of the cluster.
const CLUSTER: &str = "idle";
/// The period that requests are given for.
const PERIOD: Duration = Duration::from_mins(10);

/// One real agent on a pretended API server: without Apps, with many objects, and left alone.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let cluster = Cluster::new(Simulated { name: CLUSTER.to_owned(), ..Simulated::default() });
    let server = Server::start(vec![cluster.clone()]).await;
    let server = server.map_err(|e| Error::Unexpected(format!("start a cluster: {e}")))?;
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    stage.add_cluster(CLUSTER, &[("bench", "yes")]).await?;
    stage.start_agent(CLUSTER, &server.kubeconfig(CLUSTER))?;
    let desk = Desk::of(&stage)?;
    desk.connected(1).await?;
    let mut rows = Vec::new();
    let memory = |stage: &Stage, objects: usize| {
        let mib = format!("{:.1}", f64::from(resident(stage.agent_pid(CLUSTER))?) / 1024.0);
        let name = format!("agent memory, {objects} objects");
        Ok::<_, Error>(Row::value(name, mib, "MiB", "VmRSS of tidegate-agent, idle"))
    };
    tokio::time::sleep(SETTLE).await;
    rows.push(memory(&stage, 0)?);
    let count = if options.quick { 200 } else { 1000 };
    app::declare(&stage, 1)?;
    app::objects(&stage, count, |n| format!("small {n}"))?;
    let (_, commit) = app::commit(&stage, "many").await?;
    app::follow(&stage).await?;
    desk.completed(&commit).await?;
    tokio::time::sleep(SETTLE).await;
    rows.push(memory(&stage, count)?);

    cluster.reset_requests();
    tokio::time::sleep(options.idle()).await;
    let log = cluster.requests();
    let verbs: Vec<_> = log
        .counts()
        .iter()
        .map(|((verb, resource, _), n)| format!("{n} {verb} {resource}"))
        .collect();
    let scale = PERIOD.as_secs_f64() / options.idle().as_secs_f64();
    let how = format!(
        "{count} objects; watched for {} s and scaled; {} writes; {}",
        options.idle().as_secs(),
        log.writes(),
        if verbs.is_empty() { "nothing was asked".to_owned() } else { verbs.join(", ") }
    );
    let total = u32::try_from(log.total()).unwrap_or(u32::MAX);
    let value = format!("{:.0}", f64::from(total) * scale);
    rows.push(Row::value("requests of an idle agent", value, "per 10 min", how));
    server.stop().await;
    Ok(rows)
}

//! What a change costs on the wire between hub and agent.

use std::time::Duration;

use simcluster::{Cluster, Options as Simulated, Server};

use super::{Options, app, desk::Desk, fleet::through, relay::Relay, table::Row};
use crate::stage::{Error, Stage};

/// Objects of the App.
const OBJECTS: usize = 100;
/// Reports that follow the last one that counts.
const SETTLE: Duration = Duration::from_secs(2);
/// Name of the cluster.
const CLUSTER: &str = "wire";

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("count bytes: {error}"))
}

/// One real agent behind a relay that counts.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let cluster = Cluster::new(Simulated { name: CLUSTER.to_owned(), ..Simulated::default() });
    let server = Server::start(vec![cluster]).await.map_err(fault)?;
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    let relay = Relay::start(stage.agents_at().parse().map_err(fault)?).await.map_err(fault)?;
    let join_file = stage.add_cluster(CLUSTER, &[("bench", "yes")]).await?;
    let token = std::fs::read_to_string(&join_file).map_err(fault)?;
    through(&token, relay.address(), &join_file)?;
    stage.start_agent(CLUSTER, &server.kubeconfig(CLUSTER))?;
    let desk = Desk::of(&stage)?;
    desk.connected(1).await?;
    tokio::time::sleep(SETTLE).await;

    let before = relay.bytes();
    app::declare(&stage, 1)?;
    app::objects(&stage, OBJECTS, |_| "first".to_owned())?;
    let (_, first) = app::commit(&stage, "first").await?;
    app::follow(&stage).await?;
    desk.completed(&first).await?;
    tokio::time::sleep(SETTLE).await;
    let synced = since(&relay, before);

    let (mut up, mut down) = (Vec::new(), Vec::new());
    for n in 0..options.samples(10, 5) {
        let before = relay.bytes();
        let changed = n % OBJECTS;
        app::objects(&stage, OBJECTS, |object| {
            let value = if object == changed { format!("change {n}") } else { "first".to_owned() };
            // An object that was changed before stays as it is, so that each commit changes one.
            if object < changed { format!("change {object}") } else { value }
        })?;
        let (_, commit) = app::commit(&stage, "change one").await?;
        desk.completed(&commit).await?;
        tokio::time::sleep(SETTLE).await;
        let spent = since(&relay, before);
        up.push(spent.0);
        down.push(spent.1);
    }
    let how = format!(
        "1 of {OBJECTS} ConfigMaps changed; TLS bytes through a relay, without TCP and IP headers"
    );
    server.stop().await;
    Ok(vec![
        Row::spread("wire per changed object, hub to agent", &down, "B", &how),
        Row::spread("wire per changed object, agent to hub", &up, "B", &how),
        first_sync("hub to agent", synced.1),
        first_sync("agent to hub", synced.0),
    ])
}

fn first_sync(way: &str, bytes: f64) -> Row {
    let name = format!("wire, first sync of {OBJECTS} objects, {way}");
    Row::value(name, format!("{bytes:.0}"), "B", "one sample, same relay")
}

/// Bytes from the agent and to the agent since then.
fn since(relay: &Relay, before: (u64, u64)) -> (f64, f64) {
    let now = relay.bytes();
    let number = |bytes: u64| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    (number(now.0 - before.0), number(now.1 - before.1))
}

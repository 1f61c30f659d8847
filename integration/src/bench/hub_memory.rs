//! What an idle agent costs the hub.

use std::time::Duration;

use super::{Options, desk::Desk, fleet::Fleet, process::resident, table::Row};
use crate::stage::{Error, Stage};

/// Time for connections that were needed to join to be closed and their memory to be given back.
const SETTLE: Duration = Duration::from_secs(5);

/// Resident memory at no, few and many agents, and the slopes between.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let (few, many) = if options.quick { (100, 300) } else { (100, 1000) };
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    let desk = Desk::of(&stage)?;
    let mut fleet = Fleet::new(&stage, Duration::ZERO).await?;
    let mut seen = Vec::new();
    for count in [0, few, many] {
        fleet.grow(&desk, count).await?;
        tokio::time::sleep(SETTLE).await;
        seen.push((count, resident(stage.hub_pid())?));
    }
    let total = |(count, kib): &(usize, u32)| {
        let name = format!("hub memory, {count} idle agents");
        let mib = format!("{:.1}", f64::from(*kib) / 1024.0);
        Row::value(name, mib, "MiB", "VmRSS of the hub, everything included; no App")
    };
    let mut rows: Vec<_> = seen.iter().map(total).collect();
    for pair in seen.windows(2) {
        let [(from, before), (to, after)] = [pair[0], pair[1]];
        let agents = u32::try_from(to - from).unwrap_or(u32::MAX);
        let slope = (f64::from(after) - f64::from(before)) / f64::from(agents);
        let name = format!("hub memory per idle agent, {from} to {to}");
        let how = "slope of VmRSS; includes the cluster's record and what joining left behind";
        rows.push(Row::value(name, format!("{slope:.1}"), "KiB", how));
    }
    Ok(rows)
}

//! From a commit to the last of many agents.

use std::time::Duration;

use super::{
    Options, app,
    desk::Desk,
    fleet::Fleet,
    table::{Row, ms},
};
use crate::stage::{Error, Stage};

/// Agents in the fleet.
const AGENTS: usize = 100;

/// The two ends of the same way: what agents saw, and what the hub shows.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    let desk = Desk::of(&stage)?;
    let mut fleet = Fleet::new(&stage, Duration::ZERO).await?;
    fleet.grow(&desk, AGENTS).await?;
    app::declare(&stage, AGENTS)?;
    app::objects(&stage, 1, |_| "first".to_owned())?;
    let (_, first) = app::commit(&stage, "first").await?;
    app::follow(&stage).await?;
    fleet.all_acked().await?;
    desk.completed(&first).await?;
    let (mut acked, mut shown) = (Vec::new(), Vec::new());
    for n in 0..options.samples(30, 5) {
        app::objects(&stage, 1, |_| format!("change {n}"))?;
        let (began, commit) = app::commit(&stage, "change").await?;
        let last = fleet.all_acked().await?;
        desk.completed(&commit).await?;
        shown.push(ms(began.elapsed()));
        acked.push(ms(last.saturating_duration_since(began)));
    }
    let how = "light agents in this process: real join, mTLS and session; apply stubbed; one wave, probe 0";
    let seen =
        "the same commits, until the hub's API shows the rollout complete (all granted, all acked)";
    Ok(vec![
        Row::spread(format!("commit -> last of {AGENTS} agents acked"), &acked, "ms", how),
        Row::spread(format!("commit -> hub shows {AGENTS} of {AGENTS}"), &shown, "ms", seen),
    ])
}

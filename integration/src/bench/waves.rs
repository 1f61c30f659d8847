//! A rollout in stages, with nothing that waits on purpose: what the hub itself adds to the work of its agents.

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
/// How long each of them applies a release.
const APPLY: Duration = Duration::from_millis(50);
/// Shares of the fleet, one wave after the other; half of a wave may be in flight, after a probe of one.
const STAGES: &str = "    defaults: {minHealthy: 0s, progressDeadline: 10m, maxInFlight: 50%}
    waves:
      - {name: first, take: 20%, after: {soak: 0s}}
      - {name: second, take: 30%, after: {soak: 0s}}
      - {name: last, rest: true, after: {soak: 0s}}
";

/// From a commit until the hub shows that all waves have passed.
pub(super) async fn measure(options: &Options) -> Result<Vec<Row>, Error> {
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    let desk = Desk::of(&stage)?;
    let mut fleet = Fleet::new(&stage, APPLY).await?;
    fleet.grow(&desk, AGENTS).await?;
    app::declare_rollout(&stage, app::APP, AGENTS, ("", STAGES))?;
    app::objects(&stage, 1, |_| "first".to_owned())?;
    let (_, first) = app::commit(&stage, "first").await?;
    app::follow(&stage).await?;
    desk.completed(&first).await?;
    let mut took = Vec::new();
    for n in 0..options.samples(10, 2) {
        app::objects(&stage, 1, |_| format!("change {n}"))?;
        let (began, commit) = app::commit(&stage, "change").await?;
        desk.completed(&commit).await?;
        took.push(ms(began.elapsed()));
    }
    let how = "light agents that apply for 50 ms; probe 1, then half of a wave in flight";
    let name = format!("commit -> {AGENTS} clusters in stages of 20/30/50 complete");
    Ok(vec![Row::spread(name, &took, "ms", how)])
}

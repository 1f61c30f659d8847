//! From a commit to the release that the hub makes of it: looked at, fetched, rendered, stored, decided.

use std::time::Duration;

use super::{
    Options, app,
    desk::Desk,
    fleet::Fleet,
    table::{Row, ms},
};
use crate::stage::{Error, Stage};

/// Objects of the App; each commit changes all of them.
const OBJECTS: usize = 100;

/// One App, one cluster.
pub(super) async fn measure(options: &Options) -> Result<Row, Error> {
    let mut stage = Stage::new()?;
    stage.start_hub().await?;
    let desk = Desk::of(&stage)?;
    let mut fleet = Fleet::new(&stage, Duration::ZERO).await?;
    fleet.grow(&desk, 1).await?;
    app::declare(&stage, 1)?;
    app::objects(&stage, OBJECTS, |_| "first".to_owned())?;
    let (_, first) = app::commit(&stage, "first").await?;
    app::follow(&stage).await?;
    fleet.all_acked().await?;
    desk.completed(&first).await?;
    let mut times = Vec::new();
    for n in 0..options.samples(30, 5) {
        app::objects(&stage, OBJECTS, |_| format!("change {n}"))?;
        let (began, commit) = app::commit(&stage, "change").await?;
        desk.begun(&commit).await?;
        times.push(ms(began.elapsed()));
        // The next one begins on a quiet hub.
        fleet.all_acked().await?;
        desk.completed(&commit).await?;
    }
    let how = format!(
        "{OBJECTS} objects changed, until the hub's API shows the release; half a pause between two looks at Git and half of one at the API are in it"
    );
    Ok(Row::spread("commit -> release", &times, "ms", how))
}

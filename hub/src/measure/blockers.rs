//! Blockers that an HTTP endpoint decides about: asked every `EVERY` for as long as the hub runs.
//!
//! An endpoint is shown `{"apiVersion": "check.tidegate/v1", "blocker": NAME}`, signed as all checks are. Only its
//! `pass` lets go. Whatever else it answers blocks, and so does silence: a gate whose producer is away is closed.

use std::{sync::Arc, time::Duration};

use reqwest::Client;
use rollout::Answer;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ASKING_MAX, Measures, PATIENCE, check};
use crate::{
    clock::Clock,
    registry::{BlockerRecord, Registry},
};

/// Pause between two rounds: as long as a person hardly notices, and a few requests a minute for the endpoint.
const EVERY: Duration = Duration::from_secs(10);

/// Asks until `shutdown`; at once when a blocker was changed.
pub fn start(
    registry: Registry,
    measures: Measures,
    clock: Clock,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let client = Client::builder().timeout(PATIENCE).build();
        let Ok(client) = client.inspect_err(|error| tracing::error!(%error, "no blocker is asked"))
        else {
            return;
        };
        let measures = Arc::new(measures);
        let mut changed = registry.changed();
        let mut asked = watched(&registry);
        loop {
            let round = round(&registry, &client, &measures, &clock, asked.clone());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = round => {}
            }
            let next = tokio::time::sleep(EVERY);
            tokio::pin!(next);
            // Another watch, or one at another place, is asked at once; other changes are none of ours.
            asked = loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = &mut next => break watched(&registry),
                    Ok(()) = changed.changed() => {
                        let now = watched(&registry);
                        if now != asked {
                            break now;
                        }
                    }
                }
            };
        }
    })
}

/// Names and endpoints.
fn watched(registry: &Registry) -> Vec<(String, String)> {
    let place = |record: &BlockerRecord| record.watch.clone();
    registry.blockers().iter().filter_map(|(name, b)| Some((name.clone(), place(b)?))).collect()
}

/// Asks each once, a few at a time.
async fn round(
    registry: &Registry,
    client: &Client,
    measures: &Arc<Measures>,
    clock: &Clock,
    blockers: Vec<(String, String)>,
) {
    let mut asking = JoinSet::new();
    for (name, url) in blockers {
        if asking.len() >= ASKING_MAX {
            asking.join_next().await;
        }
        let (registry, client, clock) = (registry.clone(), client.clone(), clock.clone());
        let measures = Arc::clone(measures);
        asking.spawn(async move {
            let facts = serde_json::json!({"apiVersion": "check.tidegate/v1", "blocker": name});
            let answer = check(&client, &measures, &url, &facts).await;
            let (set, message) = match answer {
                Ok((Answer::Pass, words)) => (false, words),
                Ok((Answer::Fail | Answer::Hold, words)) => (true, words),
                Err(why) => (true, format!("{url}: {why}")),
            };
            let told = tokio::task::spawn_blocking(move || {
                registry.answer_blocker(&name, &url, set, &message, clock.now())
            });
            match told.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "an answer about a blocker was lost"),
                Err(error) => tracing::error!(%error, "an answer about a blocker was lost"),
            }
        });
    }
    while asking.join_next().await.is_some() {}
}

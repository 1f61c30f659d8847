//! The hub's HTTPS API as a script uses it: quicker than one process for each question.

use std::{fs, time::Duration};

use model::api::{AddCluster, AddedCluster, ClusterItem, List, RolloutItem};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::stage::{Error, Stage};

/// Pause between two questions about the same thing; the error of a time that is read off the API.
const LOOK: Duration = Duration::from_millis(10);
/// When to give up: a thousand objects at 20 writes a second take a minute.
const DEADLINE: Duration = Duration::from_mins(10);

/// A client with the admin token.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    client: reqwest::Client,
    url: String,
    token: String,
}

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("ask the hub: {error}"))
}

impl Desk {
    pub(super) fn of(stage: &Stage) -> Result<Desk, Error> {
        let path = stage.token_file();
        let token = fs::read_to_string(&path).map_err(|cause| Error::File { path, cause })?;
        let client = reqwest::Client::builder().no_proxy().build().map_err(fault)?;
        Ok(Desk { client, url: stage.url(), token: token.trim().to_owned() })
    }

    async fn answer<T: DeserializeOwned>(&self, ask: reqwest::RequestBuilder) -> Result<T, Error> {
        let answer = ask.bearer_auth(&self.token).send().await.map_err(fault)?;
        let status = answer.status();
        let text = answer.text().await.map_err(fault)?;
        if !status.is_success() {
            return Err(fault(format!("{status}: {text}")));
        }
        serde_json::from_str(&text).map_err(fault)
    }

    async fn list<T: DeserializeOwned>(&self, what: &str) -> Result<Vec<T>, Error> {
        let ask = self.client.get(format!("{}/api/v1/{what}", self.url));
        Ok(self.answer::<List<T>>(ask).await?.items)
    }

    /// Registers a cluster that the App selects; its join token.
    pub(super) async fn add_cluster(&self, name: &str) -> Result<String, Error> {
        let labels = serde_json::json!({ "bench": "yes" });
        let labels = serde_json::from_value(labels).map_err(fault)?;
        let wish = AddCluster { name: name.to_owned(), labels, ttl_seconds: None };
        let ask = self.client.post(format!("{}/api/v1/clusters", self.url)).json(&wish);
        Ok(self.answer::<AddedCluster>(ask).await?.token)
    }

    /// Waits until there is a rollout of a commit, however far it is.
    pub(super) async fn begun(&self, commit: &str) -> Result<(), Error> {
        self.wait(&format!("a release of {commit}"), async || {
            let all: Vec<RolloutItem> = self.list("rollouts").await?;
            let there = all.iter().any(|r| r.revision.ends_with(commit));
            Ok((!there).then(|| format!("{:?}", all.first())))
        })
        .await
    }

    /// Waits until the rollout of a commit is complete.
    pub(super) async fn completed(&self, commit: &str) -> Result<(), Error> {
        self.wait(&format!("the rollout of {commit}"), async || {
            let all: Vec<RolloutItem> = self.list("rollouts").await?;
            let mine = all.into_iter().find(|r| r.revision.ends_with(commit));
            let done = mine.as_ref().is_some_and(|r| r.state == "Completed");
            Ok(if done { None } else { Some(format!("{mine:?}")) })
        })
        .await
    }

    /// Waits until the rollout of a commit is complete for one of several Apps, which the commit changes.
    pub(super) async fn completed_by(&self, commit: &str, app: &str) -> Result<(), Error> {
        self.wait(&format!("the rollout of {commit} of {app}"), async || {
            let all: Vec<RolloutItem> = self.list("rollouts").await?;
            let mine = all.into_iter().find(|r| r.app == app && r.revision.ends_with(commit));
            let done = mine.as_ref().is_some_and(|r| r.state == "Completed");
            Ok(if done { None } else { Some(format!("{mine:?}")) })
        })
        .await
    }

    /// Waits until so many agents have a session.
    pub(super) async fn connected(&self, count: usize) -> Result<(), Error> {
        self.wait(&format!("{count} sessions"), async || {
            let all: Vec<ClusterItem> = self.list("clusters").await?;
            let now = all.iter().filter(|c| c.connected).count();
            Ok((now < count).then(|| format!("{now} connected")))
        })
        .await
    }

    /// Looks until nothing is missing.
    async fn wait(
        &self,
        what: &str,
        missing: impl AsyncFn() -> Result<Option<String>, Error>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        while let Some(last) = missing().await? {
            if began.elapsed() > DEADLINE {
                let seconds = DEADLINE.as_secs();
                return Err(Error::Waited { seconds, what: what.to_owned(), last });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

//! Asks which kinds are served: two requests (aggregated discovery), answered `304` when nothing changed.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::Error;
use super::client::{Accept, Ask, Cluster};
use super::kinds::{Kinds, Page};
use super::resource::Resource;
use super::watch;

/// Two refreshes are at least so far apart, however many kinds are missing.
const REFRESH_MIN: Duration = Duration::from_millis(200);

/// Changes of what is served that come within this time are answered by one refresh.
const GATHER: Duration = Duration::from_secs(1);

impl Cluster {
    /// Follows definitions and extension servers, and refreshes whenever one changes. Where they may not be watched,
    /// the caller's own rhythm has to do.
    pub async fn keep_kinds(&self) {
        let changed = Arc::new(tokio::sync::Notify::new());
        let follow = |group: &str, kind: &str, plural: &str| {
            let resource =
                Resource { group: group.to_owned(), ..Resource::core(kind, plural, false) };
            let changed = Arc::clone(&changed);
            watch::watch(self.clone(), resource, watch::Depth::Metadata, "", move |change| {
                if !matches!(change, watch::Change::Blind(_)) {
                    changed.notify_one();
                }
                ControlFlow::Continue(())
            })
        };
        let refresh = async {
            loop {
                changed.notified().await;
                tokio::time::sleep(GATHER).await;
                if let Err(fault) = self.refresh_kinds().await {
                    tracing::debug!(fault = crate::fault::causes(&fault), "discovery failed");
                }
            }
        };
        tokio::join!(
            follow("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"),
            follow("apiregistration.k8s.io", "APIService", "apiservices"),
            refresh
        );
    }

    /// What is known now.
    pub fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.discovery.kinds.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts up whenever what is served changed.
    pub fn kinds_changed(&self) -> signal::Receiver<u64> {
        self.discovery.changed.subscribe()
    }

    /// Asks again. Callers that come within `REFRESH_MIN` of a refresh share it.
    pub async fn refresh_kinds(&self) -> Result<Arc<Kinds>, Error> {
        let mut turn = self.discovery.refreshing.lock().await;
        if let Some(last) = turn.0 {
            tokio::time::sleep_until(last + REFRESH_MIN).await;
        }
        let before = self.kinds();
        let mut kinds = Kinds::discovered();
        let mut fresh = false;
        for (path, page) in ["/api", "/apis"].into_iter().zip(&mut turn.1) {
            let mut ask = Ask::get("discover", path.to_owned(), Accept::Discovery);
            ask.etag.clone_from(&page.etag);
            let what = ask.what();
            let (reply, etag) = self.ask_etag(ask).await?;
            if reply.code != 304 {
                if !reply.is_success() {
                    return Err(Error::refused(&what, &reply));
                }
                if reply.body.get("items").is_none() {
                    let why =
                        "aggregated discovery is not served; Kubernetes 1.30 or newer is needed";
                    return Err(Error::Unexpected { what, why: why.to_owned() });
                }
                let mut read = Kinds::default();
                read.read(&reply.body, &before);
                *page = Page { etag, kinds: read };
                fresh = true;
            }
            kinds.add_all(&page.kinds);
        }
        turn.0 = Some(Instant::now());
        if !fresh || *before == kinds {
            return Ok(before);
        }
        let kinds = Arc::new(kinds);
        *self.discovery.kinds.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&kinds);
        self.discovery.changed.send_modify(|n| *n += 1);
        Ok(kinds)
    }
}

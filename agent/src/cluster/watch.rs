//! A list and then a watch of one kind, for as long as somebody listens.
//!
//! The list comes by pages, the watch begins at the list's `resourceVersion` and is renewed every two to
//! four minutes from the last version seen. Whatever the server says inside the stream that is not an
//! event of an object leads to a new list.

use std::ops::ControlFlow;
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Accept, Ask, Cluster, innermost};
use super::resource::escape;
use super::{Error, Resource};
use crate::clock;

/// Life of one watch request. A connection that is dead without saying so is noticed when its watch should have ended:
/// within a minute. A renewal is one request without a body and an empty answer.
const LIFE: (Duration, Duration) = (Duration::from_secs(40), Duration::from_secs(50));
/// What is added to a watch's life before it is given up from our side.
const LIFE_MARGIN: Duration = Duration::from_secs(8);
/// First pause after a failure; doubles up to [`PAUSE_MAX`], with full jitter.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Between two lists although nothing failed: 60 minutes, half more or less.
const RELIST: (Duration, Duration) = (Duration::from_mins(30), Duration::from_mins(90));
/// Between two lists of a kind that is polled: five minutes, a fifth more or less.
const POLL: (Duration, Duration) = (Duration::from_mins(4), Duration::from_mins(6));
/// Longest event, in bytes: etcd holds 1.5 MiB, JSON may be larger.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much of each object is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Metadata only.
    Metadata,
    /// All of it.
    Full,
}

/// Something moved.
#[derive(Debug)]
pub enum Change {
    /// All there is.
    Listed {
        /// Every object.
        items: Vec<Value>,
        /// Version of the list.
        resource_version: String,
        /// The server counts from an earlier version than before: its store was restored, and what was known is void.
        rewound: bool,
    },
    /// Added or modified.
    Present(Value),
    /// Deleted, or no longer selected: look before believing the first.
    Absent(Value),
    /// The kind cannot be looked at now.
    Blind(Error),
}

/// Watches objects of `resource` that carry the label `label` (empty: all), until `sink` breaks.
pub async fn watch(
    cluster: Cluster,
    resource: Resource,
    depth: Depth,
    label: &'static str,
    mut sink: impl FnMut(Change) -> ControlFlow<()> + Send,
) {
    let mut failures = 0;
    let mut last = String::new();
    loop {
        let accept = match depth {
            Depth::Metadata => Accept::MetadataList,
            Depth::Full => Accept::Full,
        };
        let (fault, flow) = match cluster.list(&resource, "", label, accept, None).await {
            Ok(listed) => {
                failures = 0;
                let mut version = listed.resource_version.clone();
                let mut items = listed.items;
                for item in &mut items {
                    name(item, &resource);
                }
                let rewound = earlier(&listed.resource_version, &last);
                let resource_version = listed.resource_version;
                let change = Change::Listed { items, resource_version, rewound };
                if sink(change).is_break() {
                    return;
                }
                let until = Instant::now() + clock::between(RELIST.0, RELIST.1);
                let end =
                    follow(&cluster, &resource, depth, label, &mut version, until, &mut sink).await;
                last = version;
                end
            }
            Err(fault) => (Some(fault), ControlFlow::Continue(())),
        };
        if flow.is_break() {
            return;
        }
        cluster.metrics.watch_restarted(&resource.kind);
        if let Some(fault) = fault {
            failures += 1;
            if sink(Change::Blind(fault)).is_break() {
                return;
            }
            tokio::time::sleep(pause(failures)).await;
        }
    }
}

/// Lists objects of `resource` again and again, until `sink` breaks: for kinds beyond those that are watched.
pub async fn poll(
    cluster: Cluster,
    resource: Resource,
    depth: Depth,
    label: &'static str,
    mut sink: impl FnMut(Change) -> ControlFlow<()> + Send,
) {
    let accept = match depth {
        Depth::Metadata => Accept::MetadataList,
        Depth::Full => Accept::Full,
    };
    let mut last = String::new();
    loop {
        let change = match cluster.list(&resource, "", label, accept, None).await {
            Ok(mut listed) => {
                listed.items.iter_mut().for_each(|item| name(item, &resource));
                let rewound = earlier(&listed.resource_version, &last);
                last.clone_from(&listed.resource_version);
                Change::Listed {
                    items: listed.items,
                    resource_version: listed.resource_version,
                    rewound,
                }
            }
            Err(fault) => Change::Blind(fault),
        };
        if sink(change).is_break() {
            return;
        }
        tokio::time::sleep(clock::between(POLL.0, POLL.1)).await;
    }
}

/// Whether version `a` is earlier than `b`; what is no number cannot be told.
fn earlier(a: &str, b: &str) -> bool {
    matches!((a.parse::<u64>(), b.parse::<u64>()), (Ok(a), Ok(b)) if a < b)
}

fn pause(failures: u32) -> Duration {
    let longest = PAUSE_MIN.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX);
    clock::between(PAUSE_MIN / 2, longest)
}

/// Renews watches from `version` on. Ends when a new list is due; with a fault when the server cannot be reached.
async fn follow(
    cluster: &Cluster,
    resource: &Resource,
    depth: Depth,
    label: &str,
    version: &mut String,
    until: Instant,
    sink: &mut (impl FnMut(Change) -> ControlFlow<()> + Send),
) -> (Option<Error>, ControlFlow<()>) {
    let mut failures = 0;
    while Instant::now() < until {
        let life = clock::between(LIFE.0, LIFE.1);
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true{}&resourceVersion={}&timeoutSeconds={}",
            resource.collection(""),
            if label.is_empty() {
                String::new()
            } else {
                format!("&labelSelector={}", escape(label))
            },
            escape(version),
            life.as_secs()
        );
        // the objects of a watch are of the single form
        let accept = match depth {
            Depth::Metadata => Accept::Metadata,
            Depth::Full => Accept::Full,
        };
        let ask = Ask::get("watch", path, accept);
        let before = version.clone();
        let end = match cluster.stream(&ask).await {
            Ok(answer) if answer.status().is_success() => {
                let body = answer.into_body();
                let read = events(body, resource, version, sink);
                tokio::time::timeout(life + LIFE_MARGIN, read).await.unwrap_or(End::Closed)
            }
            Ok(answer) => End::Restart(format!("status {}", answer.status())),
            Err(fault) => End::Lost(fault),
        };
        match end {
            End::Stop => return (None, ControlFlow::Break(())),
            End::Restart(why) => {
                tracing::debug!(kind = resource.kind, why, "lists again");
                return (None, ControlFlow::Continue(()));
            }
            End::Lost(fault) => {
                failures += 1;
                if failures > 2 {
                    return (Some(fault), ControlFlow::Continue(()));
                }
                tokio::time::sleep(pause(failures)).await;
            }
            // a stream that breaks at once, again and again, must not spin
            End::Closed if *version == before => tokio::time::sleep(pause(1)).await,
            End::Closed => failures = 0,
        }
    }
    (None, ControlFlow::Continue(()))
}

/// How a stream ended.
enum End {
    /// Time was up or the connection broke: goes on from the last version.
    Closed,
    /// The server said something that only a new list answers.
    Restart(String),
    /// Nobody listens any more.
    Stop,
    /// No connection.
    Lost(Error),
}

/// Reads events, one JSON document a line.
async fn events(
    mut body: Body,
    resource: &Resource,
    version: &mut String,
    sink: &mut (impl FnMut(Change) -> ControlFlow<()> + Send),
) -> End {
    let mut pending: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(fault) => {
                tracing::trace!(kind = resource.kind, why = innermost(&fault), "watch broke");
                return End::Closed;
            }
        };
        let mut rest: &[u8] = &data;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            pending.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut pending);
            if line.is_empty() {
                continue;
            }
            match event(&line, resource, version) {
                Ok(Some(change)) => {
                    if sink(change).is_break() {
                        return End::Stop;
                    }
                }
                Ok(None) => {}
                Err(why) => return End::Restart(why),
            }
        }
        pending.extend_from_slice(rest);
        if pending.len() > EVENT_BYTES_MAX {
            return End::Restart(format!("an event of more than {EVENT_BYTES_MAX} bytes"));
        }
    }
    End::Closed
}

/// Reads one event; bookmarks only move the version.
fn event(line: &[u8], resource: &Resource, version: &mut String) -> Result<Option<Change>, String> {
    let mut event: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let mut object = event.get_mut("object").map(Value::take).unwrap_or_default();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("");
    if kind == "ERROR" {
        let message = object.get("message").and_then(Value::as_str).unwrap_or("unnamed");
        return Err(format!("the server said: {message}"));
    }
    let at = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    at.ok_or("an event without a version")?.clone_into(version);
    name(&mut object, resource);
    match kind {
        "ADDED" | "MODIFIED" => Ok(Some(Change::Present(object))),
        "DELETED" => Ok(Some(Change::Absent(object))),
        "BOOKMARK" => Ok(None),
        other => Err(format!("an unknown event `{other}`")),
    }
}

/// Items of lists do not say what they are, and metadata says that it is metadata.
fn name(object: &mut Value, resource: &Resource) {
    if object.is_object() {
        object["apiVersion"] = Value::String(resource.api_version());
        object["kind"] = Value::String(resource.kind.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_the_stream_asks_for_a_new_list() {
        let resource = Resource::core("ConfigMap", "configmaps", true);
        let mut version = "7".to_owned();
        let line = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
        let got = event(line, &resource, &mut version);
        assert!(got.is_err_and(|why| why.contains("too old")));
        assert_eq!(version, "7");
    }

    #[test]
    fn a_bookmark_moves_the_version_and_nothing_else() {
        let resource = Resource::core("ConfigMap", "configmaps", true);
        let mut version = "7".to_owned();
        let line = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        assert!(event(line, &resource, &mut version).unwrap().is_none());
        assert_eq!(version, "9");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for failures in 0..40 {
            assert!(pause(failures) <= PAUSE_MAX);
        }
    }
}

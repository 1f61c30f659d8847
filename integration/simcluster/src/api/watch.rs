//! watch: a stream of events from a version on, with bookmarks and every way it can end.

use super::{
    Ask,
    answer::Answer,
    options,
    read::{partial, selector, too_large},
    route::Objects,
};
use crate::{
    faults::{Orders, Partition},
    kinds::Kind,
    ops::in_version,
    selector::Selector,
    shared::Shared,
    state::{Event, State},
    status::Status,
};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use std::{collections::VecDeque, io, sync::Arc, time::Duration};
use tokio::{sync::watch as signal, time::Instant};

/// How long a watch lasts when the client does not say, as on a real server at least 30 min.
const LONGEST: Duration = Duration::from_mins(30);

struct Watch {
    shared: Arc<Shared>,
    kind: Arc<Kind>,
    namespace: Option<String>,
    selector: Selector,
    partial: bool,
    seen: u64,
    lines: VecDeque<Bytes>,
    ended: bool,
    changed: signal::Receiver<u64>,
    orders: signal::Receiver<Orders>,
    at_start: Orders,
    until: Instant,
    bookmark: Option<Instant>,
    bookmarks: Duration,
}

pub(super) fn watch(
    shared: &Arc<Shared>,
    ask: &Ask,
    kind: &Arc<Kind>,
    objects: &Objects,
) -> Result<Answer, Status> {
    let selector = selector(ask, objects)?;
    options::check_list(ask, true)?;
    let from = options::version(ask).map_err(Status::plain)?;
    let timeout = ask.query.get("timeoutSeconds").parse().map(Duration::from_secs);
    let timeout = timeout.ok().filter(|timeout| !timeout.is_zero()).unwrap_or(LONGEST);
    let state = shared.state();
    let table = state.table(kind).ok_or_else(|| Status::not_found(kind, ""))?;
    let orders = shared.faults.orders();
    let at_start = orders.borrow().clone();
    let bookmarks = state.options.bookmarks;
    let bookmark = ask.query.is_true("allowWatchBookmarks").then(|| Instant::now() + bookmarks);
    let mut watch = Watch {
        shared: shared.clone(),
        kind: kind.clone(),
        namespace: objects.namespace.clone(),
        selector,
        partial: ask.wants_partial(),
        seen: if from == 0 { state.version } else { from },
        lines: VecDeque::new(),
        ended: false,
        changed: table.changed.subscribe(),
        orders,
        at_start,
        until: Instant::now() + timeout,
        bookmark,
        bookmarks,
    };
    watch.begin(&state, ask, from);
    drop(state);
    let frames =
        stream::unfold(
            watch,
            |mut watch| async move { watch.next().await.map(|frame| (frame, watch)) },
        );
    Ok(Answer::stream(StreamBody::new(frames).boxed_unsync()))
}

impl Watch {
    /// What stands at the stream's head: present objects, or an error.
    fn begin(&mut self, state: &State, ask: &Ask, from: u64) {
        let Some(table) = state.table(&self.kind) else { return };
        let initial = ask.query.get("sendInitialEvents");
        if initial == "true" && self.shared.faults.refuses_initial_events() {
            let text = "an error on the server (\"etcd event received with PrevKv=nil, \
                        RequestWatchProgress is disabled\") has prevented the request from succeeding";
            return self.fail(&Status::new(500, "InternalError", text));
        }
        if from > 0 && (from < table.forgotten || self.shared.faults.expires_now()) {
            let text = format!("too old resource version: {from} ({})", state.version);
            return self.fail(&Status::expired(text));
        }
        if from > state.version {
            return self.fail(&too_large(from, state.version));
        }
        if initial == "true" || (from == 0 && initial.is_empty()) {
            self.seen = state.version;
            let present = table.items.values().filter(|object| self.picks(object));
            self.lines = present.map(|object| self.line("ADDED", object)).collect();
        }
        if initial == "true" && self.bookmark.is_some() {
            self.push_bookmark(state.version, true);
        }
    }

    fn picks(&self, object: &Value) -> bool {
        let space = self.namespace.as_ref();
        space.is_none_or(|space| object["metadata"]["namespace"] == space.as_str())
            && self.selector.matches(object)
    }

    fn line(&self, event: &str, object: &Value) -> Bytes {
        let object = if self.partial { partial(object) } else { in_version(object, &self.kind) };
        Bytes::from(format!("{}\n", json!({"type": event, "object": object})))
    }

    fn fail(&mut self, status: &Status) {
        let line = json!({"type": "ERROR", "object": status.to_value()});
        self.lines.push_back(Bytes::from(format!("{line}\n")));
        self.ended = true;
    }

    fn push_bookmark(&mut self, version: u64, initial: bool) {
        let (kind, api_version) = if self.partial {
            ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.kind.clone(), self.kind.api_version())
        };
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        let line = json!({"type": "BOOKMARK", "object": object});
        self.lines.push_back(Bytes::from(format!("{line}\n")));
    }

    /// Collects what happened since the last look.
    fn collect(&mut self) {
        let shared = self.shared.clone();
        let state = shared.state();
        let Some(table) = state.table(&self.kind) else {
            self.ended = true;
            return;
        };
        if self.seen < table.forgotten {
            let text = format!("too old resource version: {} ({})", self.seen, state.version);
            return self.fail(&Status::expired(text));
        }
        let first = table.events.partition_point(|event| event.version <= self.seen);
        for event in table.events.range(first..) {
            self.lines.extend(self.event(event));
        }
        self.seen = self.seen.max(state.version);
    }

    /// To a watch with a selector, an object that begins to match is new and one that stops is gone.
    fn event(&self, event: &Event) -> Option<Bytes> {
        let was = event.before.as_ref().is_some_and(|before| self.picks(before));
        let is = !event.gone && self.picks(&event.after);
        match (was, is) {
            (false, true) => Some(self.line("ADDED", &event.after)),
            (true, true) => Some(self.line("MODIFIED", &event.after)),
            (true, false) if event.gone => Some(self.line("DELETED", &event.after)),
            (true, false) => {
                let mut last = event.before.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = json!(event.version.to_string());
                Some(self.line("DELETED", &last))
            }
            (false, false) => None,
        }
    }

    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        loop {
            let orders = self.orders.borrow_and_update().clone();
            if orders.partition == Some(Partition::Reset) {
                return Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
            }
            if orders.stalls > self.at_start.stalls {
                std::future::pending::<()>().await;
            }
            if orders.partition == Some(Partition::Stall) {
                self.orders.changed().await.ok()?;
                continue;
            }
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(Frame::data(line)));
            }
            if self.ended || orders.cuts > self.at_start.cuts {
                return None;
            }
            if orders.errors > self.at_start.errors
                && let Some(error) = &orders.error
            {
                self.fail(error);
                continue;
            }
            self.collect();
            if !self.lines.is_empty() || self.ended {
                continue;
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let bookmark = self.bookmark.unwrap_or(self.until);
        tokio::select! {
            changed = self.changed.changed() => self.ended |= changed.is_err(),
            _ = self.orders.changed() => {}
            () = tokio::time::sleep_until(self.until) => self.ended = true,
            () = tokio::time::sleep_until(bookmark), if self.bookmark.is_some() => {
                self.push_bookmark(self.seen, false);
                self.bookmark = Some(Instant::now() + self.bookmarks);
            }
        }
    }
}

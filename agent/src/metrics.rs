//! What the agent counts. One registry per agent, so that many agents share a process without mixing.

use std::time::Duration;

use model::AppName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Labels `app`, `result`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AppResult {
    app: String,
    result: &'static str,
}

/// Labels `app`, `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AppKind {
    app: String,
    kind: String,
}

/// Labels `app`, `state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AppState {
    app: String,
    state: &'static str,
}

/// Label `app`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct App {
    app: String,
}

/// Label `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    kind: String,
}

/// Labels `verb`, `code`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerbCode {
    verb: &'static str,
    code: u16,
}

/// Label `direction`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Direction {
    direction: &'static str,
}

/// All metrics of one agent; names begin with `tidegate_agent_`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connected: Gauge,
    last_message: Family<Direction, Gauge>,
    applied: Family<AppResult, Counter>,
    apply_seconds: Family<App, Histogram, fn() -> Histogram>,
    objects: Family<AppState, Gauge>,
    drift_detected: Family<AppKind, Counter>,
    drift_corrected: Family<AppKind, Counter>,
    pruned: Family<AppResult, Counter>,
    conflicts: Family<Kind, Counter>,
    watch_restarts: Family<Kind, Counter>,
    kube_requests: Family<VerbCode, Counter>,
    kube_seconds: Histogram,
    offline_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    revision_lag: Family<App, Gauge>,
    certificate_expiry: Gauge,
}

fn sync_buckets() -> Histogram {
    // 10 ms to 82 s: one object on a quiet server to a large App behind the limiter
    Histogram::new(exponential_buckets(0.01, 2.0, 14))
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Metrics {
        let mut all = Metrics {
            apply_seconds: Family::new_with_constructor(sync_buckets as fn() -> Histogram),
            // 1 ms to 8 s
            kube_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            registry: Registry::default(),
            connected: Gauge::default(),
            last_message: Family::default(),
            applied: Family::default(),
            objects: Family::default(),
            drift_detected: Family::default(),
            drift_corrected: Family::default(),
            pruned: Family::default(),
            conflicts: Family::default(),
            watch_restarts: Family::default(),
            kube_requests: Family::default(),
            offline_seconds: Counter::default(),
            revision_lag: Family::default(),
            certificate_expiry: Gauge::default(),
        };
        all.registry = all.register();
        all
    }

    fn register(&self) -> Registry {
        let all = self;
        let mut r = Registry::with_prefix("tidegate_agent");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "Version of the agent", build);
        r.register("connected", "1 while a session with the hub is open", all.connected.clone());
        r.register_with_unit(
            "last_message_timestamp",
            "When a session message last went in a direction",
            Unit::Seconds,
            all.last_message.clone(),
        );
        r.register("apply", "Objects applied", all.applied.clone());
        r.register_with_unit(
            "apply_duration",
            "One sync",
            Unit::Seconds,
            all.apply_seconds.clone(),
        );
        r.register("objects", "Objects by health", all.objects.clone());
        r.register("drift_detected", "Objects found drifted", all.drift_detected.clone());
        r.register("drift_corrected", "Objects corrected", all.drift_corrected.clone());
        r.register("prune", "Objects pruned", all.pruned.clone());
        r.register("conflicts", "Field manager conflicts", all.conflicts.clone());
        r.register("watch_restarts", "Watches that had to list again", all.watch_restarts.clone());
        r.register("kube_requests", "Requests to the API server", all.kube_requests.clone());
        r.register_with_unit(
            "kube_request_duration",
            "Time to the end of an answer",
            Unit::Seconds,
            all.kube_seconds.clone(),
        );
        r.register_with_unit(
            "offline",
            "Time without a session",
            Unit::Seconds,
            all.offline_seconds.clone(),
        );
        r.register(
            "revision_lag",
            "1 while the newest grant is not yet applied and healthy",
            all.revision_lag.clone(),
        );
        r.register_with_unit(
            "certificate_expiry_timestamp",
            "When the agent's certificate expires",
            Unit::Seconds,
            all.certificate_expiry.clone(),
        );
        r
    }

    /// `OpenMetrics` text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(fault) => format!("# {fault}\n# EOF\n"),
        }
    }

    /// A session opened or ended.
    pub fn connected(&self, yes: bool) {
        self.connected.set(i64::from(yes));
    }

    /// Whether a session is open.
    pub fn is_connected(&self) -> bool {
        self.connected.get() == 1
    }

    /// A session message went `in` or `out` at `unix` seconds.
    pub fn message(&self, direction: &'static str, unix: i64) {
        self.last_message.get_or_create(&Direction { direction }).set(unix);
    }

    /// One object was applied, or not.
    pub fn applied(&self, app: &AppName, result: &'static str) {
        self.applied.get_or_create(&AppResult { app: app.to_string(), result }).inc();
    }

    /// One sync took this long.
    pub fn synced(&self, app: &AppName, took: Duration) {
        let label = App { app: app.to_string() };
        self.apply_seconds.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// Number of objects in a state.
    pub fn objects(&self, app: &AppName, state: &'static str, count: u32) {
        let label = AppState { app: app.to_string(), state };
        self.objects.get_or_create(&label).set(i64::from(count));
    }

    /// An object was found drifted.
    pub fn drifted(&self, app: &AppName, kind: &str) {
        let label = AppKind { app: app.to_string(), kind: kind.to_owned() };
        self.drift_detected.get_or_create(&label).inc();
    }

    /// A drifted object was corrected.
    pub fn corrected(&self, app: &AppName, kind: &str) {
        let label = AppKind { app: app.to_string(), kind: kind.to_owned() };
        self.drift_corrected.get_or_create(&label).inc();
    }

    /// One object was pruned, kept, or could not be.
    pub fn pruned(&self, app: &AppName, result: &'static str) {
        self.pruned.get_or_create(&AppResult { app: app.to_string(), result }).inc();
    }

    /// Another manager owns a field.
    pub fn conflict(&self, kind: &str) {
        self.conflicts.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// A watch had to list again.
    pub fn watch_restarted(&self, kind: &str) {
        self.watch_restarts.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// One request to the API server; code 0 when there was no answer.
    pub fn requested(&self, verb: &'static str, code: u16, took: Duration) {
        self.kube_requests.get_or_create(&VerbCode { verb, code }).inc();
        self.kube_seconds.observe(took.as_secs_f64());
    }

    /// Time spent without a session.
    pub fn offline(&self, for_: Duration) {
        self.offline_seconds.inc_by(for_.as_secs_f64());
    }

    /// Whether an App is behind its grant.
    pub fn behind(&self, app: &AppName, yes: bool) {
        self.revision_lag.get_or_create(&App { app: app.to_string() }).set(i64::from(yes));
    }

    /// When the certificate expires, in unix seconds.
    pub fn certificate_expires(&self, unix: i64) {
        self.certificate_expiry.set(unix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_documented_ones() {
        let metrics = Metrics::new();
        let app = AppName::parse("web").unwrap();
        metrics.applied(&app, "ok");
        metrics.requested("patch", 200, Duration::from_millis(3));
        let text = metrics.text();
        for line in [
            r#"tidegate_agent_apply_total{app="web",result="ok"} 1"#,
            r#"tidegate_agent_kube_requests_total{verb="patch",code="200"} 1"#,
            "tidegate_agent_connected 0",
            "tidegate_agent_kube_request_duration_seconds_count 1",
            "tidegate_agent_build_info{version=",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }
}

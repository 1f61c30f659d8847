//! Logs, and the spans of a rollout: one trace from the commit to the last healthy cluster.
//!
//! Spans of a rollout are written when the thing they describe ends, with its true start, from facts of
//! the log: a hub restart loses none of them, and clusters that come back after days join the right
//! trace, because the trace context stands in the log. Health reports are deliberately not traced.

use std::{
    io::IsTerminal,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{Span as _, SpanBuilder, SpanKind, TraceContextExt, TracerProvider as _},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use rollout::{App, Event, WaveChange};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,tower=warn";

/// How long the last spans may take to leave at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Spans go through this provider; without a collector they are made (so that every rollout has a
/// trace id) and thrown away.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Why logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The collector's URL is at fault.
    #[error("export traces to `{url}`")]
    Exporter {
        /// As given.
        url: String,
        /// The cause.
        #[source]
        cause: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogForm {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Sets up logs on stderr and, when `otlp` names a collector, the export of spans.
pub fn install(form: LogForm, otlp: Option<&str>) -> Result<(), Error> {
    if let Some(url) = otlp {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(url)
            .build()
            .map_err(|cause| Error::Exporter { url: url.to_owned(), cause })?;
        let resource = Resource::builder()
            .with_service_name("tidegate-hub")
            .with_attribute(KeyValue::new("service.namespace", "tidegate"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let builder = SdkTracerProvider::builder().with_resource(resource);
        install_provider(builder.with_batch_exporter(exporter).build());
    }
    let filter =
        || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let colour = std::io::stderr().is_terminal();
    let base = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(std::io::stderr);
    let log = match form {
        LogForm::Text => base.with_target(false).with_filter(filter()).boxed(),
        LogForm::Json => base.json().flatten_event(true).with_filter(filter()).boxed(),
    };
    let spans = otlp.is_some().then(|| {
        tracing_opentelemetry::layer().with_tracer(tracer()).with_filter(EnvFilter::new("hub=info"))
    });
    // Fails only when a test installed its own subscriber, which is as good.
    drop(tracing_subscriber::registry().with(log).with(spans).try_init());
    Ok(())
}

/// Sends spans through `provider`; the first one stays. For tests that collect spans in memory.
pub fn install_provider(provider: SdkTracerProvider) {
    drop(PROVIDER.set(provider));
}

/// Sends what is left.
pub fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
    {
        tracing::warn!(%error, "the last spans could not be sent");
    }
}

fn tracer() -> SdkTracer {
    PROVIDER.get_or_init(|| SdkTracerProvider::builder().build()).tracer("tidegate-hub")
}

/// Begins the trace of a commit; returns its `traceparent`.
pub fn commit_trace(source: &str, revision: &str, subject: &str) -> Option<String> {
    let builder = SpanBuilder::from_name(format!("commit {source}"))
        .with_kind(SpanKind::Consumer)
        .with_attributes([
            KeyValue::new("vcs.ref.head.revision", revision.to_owned()),
            KeyValue::new("tidegate.source", source.to_owned()),
            KeyValue::new("tidegate.subject", subject.to_owned()),
        ]);
    let span = builder.start_with_context(&tracer(), &Context::new());
    let context = Context::new().with_remote_span_context(span.span_context().clone());
    let mut carrier = Carrier::default();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.traceparent
}

/// Makes `span` a child of what a `traceparent` names.
pub fn follow(span: &tracing::Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.map(context) {
        // Without a collector there is no layer to tell.
        drop(span.set_parent(parent));
    }
}

/// The trace id in a `traceparent`.
pub fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).filter(|id| id.len() == 32).map(str::to_owned)
}

/// Writes the spans that an event completes. `before` is the state before it.
#[expect(clippy::too_many_lines, reason = "most of it names the events that complete no span")]
pub fn event(before: &App, event: &Event) {
    log(before, event);
    match event {
        Event::Started(start) => {
            let name = format!("rollout started {}", before.name);
            let trace = start.trace.as_deref();
            write(
                name,
                trace,
                start.at,
                start.at,
                [
                    KeyValue::new("cicd.pipeline.name", before.name.to_string()),
                    KeyValue::new("cicd.pipeline.run.id", start.id.0.to_string()),
                ],
            );
        }
        Event::Wave { rollout, wave, change: WaveChange::Passed { .. }, at } => {
            if let Some(run) = before.rollout(*rollout)
                && let Some(passed) = run.waves.get(*wave)
            {
                let began = passed.opened.unwrap_or(*at);
                write(
                    format!("wave {}", passed.spec.name),
                    run.trace.as_deref(),
                    began,
                    *at,
                    [
                        KeyValue::new("cicd.pipeline.task.name", passed.spec.name.to_string()),
                        KeyValue::new(
                            "tidegate.wave.clusters",
                            i64::try_from(passed.order.len()).unwrap_or(i64::MAX),
                        ),
                    ],
                );
            }
        }
        Event::Ended { rollout, outcome, at, .. } => {
            if let Some(run) = before.rollout(*rollout) {
                write(
                    format!("RUN {}", before.name),
                    run.trace.as_deref(),
                    run.started,
                    *at,
                    [
                        KeyValue::new("cicd.pipeline.name", before.name.to_string()),
                        KeyValue::new("cicd.pipeline.run.id", rollout.0.to_string()),
                        KeyValue::new("cicd.pipeline.result", format!("{outcome:?}")),
                    ],
                );
            }
        }
        Event::HeadMoved { .. }
        | Event::Begun { .. }
        | Event::Granted { .. }
        | Event::Acked { .. }
        | Event::Fenced { .. }
        | Event::Recalled { .. }
        | Event::Restored { .. }
        | Event::Untargeted { .. }
        | Event::CaughtUp { .. }
        | Event::Lane { .. }
        | Event::Judged { .. }
        | Event::Joined { .. }
        | Event::Acted { .. }
        | Event::Answered { .. }
        | Event::Dark { .. }
        | Event::Departed { .. }
        | Event::Member { .. }
        | Event::Wave { .. }
        | Event::Paused { .. }
        | Event::Halted { .. }
        | Event::Resumed { .. }
        | Event::Retried { .. }
        | Event::Skipped { .. } => {}
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no line of its own is logged whole")]
fn log(before: &App, event: &Event) {
    let app = &before.name;
    match event {
        Event::Granted { cluster, name, grant, rollout, .. } => {
            tracing::info!(%app, %rollout, cluster = %name, uid = %cluster, epoch = %grant.epoch, digest = %grant.digest.short(), "granted");
        }
        Event::Member { .. } | Event::Acked { .. } | Event::Dark { .. } => {
            tracing::debug!(%app, ?event, "decided");
        }
        Event::Started(start) => {
            tracing::info!(%app, rollout = %start.id, revision = %start.release.revision, "rollout started");
        }
        Event::Halted { rollout, causes, .. } => {
            tracing::warn!(%app, %rollout, ?causes, "rollout halted");
        }
        other => tracing::info!(%app, event = ?other, "decided"),
    }
}

fn write(
    name: String,
    trace: Option<&str>,
    from: Timestamp,
    to: Timestamp,
    attributes: impl IntoIterator<Item = KeyValue>,
) {
    let Some(parent) = trace.map(context) else { return };
    let builder = SpanBuilder::from_name(name)
        .with_start_time(SystemTime::from(from))
        .with_attributes(attributes);
    let mut span = builder.start_with_context(&tracer(), &parent);
    span.end_with_timestamp(SystemTime::from(to));
}

fn context(traceparent: &str) -> Context {
    let carrier = Carrier { traceparent: Some(traceparent.to_owned()) };
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

#[derive(Default)]
struct Carrier {
    traceparent: Option<String>,
}

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if key == "traceparent" {
            self.traceparent = Some(value);
        }
    }
}

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.traceparent.as_deref().filter(|_| key == "traceparent")
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

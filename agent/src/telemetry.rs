//! Logs and traces. Installed once per process by the program itself; whoever embeds agents installs
//! their own subscriber instead.

use std::collections::BTreeMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use proto::v1::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::LogForm;

/// Shown when `RUST_LOG` says nothing. What happens between the client and the API server is reported once, by
/// the agent itself.
const DEFAULT_FILTER: &str = "info,kube_client=off,tower=off,h2=off,hyper=off";

/// Why logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL or the exporter is at fault.
    #[error("export traces to `{url}`")]
    Exporter {
        /// As given.
        url: String,
        /// The cause.
        #[source]
        cause: opentelemetry_otlp::ExporterBuildError,
    },
    /// Somebody else did it already.
    #[error("install the log")]
    Install(#[from] tracing_subscriber::util::TryInitError),
}

/// Flushes traces when it ends.
#[derive(Debug)]
#[must_use = "dropping it early loses the last traces"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(fault) = provider.shutdown()
        {
            tracing::debug!(%fault, "last traces were lost");
        }
    }
}

/// Logs to stderr, and exports spans when `otlp` names a collector.
pub fn install(form: LogForm, otlp: Option<&str>) -> Result<Telemetry, Error> {
    let filter =
        || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let text = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    let log = match form {
        LogForm::Text => text.with_target(false).with_filter(filter()).boxed(),
        LogForm::Json => text.json().flatten_event(true).with_filter(filter()).boxed(),
    };
    let provider = otlp.map(exporter).transpose()?;
    let spans = provider.as_ref().map(|p| {
        let tracer = p.tracer("tidegate-agent");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter())
    });
    tracing_subscriber::registry().with(log).with(spans).try_init()?;
    Ok(Telemetry(provider))
}

fn exporter(url: &str) -> Result<SdkTracerProvider, Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .build()
        .map_err(|cause| Error::Exporter { url: url.to_owned(), cause })?;
    let resource = Resource::builder().with_service_name("tidegate-agent").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Makes `span` a child of what happened on the other side of a message.
pub fn continue_from(span: &Span, context: Option<&TraceContext>) {
    let Some(context) = context.filter(|c| !c.traceparent.is_empty()) else { return };
    let carrier: BTreeMap<String, String> = BTreeMap::from([
        ("traceparent".to_owned(), context.traceparent.clone()),
        ("tracestate".to_owned(), context.tracestate.clone()),
    ]);
    let parent = TraceContextPropagator::new().extract(&Carrier(carrier));
    if let Err(fault) = span.set_parent(parent) {
        tracing::trace!(%fault, "span has no parent");
    }
}

/// What to send along so that the other side can continue from `span`; `None` when it is not recorded.
pub fn context_of(span: &Span) -> Option<TraceContext> {
    let mut carrier = Carrier(BTreeMap::new());
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    let traceparent = carrier.0.remove("traceparent")?;
    Some(TraceContext {
        traceparent,
        tracestate: carrier.0.remove("tracestate").unwrap_or_default(),
    })
}

/// An ordered map that the propagator can read and write.
struct Carrier(BTreeMap<String, String>);

impl opentelemetry::propagation::Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl opentelemetry::propagation::Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

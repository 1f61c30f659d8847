//! One trace from the commit to the last healthy cluster, through hub and agents.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::world::{SOON, World, config_map};

/// A collector that keeps what it gets.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.into_iter().flat_map(|r| r.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|s| s.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        drop(tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener))));
        (collector, url)
    }

    fn of(&self, trace: &str) -> Vec<Span> {
        let hex =
            |bytes: &[u8]| bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
        let all = self.0.lock().unwrap();
        all.iter().filter(|s| hex(&s.trace_id) == trace).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_commit_to_the_last_healthy_cluster() {
    let (collector, url) = Collector::start().await;
    let world = World::traced(Some(url)).await;
    let repository = world.stage.repository();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    let commit = repository.commit("traced").unwrap();
    let rollout = world.stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    let trace = rollout["traceId"].as_str().unwrap().to_owned();
    let needed = ["commit fleet", "RUN web", "wave all", "apply web"];
    let look = || async {
        let spans = collector.of(&trace);
        let names: Vec<_> = spans.iter().map(|s| s.name.clone()).collect();
        let all = needed.iter().all(|n| names.iter().any(|name| name == n));
        let applied = names.iter().filter(|n| *n == "apply web").count();
        Ok(if all && applied >= 2 { Ok(spans) } else { Err(format!("{names:?}")) })
    };
    let spans = world.stage.wait("all spans of the rollout", SOON, look).await.unwrap();
    let ids: BTreeSet<_> = spans.iter().map(|s| s.span_id.clone()).collect();
    for span in spans.iter().filter(|s| s.name != "commit fleet") {
        assert!(!span.parent_span_id.is_empty(), "{} has no parent", span.name);
        let known = ids.contains(&span.parent_span_id);
        assert!(known, "the parent of {} is not in the trace", span.name);
    }
    world.server.stop().await;
}

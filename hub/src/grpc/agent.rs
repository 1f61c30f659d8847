//! The agent service: one line for each call.

use std::sync::Arc;

use proto::v1;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::pull::Pulls;
use super::renew::Renewals;
use super::session::Sessions;

/// The agent service.
#[derive(Debug)]
pub(super) struct Agents {
    pub(super) sessions: Arc<Sessions>,
    pub(super) pulls: Pulls,
    pub(super) renewals: Renewals,
}

#[tonic::async_trait]
impl v1::agent_server::Agent for Agents {
    type SessionStream = ReceiverStream<Result<v1::HubMessage, Status>>;
    type PullStream = ReceiverStream<Result<v1::PullChunk, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.sessions.clone().open(request).await
    }

    async fn pull(
        &self,
        request: Request<v1::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        self.pulls.pull(request).await
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewReply>, Status> {
        self.renewals.renew(request).await
    }
}

//! Refusals: a gRPC status with the reason's code in metadata, and a sentence that ends in what to do.

use model::Reason;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::store;

/// Metadata key that carries the reason's code.
const REASON: &str = "tidegate-reason";

/// `what` and the reason's next step.
pub(super) fn refuse(code: Code, reason: Reason, what: impl std::fmt::Display) -> Status {
    let mut status = Status::new(code, format!("{what}; {}", reason.next_step()));
    status.metadata_mut().insert(REASON, MetadataValue::from_static(reason.code()));
    status
}

/// The store did not do it: the agent tries again later.
pub(super) fn store(error: &store::Error) -> Status {
    tracing::error!(error = %error, "the store failed an agent's call");
    let reason = match error {
        store::Error::Conflict(_) => Reason::StateChanged,
        store::Error::LeaseLost { .. } => Reason::LeaseLost,
        store::Error::Locked => Reason::StoreLocked,
        store::Error::Corrupt { .. } => Reason::StoreCorrupt,
        store::Error::Io(_) | store::Error::TooLarge { .. } => Reason::DiskFull,
    };
    refuse(Code::Unavailable, reason, "the hub could not store it")
}

/// Our own fault; the details stay in the hub's log.
pub(super) fn internal(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "an agent's call failed");
    refuse(Code::Internal, Reason::Internal, "the hub failed")
}

/// Runs what blocks on the disk or the processor, off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(internal)
}

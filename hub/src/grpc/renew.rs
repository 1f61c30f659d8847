//! Renewal: a certificate for a new key over the present one. Both work until the new one is first used.

use std::time::Duration;

use model::{ClusterUid, Reason};
use proto::v1;
use tonic::{Code, Request, Response, Status};

use super::count::Rate;
use super::parts::Parts;
use super::refuse::{self, blocking, refuse};
use crate::pki;
use crate::registry;

/// Renewals of one cluster at once: one a day is the rule, six leave room for failed attempts.
const RENEW_BURST: u32 = 6;
/// From then on one in this time: six an hour.
const RENEW_EVERY: Duration = Duration::from_mins(10);

/// Renews certificates.
#[derive(Debug)]
pub(super) struct Renewals {
    parts: Parts,
    rate: Rate<ClusterUid>,
}

impl Renewals {
    pub(super) fn new(parts: Parts) -> Renewals {
        Renewals { parts, rate: Rate::new(RENEW_BURST, RENEW_EVERY) }
    }

    pub(super) async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewReply>, Status> {
        let admitted = self.parts.admit_active(&request).await?;
        let cluster = admitted.cluster;
        if !self.rate.take(cluster.uid.clone(), self.parts.clock.since_start()) {
            let what = format!("cluster `{}` renews more than six times an hour", cluster.name);
            return Err(refuse(Code::ResourceExhausted, Reason::TooManyAttempts, what));
        }
        let csr = request.into_inner().csr_der;
        let parts = self.parts.clone();
        let issued = blocking(move || {
            let csr = pki::Request::parse(&csr)
                .map_err(|fault| refuse(Code::InvalidArgument, Reason::CsrInvalid, fault))?;
            let issued = parts.authority.issue(&csr, &cluster.uid).map_err(refuse::internal)?;
            let change = parts.registry.update_cluster(&cluster.uid, |record| {
                record.pending_serial = Some(issued.serial.clone());
                record.not_after = Some(issued.not_after);
            });
            match change {
                Ok(_) => Ok(issued),
                Err(registry::Error::Store(error)) => Err(refuse::store(&error)),
                Err(other) => Err(refuse(Code::PermissionDenied, Reason::ClusterRevoked, other)),
            }
        })
        .await??;
        tracing::info!(cluster = %admitted.peer.cluster, "certificate renewed");
        let roots_der = self.parts.authority.roots();
        Ok(Response::new(v1::RenewReply { chain_der: issued.chain, roots_der }))
    }
}

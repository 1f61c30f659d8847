//! The gate in front of every call of an agent: is this certificate the current one of a cluster that
//! may connect?

use jiff::Timestamp;
use model::Reason;
use tonic::{Code, Request, Status};

use super::parts::{Caller, Parts};
use super::refuse::{self, blocking, refuse};
use crate::pki::Peer;
use crate::registry::{self, ClusterRecord, ClusterState};

/// A caller that may go on.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    pub(super) peer: Peer,
    pub(super) cluster: ClusterRecord,
}

/// Why a caller may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Cut {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Cut {
        Cut { reason, message: message.into() }
    }

    fn status(&self) -> Status {
        refuse(Code::PermissionDenied, self.reason, &self.message)
    }
}

/// Judges a certificate against the registry as it is now.
pub(super) fn judge(
    cluster: Option<&ClusterRecord>,
    peer: &Peer,
    now: Timestamp,
) -> Result<(), Cut> {
    if peer.not_after <= now {
        let what = format!("the certificate ended at {}", peer.not_after);
        return Err(Cut::new(Reason::CertificateExpired, what));
    }
    let Some(cluster) = cluster else {
        return Err(Cut::new(Reason::ClusterRevoked, "the cluster is not registered any more"));
    };
    if cluster.state == ClusterState::Revoked {
        let what = format!("cluster `{}` is revoked", cluster.name);
        return Err(Cut::new(Reason::ClusterRevoked, what));
    }
    let serial = Some(&peer.serial);
    if cluster.active_serial.as_ref() != serial && cluster.pending_serial.as_ref() != serial {
        let what = format!("cluster `{}` has a newer certificate", cluster.name);
        return Err(Cut::new(Reason::CertificateNotActive, what));
    }
    Ok(())
}

impl Parts {
    /// Admits a caller by its certificate. The first use of a pending certificate makes it the active one.
    pub(super) async fn admit<T>(&self, request: &Request<T>) -> Result<Admitted, Status> {
        let caller = Caller::of(request)?;
        let Some(peer) = caller.peer().cloned() else {
            let what = "this call needs the client certificate of an agent";
            return Err(refuse(Code::Unauthenticated, Reason::CertificateNotActive, what));
        };
        let cluster = self.registry.cluster(&peer.cluster);
        judge(cluster.as_ref(), &peer, self.clock.now()).map_err(|cut| cut.status())?;
        match cluster {
            Some(cluster) if cluster.pending_serial.as_ref() != Some(&peer.serial) => {
                Ok(Admitted { peer, cluster })
            }
            _ => self.promote(peer).await,
        }
    }

    /// As [`Parts::admit`], and the cluster is not suspended.
    pub(super) async fn admit_active<T>(&self, request: &Request<T>) -> Result<Admitted, Status> {
        let admitted = self.admit(request).await?;
        if let ClusterState::Suspended { why } = &admitted.cluster.state {
            let what = format!("cluster `{}` is suspended: {why}", admitted.cluster.name);
            return Err(refuse(Code::PermissionDenied, Reason::ClusterSuspended, what));
        }
        Ok(admitted)
    }

    async fn promote(&self, peer: Peer) -> Result<Admitted, Status> {
        let registry = self.registry.clone();
        let (uid, serial) = (peer.cluster.clone(), peer.serial.clone());
        let activated = blocking(move || registry.activate(&uid, &serial)).await?;
        let cluster = activated.map_err(|error| match error {
            registry::Error::Store(error) => refuse::store(&error),
            registry::Error::NotCurrent { .. } => {
                refuse(Code::PermissionDenied, Reason::CertificateNotActive, error)
            }
            registry::Error::Revoked(_) | registry::Error::NotFound { .. } => {
                refuse(Code::PermissionDenied, Reason::ClusterRevoked, error)
            }
            registry::Error::AlreadyExists { .. }
            | registry::Error::TooManyTokens
            | registry::Error::TooMany { .. } => refuse::internal(error),
        })?;
        tracing::info!(cluster = %cluster.name, "certificate in use");
        Ok(Admitted { peer, cluster })
    }
}

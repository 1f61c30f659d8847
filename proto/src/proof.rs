//! What the recovery key signs when an agent joins, and when it comes back without a certificate: one place
//! for both sides.

use model::Digest;

/// Label under which both sides export a value from their TLS session (RFC 8446, 7.5), without context.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-tidegate-enrol-v1";

/// Length of the exported value, in bytes.
pub const EXPORTER_BYTES: usize = 32;

/// Separates this signature from any other that the key may ever make.
const DOMAIN: &[u8] = b"tidegate-enrol-v1";

/// SHA-256 over domain, exporter, nonce, certificate request and fleet id. Exporter and nonce have a fixed
/// length and the request carries its own, so that no two different inputs run together alike.
pub fn message(
    exporter: &[u8; EXPORTER_BYTES],
    nonce: &[u8; 32],
    csr_der: &[u8],
    fleet_id: &str,
) -> [u8; 32] {
    let parts = [DOMAIN, exporter, nonce, csr_der, fleet_id.as_bytes()];
    *Digest::of(&parts.concat()).as_bytes()
}

/// Length of the value that shows which join or recovery was the last, in bytes.
pub const JOIN_STATE_BYTES: usize = 32;

/// The same for a recovery.
const RECOVER_DOMAIN: &[u8] = b"tidegate-recover-v1";

/// What a recovery shows, besides the TLS session it is shown in.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    /// Of the challenge.
    pub nonce: &'a [u8; 32],
    /// As the last join or recovery gave it.
    pub join_state: &'a [u8; JOIN_STATE_BYTES],
    /// The certificate request.
    pub csr_der: &'a [u8],
    /// The fleet.
    pub fleet_id: &'a str,
    /// Who it says it is.
    pub cluster_uid: &'a str,
}

impl Recovery<'_> {
    /// SHA-256 over all of it. Every part but the last has a fixed length: fleet ids have 32 digits.
    pub fn message(&self, exporter: &[u8; EXPORTER_BYTES]) -> [u8; 32] {
        let csr = Digest::of(self.csr_der);
        let parts: [&[u8]; 7] = [
            RECOVER_DOMAIN,
            exporter,
            self.nonce,
            self.join_state,
            csr.as_bytes(),
            self.fleet_id.as_bytes(),
            self.cluster_uid.as_bytes(),
        ];
        *Digest::of(&parts.concat()).as_bytes()
    }
}

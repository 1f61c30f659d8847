//! What the recovery key signs when an agent joins: one place for both sides.

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

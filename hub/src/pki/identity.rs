//! Which cluster is on the other end: from its certificate alone, by exact match.

use jiff::Timestamp;
use model::ClusterUid;
use x509_parser::extensions::GeneralName;

/// An agent, as its certificate says. Whether that certificate is the current one is for the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its cluster.
    pub cluster: ClusterUid,
    /// Serial of its certificate.
    pub serial: Vec<u8>,
    /// End of its certificate.
    pub not_after: Timestamp,
}

/// Why a certificate names no agent of this fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// Not a certificate in DER, or something behind it.
    #[error("the certificate cannot be read")]
    Malformed,
    /// A subject: our certificates have none.
    #[error("the certificate has a subject name; those of agents have none")]
    Subject,
    /// None, two, or another kind of name.
    #[error("the certificate does not have exactly one name, a URI")]
    Names,
    /// The URI is not `spiffe://FLEET/cluster/UID` of this fleet.
    #[error("the certificate's name is not that of a cluster of this fleet")]
    Uri,
}

impl Peer {
    /// Reads the leaf that TLS has verified. `fleet_id` is our own.
    pub fn from_leaf(der: &[u8], fleet_id: &str) -> Result<Peer, IdentityFault> {
        let (rest, leaf) =
            x509_parser::parse_x509_certificate(der).map_err(|_| IdentityFault::Malformed)?;
        if !rest.is_empty() {
            return Err(IdentityFault::Malformed);
        }
        if leaf.subject().iter().next().is_some() {
            return Err(IdentityFault::Subject);
        }
        let names = leaf.subject_alternative_name().map_err(|_| IdentityFault::Names)?;
        let names = names.map(|extension| &extension.value.general_names);
        let Some([GeneralName::URI(uri)]) = names.map(Vec::as_slice) else {
            return Err(IdentityFault::Names);
        };
        let cluster = parse(uri, fleet_id).ok_or(IdentityFault::Uri)?;
        let not_after = Timestamp::from_second(leaf.validity().not_after.timestamp())
            .map_err(|_| IdentityFault::Malformed)?;
        Ok(Peer { cluster, serial: leaf.raw_serial().to_vec(), not_after })
    }
}

/// The one name of a cluster.
pub(super) fn uri(fleet_id: &str, cluster: &ClusterUid) -> String {
    format!("spiffe://{fleet_id}/cluster/{cluster}")
}

/// The cluster behind a URI that is exactly what [`uri`] makes: no other scheme, port, user, case, escape,
/// query, or further segment.
fn parse(text: &str, fleet_id: &str) -> Option<ClusterUid> {
    let rest = text.strip_prefix("spiffe://")?.strip_prefix(fleet_id)?;
    ClusterUid::parse(rest.strip_prefix("/cluster/")?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLEET: &str = "0123456789abcdef0123456789abcdef";
    const UID: &str = "6f1b8d0e-53a5-4a1e-9d57-1c2f3a4b5c6d";

    #[test]
    fn the_exact_name_is_taken() {
        let cluster = ClusterUid::parse(UID).unwrap();
        assert_eq!(parse(&uri(FLEET, &cluster), FLEET), Some(cluster));
    }

    #[test]
    fn whatever_is_almost_the_name_is_refused() {
        let wrong = [
            format!("spiffe://{FLEET}/cluster/{UID}x"),
            format!("spiffe://{FLEET}/cluster/{}", &UID[..35]),
            format!("spiffe://{FLEET}/cluster/{UID}/"),
            format!("spiffe://{FLEET}/cluster/{UID}/admin"),
            format!("spiffe://{FLEET}/cluster//{UID}"),
            format!("spiffe://{FLEET}/cluster/{}", UID.to_uppercase()),
            format!("spiffe://{FLEET}/cluster/{}", UID.replace('-', "")),
            format!("spiffe://{FLEET}/cluster/{{{UID}}}"),
            format!("spiffe://{FLEET}/cluster/urn:uuid:{UID}"),
            format!("spiffe://{FLEET}/cluster/%36{}", &UID[1..]),
            format!("spiffe://{FLEET}/cluster%2F{UID}"),
            format!("spiffe://{FLEET}/cluster/{UID}?x"),
            format!("spiffe://{FLEET}/cluster/{UID}#x"),
            format!("spiffe://{FLEET}/cluster/ {UID}"),
            format!("spiffe://{FLEET}/cluster/{UID}\0"),
            format!("spiffe://{FLEET}/Cluster/{UID}"),
            format!("spiffe://{FLEET}/server/{UID}"),
            format!("spiffe://{FLEET}/./cluster/{UID}"),
            format!("spiffe://{FLEET}/x/../cluster/{UID}"),
            format!("spiffe://{FLEET}0/cluster/{UID}"),
            format!("spiffe://{}/cluster/{UID}", &FLEET[1..]),
            format!("spiffe://{}/cluster/{UID}", FLEET.to_uppercase()),
            format!("spiffe://{FLEET}:443/cluster/{UID}"),
            format!("spiffe://x@{FLEET}/cluster/{UID}"),
            format!("spiffe://{FLEET}.example.com/cluster/{UID}"),
            format!("SPIFFE://{FLEET}/cluster/{UID}"),
            format!("https://{FLEET}/cluster/{UID}"),
            format!(" spiffe://{FLEET}/cluster/{UID}"),
            format!("spiffe:///cluster/{UID}"),
            String::new(),
        ];
        for text in wrong {
            assert_eq!(parse(&text, FLEET), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_the_name_itself_reads_back(text in ".{0,120}") {
            prop_assert_eq!(parse(&text, FLEET), None);
        }

        #[test]
        fn one_changed_character_is_another_name_or_none(at in 0usize..90, to in any::<char>()) {
            let cluster = ClusterUid::parse(UID).unwrap();
            let mut chars: Vec<char> = uri(FLEET, &cluster).chars().collect();
            let at = at % chars.len();
            prop_assume!(chars[at] != to);
            chars[at] = to;
            prop_assert_ne!(parse(&chars.iter().collect::<String>(), FLEET), Some(cluster));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Peer::from_leaf(&bytes, FLEET).is_err());
        }
    }
}

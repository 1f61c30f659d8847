//! The fleet's authority: made once, kept, renewed, and never half of it.

use std::sync::Arc;
use std::time::Duration;

use hub::clock::Clock;
use hub::pki::{Authority, CsrFault, Error, Request, Tls};
use hub::store::{Batch, Memory, Store, Table};
use model::LeaseEpoch;

use super::rig::Keys;

struct Kept {
    store: Arc<Memory>,
    lease: LeaseEpoch,
    clock: Clock,
}

impl Kept {
    fn new() -> Kept {
        let store = Arc::new(Memory::new());
        let lease = store.take_lease().unwrap();
        Kept { store, lease, clock: Clock::manual(Clock::system().now()) }
    }

    fn open(&self) -> Result<Authority, Error> {
        Authority::open(self.store.clone(), self.lease, self.clock.clone())
    }

    fn change(&self, change: impl FnOnce(Batch) -> Batch) {
        self.store.commit(change(Batch::new(self.lease))).unwrap();
    }
}

#[test]
fn a_restart_finds_the_same_fleet_and_the_same_pin() {
    let kept = Kept::new();
    let (first, second) = (kept.open().unwrap(), kept.open().unwrap());
    assert_eq!(first.fleet_id(), second.fleet_id());
    assert_eq!((first.pin(), first.roots()), (second.pin(), second.roots()));
    assert_eq!(first.server_name(), format!("hub.{}.internal", first.fleet_id()));
    assert_ne!(first.fleet_id(), Kept::new().open().unwrap().fleet_id());
}

#[test]
fn half_an_authority_is_an_error_and_is_never_made_anew() {
    for (table, key) in [
        (Table::Meta, "fleet-id"),
        (Table::Pki, "root"),
        (Table::Pki, "agent-issuer"),
        (Table::Pki, "server-issuer"),
    ] {
        let kept = Kept::new();
        kept.open().unwrap();
        kept.change(|batch| batch.delete(table, key.as_bytes().to_vec()));
        let error = kept.open().unwrap_err();
        assert!(matches!(error, Error::Incomplete(_)), "{key}: {error}");
        assert!(error.to_string().ends_with("restore the newest backup"), "{error}");
    }
}

#[test]
fn a_damaged_record_is_named() {
    let kept = Kept::new();
    kept.open().unwrap();
    let other = Kept::new();
    other.open().unwrap();
    let theirs = other.store.get(Table::Pki, b"root").unwrap().unwrap();
    let ours = kept.store.get(Table::Pki, b"root").unwrap().unwrap();
    // Our certificate with the key of another.
    let mut ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&theirs).unwrap();
    ours["key"] = theirs["key"].clone();
    kept.change(|batch| batch.put(Table::Pki, b"root".to_vec(), ours.to_string()));
    let error = kept.open().unwrap_err().to_string();
    assert!(error.contains("`root`") && error.contains("do not belong together"), "{error}");
}

#[test]
fn certificates_are_renewed_at_half_their_life_and_tls_takes_them_without_a_restart() {
    let kept = Kept::new();
    let authority = kept.open().unwrap();
    let tls = Tls::new(&authority).unwrap();
    let before = tls.current();
    assert!(!authority.refresh().unwrap());
    kept.clock.advance(Duration::from_hours(24 * 15));
    assert!(authority.refresh().unwrap(), "the hub's own certificate");
    assert!(!authority.refresh().unwrap());
    tls.reload(&authority).unwrap();
    assert!(!Arc::ptr_eq(&before, &tls.current()));

    let request = Request::parse(&Keys::new().csr()).unwrap();
    let uid = model::ClusterUid::parse("6f1b8d0e-53a5-4a1e-9d57-1c2f3a4b5c6d").unwrap();
    let old = authority.issue(&request, &uid).unwrap();
    kept.clock.advance(Duration::from_hours(24 * 31));
    assert!(authority.refresh().unwrap(), "the issuers");
    let new = authority.issue(&request, &uid).unwrap();
    assert_ne!(old.chain[1], new.chain[1]);
    assert_eq!(authority.pin(), kept.open().unwrap().pin(), "the root stays");
}

#[test]
fn two_certificates_for_one_key_have_two_serials() {
    let authority = Kept::new().open().unwrap();
    let request = Request::parse(&Keys::new().csr()).unwrap();
    let uid = model::ClusterUid::parse("6f1b8d0e-53a5-4a1e-9d57-1c2f3a4b5c6d").unwrap();
    let serials: std::collections::BTreeSet<_> =
        (0..50).map(|_| authority.issue(&request, &uid).unwrap().serial).collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn only_keys_that_we_know_and_that_their_owner_proves_are_signed() {
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
        assert!(Request::parse(csr.der()).is_ok());
    }
    let csr = Keys::new().csr();
    let last = csr.len() - 1;
    let mut forged = csr.clone();
    forged[last] ^= 1;
    assert_eq!(Request::parse(&forged).unwrap_err(), CsrFault::Possession);
    assert_eq!(Request::parse(&csr[..last]).unwrap_err(), CsrFault::Malformed);
    assert_eq!(Request::parse(&[csr, vec![0]].concat()).unwrap_err(), CsrFault::Malformed);
    assert_eq!(Request::parse(&[]).unwrap_err(), CsrFault::Malformed);
    // RSA 2048, signed by its own key.
    let rsa = include_bytes!("rsa.csr.der");
    assert_eq!(Request::parse(rsa).unwrap_err(), CsrFault::KeyType);
}

#[test]
fn a_token_lives_between_a_minute_and_a_day() {
    let authority = Kept::new().open().unwrap();
    let mint = |life| authority.mint(vec!["127.0.0.1:7421".to_owned()], life);
    assert!(mint(Duration::from_secs(59)).is_err());
    assert!(mint(Duration::from_hours(25)).is_err());
    let minted = mint(Duration::from_hours(1)).unwrap();
    assert_eq!(minted.token.pins, [authority.pin()]);
    assert_eq!(minted.secret_hash, model::Digest::of(minted.token.secret.reveal()));
    let read = proto::token::JoinToken::parse(&minted.token.encode()).unwrap();
    assert_eq!(read, minted.token);
}

#[test]
fn on_disk_the_keys_are_for_the_hubs_own_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = Arc::new(hub::store::SledStore::open(&dir).unwrap());
    let lease = store.take_lease().unwrap();
    Authority::open(store, lease, Clock::system()).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

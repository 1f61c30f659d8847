//! The authority of one fleet: made at the first start, kept in the store, its issuing parts renewed in time.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use model::{ClusterUid, Digest, LeaseEpoch};
use proto::proof::JOIN_STATE_BYTES;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use ring::hmac;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ca::{Ca, Role, new_key, params};
use super::{Error, random};
use crate::clock::Clock;
use crate::store::{Batch, Guard, Store, Table};

/// Life of the hub's own certificate. It is made anew at every start, and at half its life.
const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Key in [`Table::Meta`]. Together with the records below it is the identity of the fleet.
const FLEET: &[u8] = b"fleet-id";
/// Keys in [`Table::Pki`].
const ROOT: &str = "root";
const SERVERS: &str = "server-issuer";
const AGENTS: &str = "agent-issuer";
/// The agent issuer before this one: what it signed stays good until it ends by itself.
const AGENTS_BEFORE: &str = "agent-issuer-before";

/// Signs what the fleet consists of. Calls that touch the store block.
pub struct Authority {
    fleet_id: String,
    root: CertificateDer<'static>,
    pin: [u8; 32],
    /// Made from the root's key, so that it lives as long and needs no record of its own.
    joins: hmac::Key,
    store: Arc<dyn Store>,
    lease: LeaseEpoch,
    clock: Clock,
    issuers: ArcSwap<Issuers>,
}

/// What changes in the life of a hub process.
pub(super) struct Issuers {
    pub(super) agents: Ca,
    agents_before: Option<CertificateDer<'static>>,
    servers: Ca,
    leaf: Leaf,
}

/// The hub's own certificate; its key is never stored.
struct Leaf {
    der: CertificateDer<'static>,
    key: Vec<u8>,
    renew_at: jiff::Timestamp,
}

impl Authority {
    /// Reads the authority, or makes it when there is none. A part of one is an error.
    pub fn open(
        store: Arc<dyn Store>,
        lease: LeaseEpoch,
        clock: Clock,
    ) -> Result<Authority, Error> {
        let fleet = store.get(Table::Meta, FLEET)?;
        let root = store.get(Table::Pki, ROOT.as_bytes())?;
        match (&fleet, &root) {
            (None, None) => make(&*store, lease, &clock)?,
            (Some(_), Some(_)) => {}
            (None, Some(_)) => return Err(Error::Incomplete("fleet id")),
            (Some(_), None) => return Err(Error::Incomplete(ROOT)),
        }
        let fleet = store.get(Table::Meta, FLEET)?.ok_or(Error::Incomplete("fleet id"))?;
        let fleet_id = String::from_utf8(fleet)
            .map_err(|_| Error::Damaged { part: "fleet id", what: "not text".to_owned() })?;
        let root = read(&*store, ROOT)?.ok_or(Error::Incomplete(ROOT))?;
        let joins = hmac::Key::new(hmac::HMAC_SHA256, root.issuer.key().serialized_der());
        let root = root.der;
        let agents = read(&*store, AGENTS)?.ok_or(Error::Incomplete(AGENTS))?;
        let servers = read(&*store, SERVERS)?.ok_or(Error::Incomplete(SERVERS))?;
        let agents_before = read(&*store, AGENTS_BEFORE)?.map(|ca| ca.der);
        let leaf = leaf(&fleet_id, &servers, &clock)?;
        let issuers = ArcSwap::from_pointee(Issuers { agents, agents_before, servers, leaf });
        let pin = pin(&root)?;
        let authority = Authority { fleet_id, root, pin, joins, store, lease, clock, issuers };
        authority.refresh()?;
        Ok(authority)
    }

    /// Renews what is past half its life: the hub's certificate and the issuing authorities. `true` when
    /// something changed, so that TLS must be loaded again.
    pub fn refresh(&self) -> Result<bool, Error> {
        let now = self.clock.now();
        let held = self.issuers.load();
        let agents_old = held.agents.is_old(Role::AgentIssuer, now);
        let servers_old = held.servers.is_old(Role::ServerIssuer, now);
        if !agents_old && !servers_old && now < held.leaf.renew_at {
            return Ok(false);
        }
        let store = &*self.store;
        let mut batch = Batch::new(self.lease);
        if agents_old || servers_old {
            let root = read(store, ROOT)?.ok_or(Error::Incomplete(ROOT))?;
            if agents_old {
                let next = Ca::make(Role::AgentIssuer, &self.fleet_id, Some(&root), now)?;
                batch = batch.put(Table::Pki, AGENTS_BEFORE.as_bytes(), held.agents.encode()).put(
                    Table::Pki,
                    AGENTS.as_bytes(),
                    next.encode(),
                );
            }
            if servers_old {
                let next = Ca::make(Role::ServerIssuer, &self.fleet_id, Some(&root), now)?;
                batch = batch.put(Table::Pki, SERVERS.as_bytes(), next.encode());
            }
            store.commit(batch)?;
        }
        let servers = read(store, SERVERS)?.ok_or(Error::Incomplete(SERVERS))?;
        self.issuers.store(Arc::new(Issuers {
            agents: read(store, AGENTS)?.ok_or(Error::Incomplete(AGENTS))?,
            agents_before: read(store, AGENTS_BEFORE)?.map(|ca| ca.der),
            leaf: leaf(&self.fleet_id, &servers, &self.clock)?,
            servers,
        }));
        Ok(true)
    }

    /// Names the fleet: 32 hexadecimal digits, random, for ever.
    pub fn fleet_id(&self) -> &str {
        &self.fleet_id
    }

    /// The name that agents check in the hub's certificate.
    pub fn server_name(&self) -> String {
        server_name(&self.fleet_id)
    }

    /// SHA-256 of the root's public key: what a join token pins.
    pub fn pin(&self) -> [u8; 32] {
        self.pin
    }

    /// Certificates (DER) that an agent trusts from its enrolment on.
    pub fn roots(&self) -> Vec<Vec<u8>> {
        vec![self.root.to_vec()]
    }

    /// What an agent shows to recover: given out at its join or recovery number `seq`, and good until the next.
    pub fn join_state(&self, uid: &ClusterUid, seq: u64) -> [u8; JOIN_STATE_BYTES] {
        let mut state = [0; JOIN_STATE_BYTES];
        state.copy_from_slice(hmac::sign(&self.joins, &join(uid, seq)).as_ref());
        state
    }

    /// Whether that was given out for this number, in constant time.
    pub fn is_join_state(&self, uid: &ClusterUid, seq: u64, state: &[u8]) -> bool {
        hmac::verify(&self.joins, &join(uid, seq), state).is_ok()
    }

    /// The clock by which everything here is dated.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn issuers(&self) -> Arc<Issuers> {
        self.issuers.load_full()
    }

    /// What the hub shows in a handshake: leaf, issuer, and the root itself, so that an agent that knows only
    /// its pin can find it.
    pub(super) fn server_chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let held = self.issuers.load();
        let chain = vec![held.leaf.der.clone(), held.servers.der.clone(), self.root.clone()];
        (chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(held.leaf.key.clone())))
    }

    /// What may have signed an agent's certificate: nothing but our agent issuers.
    pub(super) fn agent_anchors(&self) -> Vec<CertificateDer<'static>> {
        let held = self.issuers.load();
        let before = held.agents_before.iter().cloned();
        std::iter::once(held.agents.der.clone()).chain(before).collect()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fleet_id", &self.fleet_id).finish_non_exhaustive()
    }
}

/// The whole authority in one write: a crash leaves all of it or nothing.
fn make(store: &dyn Store, lease: LeaseEpoch, clock: &Clock) -> Result<(), Error> {
    let now = clock.now();
    let fleet_id = hex::encode(random::<16>()?);
    let root = Ca::make(Role::Root, &fleet_id, None, now)?;
    let servers = Ca::make(Role::ServerIssuer, &fleet_id, Some(&root), now)?;
    let agents = Ca::make(Role::AgentIssuer, &fleet_id, Some(&root), now)?;
    let batch = Batch::new(lease)
        .guard(Guard::Absent(Table::Meta, FLEET.to_vec()))
        .guard(Guard::Absent(Table::Pki, ROOT.as_bytes().to_vec()))
        .put(Table::Meta, FLEET, fleet_id.into_bytes())
        .put(Table::Pki, ROOT.as_bytes(), root.encode())
        .put(Table::Pki, SERVERS.as_bytes(), servers.encode())
        .put(Table::Pki, AGENTS.as_bytes(), agents.encode());
    Ok(store.commit(batch)?)
}

fn read(store: &dyn Store, part: &'static str) -> Result<Option<Ca>, Error> {
    store.get(Table::Pki, part.as_bytes())?.map(|bytes| Ca::decode(part, &bytes)).transpose()
}

fn leaf(fleet_id: &str, issuer: &Ca, clock: &Clock) -> Result<Leaf, Error> {
    let now = clock.now();
    let key = new_key()?;
    let mut params = params(now, SERVER_LIFE)?;
    let name = server_name(fleet_id).try_into().map_err(Error::Certificate)?;
    params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let der = params.signed_by(&key, &issuer.issuer).map_err(Error::Certificate)?.der().clone();
    let renew_at = now.saturating_add(SERVER_LIFE / 2).unwrap_or(now);
    Ok(Leaf { der, key: key.serialize_der(), renew_at })
}

fn join(uid: &ClusterUid, seq: u64) -> Vec<u8> {
    [&b"tidegate-join-state-v1"[..], &seq.to_be_bytes(), uid.to_string().as_bytes()].concat()
}

fn server_name(fleet_id: &str) -> String {
    format!("hub.{fleet_id}.internal")
}

fn pin(root: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(root)
        .map_err(|e| Error::Damaged { part: ROOT, what: e.to_string() })?;
    Ok(*Digest::of(parsed.public_key().raw).as_bytes())
}

//! Bounds of the agents' port. Those of the messages themselves are in `proto::limits`.

use std::net::SocketAddr;
use std::time::Duration;

/// Where agents connect, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentsConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bounds.
    pub limits: Limits,
}

impl AgentsConfig {
    /// With the default limits.
    pub fn new(listen: SocketAddr) -> AgentsConfig {
        AgentsConfig { listen, limits: Limits::default() }
    }
}

/// Bounds that an installation may have reason to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A handshake that takes longer is cut.
    pub handshake: Duration,
    /// Handshakes at one time: at 0.3 ms of work each, the work of 0.1 s on one core.
    pub handshakes: usize,
    /// Of these from one address, so that one cannot shut out the others.
    pub handshakes_per_address: usize,
    /// Open connections, about 40 kB each.
    pub connections: usize,
    /// Open connections of one cluster: two sessions during a change, and pulls beside them.
    pub connections_per_cluster: usize,
    /// Open connections without a certificate from one address.
    pub anonymous_per_address: usize,
    /// A connection without a certificate is cut after this time: joining takes seconds.
    pub anonymous_life: Duration,
    /// Attempts to join from one address.
    pub enrol: EnrolRate,
    /// Longest session; the real end varies by a tenth so that agents do not come back together.
    pub session_life: Duration,
}

/// Attempts to join from one address (one /64 of IPv6). Tokens have 256 random bits, so that the rate
/// protects the hub's time and not the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolRate {
    /// At once: a new fleet behind one address joins in one go.
    pub burst: u32,
    /// From then on.
    pub per_minute: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake: Duration::from_secs(10),
            handshakes: 256,
            handshakes_per_address: 128,
            connections: 20_000,
            connections_per_cluster: 8,
            anonymous_per_address: 256,
            anonymous_life: Duration::from_mins(2),
            enrol: EnrolRate { burst: 200, per_minute: 30 },
            session_life: Duration::from_hours(12),
        }
    }
}

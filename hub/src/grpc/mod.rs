//! The hub as agents see it: one TLS port, two services (`proto/README.md` tells the protocol).
//!
//! A connection is what its certificate says and nothing else. Whatever an agent may do, it may do only while
//! the registry calls its certificate the current one; that is asked on every call, and live sessions are
//! cut within a second of the registry saying otherwise.
//!
//! Deliberately absent: any decision about rollouts (sessions read the desk and fill the fleet), and
//! anything for people.

mod server;
mod agent;
mod enrol;
mod recover;
mod session;
mod pull;
mod bundle;
mod renew;
mod read;
mod roster;
mod admit;
mod listen;
mod parts;
mod count;
mod refuse;
mod limits;

pub use limits::{AgentsConfig, EnrolRate, Limits};
pub use parts::Parts;
pub use server::{Error, Running, serve};

//! Named bounds of the wire. Both sides enforce them on receipt.

/// Oldest protocol version that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// Newest protocol version that this build speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// Largest message on the session stream, in bytes. A larger one stays allocated per connection for
/// as long as the stream lives (measured: 47 kB a connection at 8 KiB, 166 to 216 kB at 64 KiB).
pub const SESSION_MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Largest enrolment message, in bytes: token, request and 4 KiB of facts.
pub const ENROL_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Data bytes in one pulled chunk.
pub const CHUNK_BYTES_MAX: usize = 16 * 1024;

/// Objects that one pull may ask for: 128 digests of 34 bytes on the wire stay under 8 KiB.
pub const PULL_OBJECTS_MAX: usize = 128;

/// Objects that travel in one bundle, in bytes before packing (a single larger one may). What does not fit is
/// pulled by digest, so that a long transfer that breaks off goes on where it was.
pub const BUNDLE_OBJECTS_BYTES_MAX: usize = 1024 * 1024;

/// Largest bundle, in bytes before packing: a manifest of 8 MiB, and objects of 1.5 MiB. Whoever unpacks stops there.
pub const BUNDLE_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Facts an agent may report, in bytes of JSON.
pub const FACTS_BYTES_MAX: usize = 4 * 1024;

/// Unhealthy objects named in one report: 10 of at most 600 bytes fit the session limit.
pub const UNHEALTHY_MAX: usize = 10;

/// Longest text for people inside a report, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256;

/// Seconds between heartbeats of a quiet agent; `staleAfter` (90 s) is four of them and a margin.
pub const HEARTBEAT_SECONDS: u32 = 20;

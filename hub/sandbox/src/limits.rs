//! What one run may take, with reasons.

use std::time::Duration;

/// Seconds of processor time: a chart of a thousand objects takes two.
pub const CPU_SECONDS: u64 = 30;

/// Time on the wall, when the machine is busy with something else.
pub const WALL: Duration = Duration::from_mins(1);

/// Bytes of private memory.
pub const MEMORY_BYTES: u64 = 1 << 30;

/// Bytes of address space; a Go program reserves much more than it uses.
pub const ADDRESS_BYTES: u64 = 16 << 30;

/// Bytes on stdout: the largest release is 10 MiB, and YAML is wordier than what we keep.
pub const OUTPUT_BYTES: usize = 32 << 20;

/// Bytes of stderr that are kept for a message.
pub const WORDS_BYTES: usize = 64 << 10;

/// Bytes of one file that it may write, in its own HOME.
pub const FILE_BYTES: u64 = 16 << 20;

/// Open files.
pub const FILES_OPEN: u64 = 256;

/// Threads; it cannot start processes at all.
pub const THREADS: u64 = 64;

/// Runs at one time: each may take [`MEMORY_BYTES`].
pub const CONCURRENT: usize = 2;

/// Bytes of results that are kept so that equal input is not rendered again.
pub const CACHE_BYTES: usize = 128 << 20;

/// Results that are kept, failures included.
pub const CACHE_ENTRIES: usize = 20_000;

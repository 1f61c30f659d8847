//! What the kernel knows of a process and of the machine.

use std::{fs, path::PathBuf};

use crate::stage::Error;

/// Load averages over 1, 5 and 15 minutes.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Resident memory of a process in KiB, shared pages of its program included.
pub(super) fn resident(pid: Option<u32>) -> Result<u32, Error> {
    let pid = pid.ok_or_else(|| Error::Unexpected("the process does not run".to_owned()))?;
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = fs::read_to_string(&path).map_err(|cause| Error::File { path, cause })?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::Unexpected(format!("process {pid} has no VmRSS")))
}

//! What the kernel knows of a process and of the machine.

use std::{fs, path::PathBuf, time::Duration};

use crate::stage::Error;

/// Load averages over 1, 5 and 15 minutes.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Time that the threads of a process have run so far; threads that ended do not count.
pub(super) fn cpu(pid: Option<u32>) -> Result<Duration, Error> {
    let pid = pid.ok_or_else(|| Error::Unexpected("the process does not run".to_owned()))?;
    let path = PathBuf::from(format!("/proc/{pid}/task"));
    let threads = fs::read_dir(&path).map_err(|cause| Error::File { path, cause })?;
    let mut nanos = 0;
    for thread in threads.flatten() {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanos += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
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

//! Why a workload does not get on, from the pods it made: seconds after the fact, not at the end of
//! its progress deadline.

use jiff::Timestamp;
use model::Reason;
use serde_json::Value;

/// What holds the pods of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The class.
    pub reason: Reason,
    /// For people: pod, container, and what the kubelet or scheduler said; at most 256 bytes.
    pub message: String,
    /// Pods in this state.
    pub affected: u32,
    /// Pods looked at.
    pub total: u32,
    /// Whether waiting will not help.
    pub terminal: bool,
}

/// The worst that is wrong with `pods` (at most some 50, listed by the workload's selector).
pub fn pods_verdict(_pods: &[Value], _now: Timestamp) -> Option<Stuck> {
    None
}

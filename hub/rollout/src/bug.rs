//! Seeded bugs: guards that the property test switches off one by one to prove that it would notice.
//!
//! Without the feature `mutations` (every build that ships) no bug can be seeded and the branches vanish.

/// A guard that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "mutations"),
    expect(unreachable_pub, reason = "public to the property test only")
)]
pub enum Bug {
    /// A report about another epoch or digest counts as success.
    StaleSuccess,
    /// A recall is believed without the agent's promise.
    NoFence,
    /// The limit of clusters in flight is off by one.
    Overgrant,
    /// Grants leave while the rollout is paused or halted.
    PauseLeaks,
    /// A new release starts beside the active rollout.
    DoubleActive,
    /// A condemned digest is rolled out again.
    RegrantCondemned,
    /// The first exposure is not limited to the probe.
    NoProbe,
    /// A recalled cluster gives its slot back before the fence is confirmed.
    RecallFreesSlot,
}

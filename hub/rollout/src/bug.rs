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
    /// A relabelled cluster moves to another wave.
    RelabelMoves,
    /// Failures do not count against the budget.
    SkipBudget,
    /// Soak is counted from the hub's wall clock.
    SoakByWallClock,
    /// A dark cluster counts as healthy.
    DarkIsHealthy,
    /// An approval of any release is good for every release.
    AnyApproval,
    /// A forward grant leaves while a rollback is active.
    ForwardInRollback,
    /// A rollout goes on after its end.
    Resurrect,
    /// A wave passes without a single proof.
    EvidenceZero,
    /// A recall counts as confirmed when the agent was heard at all.
    RecallBelieved,
    /// The rollback starts without condemning.
    CondemnLater,
    /// A cluster whose drift is repaired gets the newest release: a bug of agents, seeded in their double.
    #[cfg_attr(not(feature = "mutations"), expect(dead_code, reason = "only the double has it"))]
    DriftToLatest,
    /// Freezes are not looked at.
    FreezeIgnored,
    /// Windows are looked at when the wave opens and never again.
    WindowOnce,
    /// Blockers are not looked at.
    BlockerIgnored,
    /// Dependencies are not looked at.
    DependencyIgnored,
    /// Failure domains are not counted.
    SpreadIgnored,
    /// Two clusters of a pair may be in flight together.
    PairIgnored,
    /// The catch-up lane hands out what is newest, proven or not.
    LaneUnproven,
    /// An approval never expires.
    ApprovalForEver,
    /// A cluster that is not heard of is taken for one that is no longer a target.
    AbsenceRemoves,
    /// The author approves the own commit.
    AuthorApproves,
    /// Pace is not kept.
    PaceIgnored,
    /// A newer release takes over from one that is proving itself: none ever ends when commits are frequent.
    Overtakes,
}

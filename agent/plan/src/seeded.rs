//! Bugs on purpose: each removes one safety check, and a test shows that the laws notice.
//! Only the `mutations` feature can set one; a shipped binary always passes `None`.

/// One check left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutations"), expect(unreachable_pub, reason = "only tests seed bugs"))]
pub enum Bug {
    /// Delete without comparing the uid.
    NoUidCheck,
    /// Delete without comparing the ownership label.
    NoLabelCheck,
    /// Delete without comparing the tracking id.
    NoIdCheck,
    /// Take an empty set for an order to delete everything.
    PruneOnEmpty,
    /// Believe a status without asking which generation it is about.
    NaiveGeneration,
    /// Apply in one heap, without order.
    NoOrder,
    /// Delete in the order of applying.
    NoReverse,
    /// Delete what an object that stays needs.
    DropNeeded,
    /// Accept a grant without comparing epochs.
    StepDown,
    /// Take a kind that could not be looked at for one whose objects are gone.
    StaleIsGone,
    /// Write the inventory after the objects instead of before.
    ClaimAfter,
    /// Take every field back by force, whoever owns it.
    AlwaysForce,
    /// Replace an object on any 422, without asking whether the manifest is right.
    RecreateOnInvalid,
    /// Show the values of Secrets in a difference.
    ShowSecrets,
}

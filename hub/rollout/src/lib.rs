//! The brain of the hub: decides which cluster may run which release, and touches nothing.

//! The brain of the agent: what to apply, keep and delete, and how healthy it is; touches nothing.

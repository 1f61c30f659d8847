//! The hub: follows Git, decides, streams desired state to agents.
